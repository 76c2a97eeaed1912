"""The register of environments: they are created, changed and removed. It blocks.

A change is prepared from what was read, and stored if the environment is still the same: keys are unwrapped outside of
transactions, for a vault may take a while.
"""

from __future__ import annotations

import builtins
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from gateway.config.environment_models import EnvironmentOptions
from gateway.errors import EnvironmentExists, VersionConflict

from .database import Database
from .encryption.key_encryption import KeyRing, KeyRole, WrappedKey
from .environment_rows import (
    delete_environment,
    insert_environment,
    keys_by_name,
    sealed_environment,
    store_secrets,
    stored_environments,
    update_environment,
    wrapping_keys,
)
from .environment_sealing import decrypted, encrypted, new_data_key, unsealed, unwrapped_key
from .hook_register import remove_hooks
from .revisions import count_change
from .stored_environment import (
    Linked,
    SealedEnvironment,
    State,
    StoredEnvironment,
    encode_options,
    split_secrets,
)
from .subscription_register import remove_subscriptions
from .tables import ENVIRONMENT_CALLS, ENVIRONMENT_DRIFT, ENVIRONMENT_STATUS, ENVIRONMENTS, HOOKS

_ID_BYTES = 16
_TRIES = 3
"""Attempts to change an environment while others may change it."""
_Store = Callable[[sa.Connection], None]
Event = Literal["linked", "updated", "disabled", "enabled", "removed"]
"""What happens to an environment."""
Record = Callable[[sa.Connection, Event, StoredEnvironment], None]


class NewEnvironment(Struct, frozen=True, kw_only=True):
    """An environment that is ready to be stored: its secrets are encrypted."""

    name: str
    row: Mapping[str, object]
    key: WrappedKey | None
    secrets: Mapping[str, bytes]


class DataKeyState(Struct, frozen=True, kw_only=True):
    """The key with which the secrets of an environment are encrypted."""

    environment: str
    version: int
    """Grows with each rotation."""
    wrapped_by: KeyRole
    created: float
    """Seconds since the epoch."""


