"""Sandboxes as environments, so that a newcomer sees several in a minute: ``serve --demo-environments 3``."""

from __future__ import annotations

from typing import Literal

from gateway.errors import SettingsError

from .environment_models import EnvironmentOptions
from .setting_models import SandboxOptions
from .settings import Settings

_COMPANIES = ("usmf", "demf", "dat")
_TITLES = ("Production", "Test", "Training")
_KINDS: tuple[Literal["test", "development"] | None, ...] = (None, "test", "development")


def with_demos(settings: Settings, number: int) -> Settings:
    """Return settings with so many sandboxes as further environments. Raises SettingsError if a name is in use."""
    if not number:
        return settings
    demos = {f"demo-{index + 1}": _demo(index) for index in range(number)}
    taken = sorted(demos.keys() & settings.environments.keys())
    if taken:
        raise SettingsError(
            f"There is an environment {taken[0]} in the settings.",
            hint="Omit --demo-environments, or rename it.",
        )
    return settings.model_copy(update={"environments": {**settings.environments, **demos}})


def _demo(index: int) -> EnvironmentOptions:
    turn = index % len(_COMPANIES)
    return EnvironmentOptions(
        title=f"{_TITLES[turn]} {index // len(_TITLES) + 1}",
        kind=_KINDS[turn],
        # Each reads another company by default, and has other rows.
        companies=(_COMPANIES[turn],),
        sandbox=SandboxOptions(seed=100 + index, scale=0.5),
    )
