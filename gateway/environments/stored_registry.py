"""The environments of the settings and of the store, as requests find them: in memory, at most two seconds behind.

    store ──what has changed──▶ sealed environments in memory ──first request──▶ decrypted, checked ──▶ settings

The settings' environments win over those of the store. Of a stored environment, memory holds what the store holds, so
that it can be opened while the store is away; its secrets are decrypted when it is opened, and by nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from gateway.config.environments import option_problems, overlaid
from gateway.config.profiles import EnvironmentSettings
from gateway.config.settings import Settings
from gateway.config.stored_options import unsafe_options
from gateway.errors import SettingsError
from gateway.store.encryption.key_encryption import KeyRing
from gateway.store.environment_sealing import unsealed
from gateway.store.polling import StorePoller, Subject
from gateway.store.stored_environment import EnvironmentChanges, SealedEnvironment

from .registry import Environment, SettingsRegistry

if TYPE_CHECKING:  # it takes 0.4 s
    import sqlalchemy as sa


class _Roles(Struct):
    """Of the options of an environment, what is needed before it is opened."""

    roles: tuple[str, ...] = ()


class _Entry:
    """An environment of the store, which changes while it is open if only its keys do."""

    __slots__ = ("environment", "sealed")

    def __init__(self, sealed: SealedEnvironment, environment: Environment) -> None:
        self.sealed = sealed
        self.environment = environment


class StoredRegistry:
    """The environments of a deployment with a store. Belongs to one event loop."""

    def __init__(self, settings: Settings, keys: KeyRing, poller: StorePoller) -> None:
        self._settings = settings
        self._keys = keys
        self._declared = SettingsRegistry(settings)
        self._poller = poller
        self._by_id: dict[str, _Entry] = {}
        self._by_name: dict[str, _Entry] = {}
        self._changed: Callable[[], None] = lambda: None
        self._reload: Callable[[str], None] = lambda _: None
        self._removed: Callable[[str], None] = lambda _: None
        poller.follow(
            Subject(
                name="environments",
                read=_read,
                empty=EnvironmentChanges(names={}, changed=()),
                apply=self._apply,
                is_watched=True,
            )
        )

    @property
    def is_complete(self) -> bool:
        """Whether the store was read; until then, any name may be one of its environments."""
        return self._poller.has_read

    def find(self, name: str) -> Environment | None:
        """Return an environment; None if there is none of that name, or it is disabled."""
        declared = self._declared.find(name)
        if declared is not None:
            return declared
        entry = self._by_name.get(name)
        return None if entry is None or entry.sealed.state != "active" else entry.environment

    def names(self) -> Iterator[str]:
        """Yield the names of all environments that are served."""
        yield from self._declared.names()
        for name in self._by_name:
            if self._declared.find(name) is None and self.find(name) is not None:
                yield name

    def follow(
        self,
        changed: Callable[[], None],
        reload: Callable[[str], None],
        removed: Callable[[str], None],
    ) -> None:
        """Call ``changed`` after each change, ``reload`` and ``removed`` with the name of such an environment."""
        self._changed, self._reload, self._removed = changed, reload, removed

    def _apply(self, changes: EnvironmentChanges) -> None:
        reloaded = []
        for sealed in changes.changed:
            entry = self._by_id.get(sealed.id)
            if entry is not None and entry.sealed.version == sealed.version:
                # New keys, or a reload: what is open stays open.
                if entry.sealed.reloads != sealed.reloads:
                    reloaded.append(sealed.name)
                entry.sealed = sealed
            else:
                self._by_id[sealed.id] = self._entry(sealed)
        removed = [e.sealed.name for id_, e in self._by_id.items() if id_ not in changes.names]
        self._by_id = {id_: e for id_, e in self._by_id.items() if id_ in changes.names}
        self._by_name = {entry.sealed.name: entry for entry in self._by_id.values()}
        self._changed()
        for name in removed:
            if self._declared.find(name) is None:
                self._removed(name)
        for name in reloaded:
            self._reload(name)

    def _entry(self, sealed: SealedEnvironment) -> _Entry:
        try:
            roles = msgspec.json.decode(sealed.options, type=_Roles).roles
        except msgspec.DecodeError:  # it is an error when it is opened, and harms no other
            roles = ()
        environment = Environment(sealed.name, partial(self._open, sealed.id), roles)
        return _Entry(sealed, environment)

    def _open(self, id_: str) -> EnvironmentSettings:
        """Return the settings of an environment; blocks, in a thread.

        Raises SettingsError if they do not fit the deployment's, SecretUnreadable, TokenError, StoreLayoutMismatch.
        """
        entry = self._by_id.get(id_)
        if entry is None:
            raise SettingsError("The environment was removed.")
        sealed = entry.sealed
        options = unsealed(self._keys, sealed)
        problems = [
            f"{place.lstrip('.') or 'options'}: {problem}"
            for place, problem in (
                *unsafe_options(self._settings, options),
                *option_problems(self._settings, sealed.name, options),
            )
        ]
        if problems:
            raise SettingsError("; ".join(problems))
        own = overlaid(self._settings, sealed.name, options, stored=True)
        # As for those that are declared: the snapshot in use and the one before, if no two documents are equal.
        kept = 2 * (len(self._settings.environments) + len(self._by_id))
        return own.model_copy(update={"kept_snapshots": max(own.kept_snapshots, kept)})


def _read(connection: sa.Connection, revision: int | None) -> EnvironmentChanges:
    from gateway.store.environment_rows import changes_in  # noqa: PLC0415 - importing SQLAlchemy takes 0.4 s

    return changes_in(connection, revision)