class EnvironmentRegister:
    """The environments of one database. All methods raise StoreUnavailable.

    Those that encrypt or decrypt raise SecretUnreadable, SettingsError if there is no key of ours, and TokenError if a
    vault does not answer.
    """

    def __init__(self, database: Database, keys: KeyRing, record: Record | None = None) -> None:
        """``record`` is called in the transaction of each change that the integrator is told of."""
        self.database = database
        self._keys = keys
        self._record = record

    def create(
        self, name: str, options: EnvironmentOptions, linked: Linked | None = None
    ) -> StoredEnvironment:
        """Encrypt and store a new environment. Raises EnvironmentExists."""
        new = self.prepare(name, options, linked)
        with self.database.writing() as connection:
            return self.insert(connection, new)

    def prepare(
        self, name: str, options: EnvironmentOptions, linked: Linked | None = None
    ) -> NewEnvironment:
        """Encrypt a new environment for ``insert``."""
        plain, values = split_secrets(options)
        environment, now = secrets.token_hex(_ID_BYTES), time.time()
        key, sealed = None, {}
        if values:
            self._check_keys()
            data_key, key = new_data_key(self._keys, environment)
            sealed = encrypted(environment, data_key, key.version, values)
        row = {
            "id": environment,
            "name": name,
            "options": encode_options(plain),
            "state": "active",
            "version": 1,
            "reloads": 0,
            "created": now,
            "updated": now,
            "linked": _linked(linked),
        }
        return NewEnvironment(name=name, row=row, key=key, secrets=sealed)

    def insert(self, connection: sa.Connection, new: NewEnvironment) -> StoredEnvironment:
        """Store a new environment in a transaction of ``database.writing``, with what else belongs to it.

        Raises EnvironmentExists.
        """
        revision = count_change(self.database, connection, ENVIRONMENTS.name)
        is_it = ENVIRONMENTS.c.name == new.name
        if stored_environments(connection, is_it):
            raise EnvironmentExists(f"There is an environment {new.name} already.")
        if new.key is not None:
            # Again: replicas with different keys may each store their first environment at the same time.
            self._keys.check(wrapping_keys(connection))
        insert_environment(connection, {**new.row, "revision": revision})
        store_secrets(connection, str(new.row["id"]), new.key, new.secrets)
        return self._recorded(connection, "linked", stored_environments(connection, is_it)[0])

    def get(self, name: str) -> StoredEnvironment | None:
        """Return an environment; None if there is none of that name."""
        return next(iter(self._select(ENVIRONMENTS.c.name == name)), None)

    def list(self, after: str | None = None, limit: int | None = None) -> list[StoredEnvironment]:
        """Return environments by name: those after a name, at most ``limit``. Unreadable ones have a ``problem``."""
        condition = sa.true() if after is None else ENVIRONMENTS.c.name > after
        return self._select(condition, limit, tolerant=True)

    def replace(
        self,
        name: str,
        options: EnvironmentOptions,
        version: int | None = None,
        *,
        retained: frozenset[str] = frozenset(),
        linked: Linked | None = None,
    ) -> StoredEnvironment | None:
        """Store other options; return the environment as it is now, None if there is none of that name.

        ``retained`` are names of secrets that stay as they are unless ``options`` has others; ``linked`` is who has
        proved anew to administer it. Raises VersionConflict if ``version`` is not the current one.
        """
        plain, values = split_secrets(options)

        def prepare(sealed: SealedEnvironment) -> _Store:
            if version not in {None, sealed.version}:
                raise VersionConflict(
                    f"The environment {name} has version {sealed.version} by now.",
                    hint="Read it again, and repeat your change.",
                )
            key, texts = self._reseal(sealed, values, retained)
            row = {"options": encode_options(plain), **_counted(sealed)}
            if linked is not None:
                row["linked"] = _linked(linked)

            def store(connection: sa.Connection) -> None:
                update_environment(connection, sealed.id, row)
                store_secrets(connection, sealed.id, key, texts)

            return store

        return self.change(name, prepare, "updated" if linked is None else "linked")

    def set_state(self, name: str, state: State) -> StoredEnvironment | None:
        """Enable or disable an environment, which may be so already. None if there is none of that name."""

        def prepare(sealed: SealedEnvironment) -> _Store | None:
            row = {"state": state, **_counted(sealed)}
            if sealed.state == state:
                return None
            return lambda connection: update_environment(connection, sealed.id, row)

        return self.change(name, prepare, "enabled" if state == "active" else "disabled")

    def reload(self, name: str) -> StoredEnvironment | None:
        """Make all processes load the metadata of an environment anew. None if there is none of that name."""

        def prepare(sealed: SealedEnvironment) -> _Store:
            row = {"reloads": sealed.reloads + 1}
            return lambda connection: update_environment(connection, sealed.id, row)

        return self.change(name, prepare)

    def remove(self, name: str) -> StoredEnvironment | None:
        """Delete an environment and the key of its secrets; return it as it was, None if there was none.

        One whose options cannot be read is returned without any.
        """
        if not self.database.exists:
            return None
        with self.database.writing() as connection:
            count_change(self.database, connection, ENVIRONMENTS.name)
            is_it = ENVIRONMENTS.c.name == name
            removed = stored_environments(connection, is_it, tolerant=True)
            if removed:
                # Another environment may get the name.
                remove_hooks(connection, name)
                remove_subscriptions(connection, name)
                count_change(self.database, connection, HOOKS.name)
            for environment in removed:
                delete_environment(connection, environment.id)
                for table in (ENVIRONMENT_STATUS, ENVIRONMENT_CALLS, ENVIRONMENT_DRIFT):
                    connection.execute(table.delete().where(table.c.environment == name))
                self._recorded(connection, "removed", environment)
        self.erase()
        return removed[0] if removed else None

    def rotate(self, name: str) -> StoredEnvironment | None:
        """Encrypt the secrets of an environment with a new data key; None if there is none of that name.

        Whatever is read meanwhile, by whomever, is a key and what it encrypted: both are replaced at once.
        """

        def prepare(sealed: SealedEnvironment) -> _Store | None:
            if sealed.key is None and not sealed.secrets:
                return None
            values = decrypted(self._keys, sealed)
            before = 0 if sealed.key is None else sealed.key.version
            data_key, key = new_data_key(self._keys, sealed.id, before + 1)
            texts = encrypted(sealed.id, data_key, key.version, values)
            return lambda connection: store_secrets(connection, sealed.id, key, texts)

        return self.change(name, prepare)

    def erase(self) -> None:
        """Overwrite deleted keys and secrets, as far as that is up to us. To be called after rotations."""
        self.database.erase_deleted()

    def data_keys(self) -> builtins.list[DataKeyState]:
        """Return the data key of each environment that has secrets, by name."""
        if not self.database.exists:
            return []
        with self.database.reading() as connection:
            return [
                DataKeyState(
                    environment=name,
                    version=key.version,
                    wrapped_by=self._keys.role_of(key.wrapped_by),
                    created=key.created,
                )
                for name, key in keys_by_name(connection)
            ]

    def options_with_secrets(self, name: str) -> EnvironmentOptions | None:
        """Decrypt the options of an environment; None if there is none of that name."""
        sealed = self._sealed(name)
        return None if sealed is None else unsealed(self._keys, sealed)

    def change(
        self,
        name: str,
        prepare: Callable[[SealedEnvironment], _Store | None],
        event: Event | None = None,
    ) -> StoredEnvironment | None:
        """Prepare a change of an environment and store it; again, if it has become another in between.

        ``prepare`` returns None if nothing changes; ``event`` is what to tell the integrator. Returns None if there is
        no such environment.
        """
        for _ in range(_TRIES):
            sealed = self._sealed(name)
            store = None if sealed is None else prepare(sealed)
            if sealed is None or store is None:
                return self.get(name)
            with self.database.writing() as connection:
                revision = count_change(self.database, connection, ENVIRONMENTS.name)
                if sealed_environment(connection, name) == sealed:
                    return self._recorded(
                        connection, event, _changed(connection, sealed, store, revision)
                    )
        with self.database.writing() as connection:
            # Others change it all the time: now they wait until this change has been prepared, too.
            revision = count_change(self.database, connection, ENVIRONMENTS.name)
            sealed = sealed_environment(connection, name)
            store = None if sealed is None else prepare(sealed)
            if sealed is None or store is None:
                return next(
                    iter(stored_environments(connection, ENVIRONMENTS.c.name == name)), None
                )
            return self._recorded(connection, event, _changed(connection, sealed, store, revision))

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    def _recorded(
        self, connection: sa.Connection, event: Event | None, environment: StoredEnvironment
    ) -> StoredEnvironment:
        if self._record is not None and event is not None:
            self._record(connection, event, environment)
        return environment

    def _select(
        self, condition: sa.ColumnElement[bool], limit: int | None = None, *, tolerant: bool = False
    ) -> builtins.list[StoredEnvironment]:
        if not self.database.exists:
            return []
        with self.database.reading() as connection:
            return stored_environments(connection, condition, limit, tolerant=tolerant)

    def _sealed(self, name: str) -> SealedEnvironment | None:
        if not self.database.exists:
            return None
        with self.database.reading() as connection:
            return sealed_environment(connection, name)

    def _reseal(
        self, sealed: SealedEnvironment, values: Mapping[str, str], retained: frozenset[str]
    ) -> tuple[WrappedKey | None, Mapping[str, bytes]]:
        """Return data key and ciphertexts of an environment with new values."""
        old = {option: text for option, text in sealed.secrets.items() if option in retained}
        if not values:
            return (sealed.key if old else None), old
        self._check_keys()
        if sealed.key is None:
            data_key, key = new_data_key(self._keys, sealed.id)
        else:
            data_key, key = unwrapped_key(self._keys, sealed), sealed.key
        return key, {**old, **encrypted(sealed.id, data_key, key.version, values)}

    def _check_keys(self) -> None:
        if self.database.exists:
            with self.database.reading() as connection:
                self._keys.check(wrapping_keys(connection))


def _changed(
    connection: sa.Connection, sealed: SealedEnvironment, store: _Store, revision: int
) -> StoredEnvironment:
    """Store a change, and return the environment as it is now."""
    store(connection)
    update_environment(connection, sealed.id, {"revision": revision})
    return stored_environments(connection, ENVIRONMENTS.c.id == sealed.id)[0]


def _counted(sealed: SealedEnvironment) -> dict[str, object]:
    return {"version": sealed.version + 1, "updated": time.time()}


def _linked(linked: Linked | None) -> str | None:
    return None if linked is None else msgspec.json.encode(linked).decode()
