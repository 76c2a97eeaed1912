"""PostgreSQL, for many replicas. It is migrated by command; a layout that is behind or newer is refused.

The tables have a schema of their own, so that the database may hold others' as well. Passwords are read for each new
connection, so a rotated one needs no restart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from gateway.errors import SettingsError, StoreLayoutMismatch

from .database import Database
from .layout import VERSIONS, Layout

SCHEMA = "d365_graphql"
CHANNEL = "d365_graphql_store"
"""On which changes are announced: the payload is their subject."""
_LOCK = 0x6433_3635_6771_6C73
"""Number of the advisory lock that a migration has."""
_CONNECT = 3
"""Seconds in which a connection must be open."""
_SILENT = 5_000
"""Milliseconds after which a connection that does not acknowledge what is sent is closed."""
_STATEMENT = 5_000
"""Milliseconds that a statement may take; a migration may take longer."""


def connection_options(address: SecretStr) -> dict[str, Any]:
    """Return the parameters of a connection: those of the address over our defaults. Raises SettingsError.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
    """
    try:
        parts = conninfo_to_dict(address.get_secret_value())
    except psycopg.ProgrammingError:
        # The error has parts of the address, and they may be the password.
        raise SettingsError(
            "store: the address of PostgreSQL cannot be read.",
            hint="Write postgresql://USER:PASSWORD@HOST/DATABASE, with special characters as %XX.",
        ) from None
    hosts = str(parts.get("host") or "").split(",")
    is_local = all(
        host.startswith("/") or host in {"", "localhost", "127.0.0.1", "::1"} for host in hosts
    )
    defaults = {
        "connect_timeout": _CONNECT,
        "tcp_user_timeout": _SILENT,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "application_name": "d365-graphql",
        # libpq's own default also sends passwords and digests in the clear.
        **({} if is_local else {"sslmode": "require"}),
    }
    return {**defaults, **parts}


class PostgresDatabase(Database):
    """The tables of the gateway in a database of PostgreSQL."""

    schema = SCHEMA
    hint = "Can this machine reach PostgreSQL, and are address, user and password of the setting store right?"

    def __init__(self, address: SecretStr) -> None:
        options = connection_options(address)
        super().__init__(
            f"{options.get('dbname', '')} in PostgreSQL at {options.get('host') or 'localhost'}"
        )
        self._address = address

    @property
    def exists(self) -> bool:
        """Always: it was made by others."""
        return True

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection for reading, with a transaction. Raises StoreLayoutMismatch."""
        with self._errors(), self._open().connect() as connection:
            # All statements see the same rows, as in SQLite.
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            self._require_current(connection)
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield a connection with a transaction, which is committed at the end. Raises StoreLayoutMismatch."""
        with self._errors(), self._open().begin() as connection:
            self._require_current(connection)
            yield connection

    @contextmanager
    def _begin_migration(self) -> Iterator[sa.Connection]:
        with self._open().begin() as connection:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            # Until the end of the transaction: another migration waits, and finds nothing left to do.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield connection

    def announce(self, connection: sa.Connection, subject: str) -> None:
        """Send a notification with the commit."""
        connection.execute(sa.select(sa.func.pg_notify(CHANNEL, subject)))

    def lock(self, connection: sa.Connection, name: str) -> None:
        """Wait for other transactions of that name, until the end of this one."""
        # 64 bits of a digest: two names that share a lock only wait for each other.
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        number = int.from_bytes(digest, signed=True)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))

    def _bring_up_to_date(self, connection: sa.Connection) -> Layout:
        # CREATE SCHEMA IF NOT EXISTS needs the right to create one, even if an administrator has made it.
        if not sa.inspect(connection).has_schema(SCHEMA):
            connection.execute(sa.schema.CreateSchema(SCHEMA))
        return super()._bring_up_to_date(connection)

    def _require_current(self, connection: sa.Connection) -> None:
        if self._is_current:
            return
        layout = self._check(connection)
        if layout.state == "behind":
            has = f"has the layout {layout.version}" if layout.version else "has no tables yet"
            raise StoreLayoutMismatch(
                f"The store {self.name} {has}; this version of the gateway needs {VERSIONS[-1]}.",
                hint="Run `d365-graphql store migrate` once, with a user that may create tables.",
            )
        self._is_current = True

    def _make_engine(self) -> sa.Engine:
        def connect() -> psycopg.Connection[Any]:
            try:
                options = connection_options(self._address)
            except SettingsError as error:  # of a file that was replaced
                raise psycopg.OperationalError(error.message) from None
            # Statements are not prepared: a pooler may send the next transaction to another session.
            return psycopg.connect(**options, prepare_threshold=None)

        engine = sa.create_engine(
            "postgresql+psycopg://", creator=connect, pool_size=2, pool_pre_ping=True
        )
        sa.event.listen(engine, "begin", _limit)
        return engine.execution_options(schema_translate_map={None: SCHEMA})


def _limit(connection: sa.Connection) -> None:
    # For the transaction alone: a pooler shares its sessions.
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {_STATEMENT}")
