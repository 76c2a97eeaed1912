"""The statements with which environments are read and written, within transactions of the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.config.environment_models import EnvironmentOptions
from gateway.errors import StoreLayoutMismatch

from .encryption.key_encryption import WrappedKey
from .revisions import revisions_in
from .stored_environment import (
    EnvironmentChanges,
    Linked,
    SealedEnvironment,
    StoredEnvironment,
    decode_options,
)
from .tables import DATA_KEYS, ENVIRONMENT_SECRETS, ENVIRONMENTS

_SEALED = ("id", "name", "options", "state", "version", "reloads", "revision")


def changes_in(connection: sa.Connection, revision: int | None) -> EnvironmentChanges:
    """Return what has changed since a revision; without one everything has."""
    current = revisions_in(connection)[ENVIRONMENTS.name]
    # A lower number is that of a database that was restored.
    is_whole = revision is None or current < revision
    condition = sa.true() if is_whole else ENVIRONMENTS.c.revision > revision
    rows = connection.execute(sa.select(ENVIRONMENTS.c.id, ENVIRONMENTS.c.name))
    return EnvironmentChanges(
        names={row.id: row.name for row in rows}, changed=tuple(_sealed(connection, condition))
    )


def sealed_environment(connection: sa.Connection, name: str) -> SealedEnvironment | None:
    """Return an environment as it is in the store; None if there is none of that name."""
    return next(iter(_sealed(connection, ENVIRONMENTS.c.name == name)), None)


def stored_environments(
    connection: sa.Connection,
    condition: sa.ColumnElement[bool],
    limit: int | None = None,
    *,
    tolerant: bool = False,
) -> list[StoredEnvironment]:
    """Return environments by name. Raises StoreLayoutMismatch if one cannot be read; ``tolerant``: it has a problem."""
    order = sa.select(ENVIRONMENTS).where(condition).order_by(ENVIRONMENTS.c.name).limit(limit)
    rows = connection.execute(order).mappings().all()
    secrets: dict[str, set[str]] = {}
    ids = [row["id"] for row in rows]
    columns = ENVIRONMENT_SECRETS.c
    named = sa.select(columns.environment, columns.option).where(columns.environment.in_(ids))
    for environment, option in connection.execute(named):
        secrets.setdefault(environment, set()).add(option)
    return [_stored(row, frozenset(secrets.get(row["id"], ())), tolerant) for row in rows]


def wrapping_keys(connection: sa.Connection) -> list[str]:
    """Return the names of all keys that have wrapped the data keys of the store."""
    return list(connection.execute(sa.select(DATA_KEYS.c.wrapped_by).distinct()).scalars())


def keys_by_name(connection: sa.Connection) -> list[tuple[str, WrappedKey]]:
    """Return the data keys with the names of their environments, by these."""
    joined = ENVIRONMENTS.join(DATA_KEYS, DATA_KEYS.c.environment == ENVIRONMENTS.c.id)
    rows = sa.select(ENVIRONMENTS.c.name, DATA_KEYS).select_from(joined)
    return [
        (row.name, WrappedKey(row.version, row.wrapped, row.wrapped_by, row.created))
        for row in connection.execute(rows.order_by(ENVIRONMENTS.c.name))
    ]


def insert_environment(connection: sa.Connection, row: Mapping[str, object]) -> None:
    """Store a new environment."""
    connection.execute(ENVIRONMENTS.insert().values(dict(row)))


def update_environment(
    connection: sa.Connection, environment: str, values: Mapping[str, object]
) -> None:
    """Store other values of an environment."""
    is_it = ENVIRONMENTS.c.id == environment
    connection.execute(ENVIRONMENTS.update().where(is_it).values(dict(values)))


def delete_environment(connection: sa.Connection, environment: str) -> None:
    """Delete an environment with its secrets, and the key without which these cannot be read from a backup."""
    store_secrets(connection, environment, None, {})
    connection.execute(ENVIRONMENTS.delete().where(ENVIRONMENTS.c.id == environment))


def store_secrets(
    connection: sa.Connection,
    environment: str,
    key: WrappedKey | None,
    secrets: Mapping[str, bytes],
) -> None:
    """Store data key and secrets of an environment in the place of those that it had."""
    for table in (DATA_KEYS, ENVIRONMENT_SECRETS):
        connection.execute(table.delete().where(table.c.environment == environment))
    if key is not None:
        values = {**msgspec.structs.asdict(key), "environment": environment}
        connection.execute(DATA_KEYS.insert().values(values))
    rows = [{"environment": environment, "option": o, "sealed": s} for o, s in secrets.items()]
    if rows:
        connection.execute(ENVIRONMENT_SECRETS.insert(), rows)


def _sealed(
    connection: sa.Connection, condition: sa.ColumnElement[bool]
) -> list[SealedEnvironment]:
    ids = sa.select(ENVIRONMENTS.c.id).where(condition)
    keys = {
        row.environment: WrappedKey(row.version, row.wrapped, row.wrapped_by, row.created)
        for row in connection.execute(sa.select(DATA_KEYS).where(DATA_KEYS.c.environment.in_(ids)))
    }
    secrets: dict[str, dict[str, bytes]] = {}
    is_chosen = ENVIRONMENT_SECRETS.c.environment.in_(ids)
    for row in connection.execute(sa.select(ENVIRONMENT_SECRETS).where(is_chosen)):
        secrets.setdefault(row.environment, {})[row.option] = row.sealed
    columns = [ENVIRONMENTS.c[name] for name in _SEALED]
    return [
        SealedEnvironment(**row, key=keys.get(row["id"]), secrets=secrets.get(row["id"], {}))
        for row in connection.execute(sa.select(*columns).where(condition)).mappings()
    ]


def _stored(row: sa.RowMapping, secrets: frozenset[str], tolerant: bool) -> StoredEnvironment:
    values: dict[str, Any] = dict(row)
    del values["revision"]
    try:
        values["options"] = decode_options(values["name"], values["options"])
    except StoreLayoutMismatch as error:
        if not tolerant:
            raise
        values |= {"options": EnvironmentOptions.model_construct(), "problem": error.message}
    linked = values["linked"]
    values["linked"] = None if linked is None else msgspec.json.decode(linked, type=Linked)
    return StoredEnvironment(**values, secrets=secrets)
