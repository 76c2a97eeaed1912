"""The register of API keys: they are created, listed, revoked, and read for those who check them. It blocks."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from .api_keys import PREFIX, ApiKey, digest_of
from .database import Database
from .revisions import count_change
from .tables import API_KEYS

_ID_BYTES = 6
_SECRET_BYTES = 32
_LISTS = ("roles", "environments")
"""Columns that hold a list as JSON."""


class KeyRegister:
    """The keys of one database. All methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        name: str,
        roles: Sequence[str],
        expires_at: float | None,
        environments: Sequence[str] = (),
    ) -> tuple[ApiKey, str]:
        """Store a new key; return it with the text that clients send, which is stored nowhere."""
        key_id = secrets.token_hex(_ID_BYTES)
        # Without a second underscore, and no character that a shell or a header would treat.
        secret = base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode().rstrip("=").lower()
        key = ApiKey(
            id=key_id,
            name=name,
            digest=digest_of(secret),
            roles=tuple(sorted(set(roles))),
            created=time.time(),
            expires_at=expires_at,
            environments=tuple(sorted(set(environments))),
        )
        lists = {name: msgspec.json.encode(getattr(key, name)).decode() for name in _LISTS}
        values = {**msgspec.structs.asdict(key), **lists}
        with self._database.writing() as connection:
            connection.execute(API_KEYS.insert().values(values))
            count_change(self._database, connection, API_KEYS.name)
        return key, f"{PREFIX}_{key_id}_{secret}"

    def list(self) -> list[ApiKey]:
        """Return all keys, the oldest first."""
        if not self._database.exists:
            return []
        with self._database.reading() as connection:
            return list(keys_in(connection).values())

    def revoke(self, key_id: str) -> ApiKey | None:
        """Revoke a key and return it as it is now; None if there is none. One that was revoked stays as it was."""
        if not self._database.exists:
            return None
        with self._database.writing() as connection:
            is_key = API_KEYS.c.id == key_id
            revoked = API_KEYS.update().where(is_key, API_KEYS.c.revoked.is_(None))
            connection.execute(revoked.values(revoked=time.time()))
            count_change(self._database, connection, API_KEYS.name)
            return keys_in(connection).get(key_id)

    def record_uses(self, uses: Mapping[str, float]) -> None:
        """Store times of last use by key id. Another process may have stored later ones."""
        if not self._database.exists:
            return
        with self._database.writing() as connection:
            for key_id, at in uses.items():
                earlier = sa.or_(API_KEYS.c.last_used.is_(None), API_KEYS.c.last_used < at)
                statement = API_KEYS.update().where(API_KEYS.c.id == key_id, earlier)
                connection.execute(statement.values(last_used=at))

    def close(self) -> None:
        """Close the connections."""
        self._database.close()


def keys_in(connection: sa.Connection) -> dict[str, ApiKey]:
    """Return all keys by id, the oldest first."""
    rows = connection.execute(sa.select(API_KEYS).order_by(API_KEYS.c.created, API_KEYS.c.id))
    keys = (dict(row) for row in rows.mappings())
    return {
        row["id"]: ApiKey(
            **{**row, **{name: tuple(msgspec.json.decode(row[name])) for name in _LISTS}}
        )
        for row in keys
    }
