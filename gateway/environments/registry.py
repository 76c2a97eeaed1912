"""Which environments there are: a protocol, and the registry of those that the settings declare."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

from msgspec import Struct

from gateway.config.environments import environment_settings
from gateway.config.profiles import EnvironmentSettings
from gateway.config.settings import Settings


class Environment(Struct, frozen=True, eq=False):
    """An environment as it is declared. Whatever of it changes, it is another object."""

    name: str
    settings: Callable[[], EnvironmentSettings]
    """Makes its settings, when it is opened. Blocks, as secrets of a store are decrypted for it."""
    roles: tuple[str, ...] = ()
    """Names of the roles that exist in it; empty: all."""


class Registry(Protocol):
    """Which environments there are. It answers from memory: requests wait for no store."""

    @property
    def is_complete(self) -> bool:
        """Whether all environments are known. If not, any name may be one of a store that was not read yet."""
        ...

    def find(self, name: str) -> Environment | None:
        """Return an environment as it is declared now; None if there is none of that name."""
        ...

    def names(self) -> Iterator[str]:
        """Yield the names of all environments."""
        ...

    def follow(
        self,
        changed: Callable[[], None],
        reload: Callable[[str], None],
        removed: Callable[[str], None],
    ) -> None:
        """Call ``changed`` after each change, ``reload`` with the name of one whose metadata is to be reloaded.

        ``removed`` is called with the name of one that is gone; another one may have that name already.
        """
        ...


class SettingsRegistry:
    """The environments that the settings declare, which stay the same."""

    is_complete = True

    def __init__(self, settings: Settings) -> None:
        self._environments = {
            name: Environment(name, partial(environment_settings, settings, name), options.roles)
            for name, options in settings.environments.items()
        }

    def find(self, name: str) -> Environment | None:
        """Return an environment; None if there is none of that name."""
        return self._environments.get(name)

    def names(self) -> Iterator[str]:
        """Yield the names of all environments."""
        return iter(self._environments)

    def follow(
        self,
        changed: Callable[[], None],
        reload: Callable[[str], None],
        removed: Callable[[str], None],
    ) -> None:
        """Do nothing, as nothing changes."""
