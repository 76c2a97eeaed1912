"""Which environments people may ask about: those of the settings, and those of the store. It blocks."""

from __future__ import annotations

from gateway.config.environment_models import OWN
from gateway.config.settings import Settings
from gateway.errors import NoSuchEnvironment

from .opening import RegisterHolder


def stored_since(settings: Settings, holder: RegisterHolder, name: str) -> float:
    """Return when an environment was stored, in seconds since the epoch; 0 for those of the settings.

    Raises NoSuchEnvironment, StoreUnavailable, SettingsError.
    """
    if (name == OWN and settings.default_environment) or name in settings.environments:
        return 0.0
    stored = holder.get().get(name) if settings.stored_environments else None
    if stored is None:
        raise NoSuchEnvironment(f"There is no environment {name}.")
    return stored.created
