"""The register of hooks: the secrets of the addresses at which environments report events. It blocks.

create ──▶ current ──rotate──▶ expires after a while, so that the environment can be told the new address
└──revoke──▶ removed
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from msgspec import Struct

from .database import Database
from .revisions import count_change
from .tables import HOOKS

SUBJECT = "hooks"
_SECRET_BYTES = 32


class Hook(Struct, frozen=True, kw_only=True):
    """One secret of an environment. Times are seconds since the epoch."""

    digest: str
    environment: str
    created: float
    expires_at: float | None
    """None: it is the current one."""


def digest_of(secret: str) -> str:
    """Return the digest by which a secret is stored: one of 256 random bits needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


class HookRegister:
    """The hooks of one database. All methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, environment: str, now: float, grace: float | None) -> str | None:
        """Return the secret of a new hook, which is stored nowhere; None if there is one already.

        ``grace``: seconds for which those that are there can still be used; None: none may be there.
        """
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        current = sa.and_(HOOKS.c.environment == environment, HOOKS.c.expires_at.is_(None))
        hook = Hook(digest=digest_of(secret), environment=environment, created=now, expires_at=None)
        with self._database.writing() as connection:
            self._database.lock(connection, SUBJECT)
            self._forget(connection, now)
            if grace is None and connection.execute(sa.select(HOOKS).where(current)).first():
                return None
            ends = now + (grace or 0.0)
            connection.execute(HOOKS.update().where(current).values(expires_at=ends))
            values = {name: getattr(hook, name) for name in Hook.__struct_fields__}
            connection.execute(HOOKS.insert().values(values))
            count_change(self._database, connection, SUBJECT)
        return secret

    def revoke(self, environment: str) -> int:
        """Remove the hooks of an environment; return how many there were."""
        if not self._database.exists:
            return 0
        with self._database.writing() as connection:
            removed = remove_hooks(connection, environment)
            count_change(self._database, connection, SUBJECT)
            return removed

    def list(self) -> Sequence[Hook]:
        """Return all hooks, by environment, the newest first."""
        if not self._database.exists:
            return ()
        with self._database.reading() as connection:
            return [hook for hooks in hooks_in(connection).values() for hook in hooks]

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    @staticmethod
    def _forget(connection: sa.Connection, now: float) -> None:
        connection.execute(HOOKS.delete().where(HOOKS.c.expires_at <= now))


def remove_hooks(connection: sa.Connection, environment: str) -> int:
    """Remove the hooks of an environment in a transaction; return how many there were."""
    of = HOOKS.c.environment == environment
    return int(connection.execute(HOOKS.delete().where(of)).rowcount)


def hooks_in(connection: sa.Connection) -> Mapping[str, Sequence[Hook]]:
    """Return the hooks of each environment, the newest first."""
    rows = connection.execute(
        sa.select(HOOKS).order_by(HOOKS.c.environment, HOOKS.c.created.desc())
    )
    by_environment: dict[str, list[Hook]] = {}
    for row in rows.mappings():
        by_environment.setdefault(row["environment"], []).append(Hook(**row))
    return by_environment
