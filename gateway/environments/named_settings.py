"""Settings of environments by name, for people and commands: the settings' own, declared ones, and stored ones.

Requests do not come here: they find environments in the registry. It blocks, if it has to read the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from gateway.config.environment_models import OWN
from gateway.config.environments import environment_settings, overlaid, own_settings
from gateway.config.settings import Settings
from gateway.errors import NoSuchEnvironment

from .environment_store import open_environment_register

PAGE = 500
"""Environments that are read from the store at a time."""


def settings_of(settings: Settings, name: str) -> Settings:
    """Return the settings of an environment, with its secrets; ``default`` is that of the settings themselves.

    Raises NoSuchEnvironment, StoreUnavailable, SecretUnreadable, SettingsError.
    """
    if name == OWN and settings.default_environment:
        return own_settings(settings)
    if name in settings.environments:
        return environment_settings(settings, name)
    if settings.stored_environments:
        with closing(open_environment_register(settings)) as register:
            options = register.options_with_secrets(name)
        if options is not None:
            return overlaid(settings, name, options, stored=True)
    raise no_such(name)


def names_of(settings: Settings) -> Iterator[str]:
    """Yield the names of all environments that are served. Raises StoreUnavailable, SettingsError."""
    if settings.default_environment:
        yield OWN
    yield from settings.environments
    if not settings.stored_environments:
        return
    with closing(open_environment_register(settings)) as register:
        after: str | None = None
        while page := register.list(after, PAGE):
            yield from (
                one.name
                for one in page
                if one.state == "active" and one.name not in settings.environments
            )
            after = page[-1].name


def no_such(name: str) -> NoSuchEnvironment:
    """Return the error for a name that is no environment's."""
    return NoSuchEnvironment(f"There is no environment {name}.")
