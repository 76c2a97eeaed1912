"""The register of link sessions: stored, read and changed as texts, by those who know what they mean. It blocks.

A change names the version that it was made from: of two that were made from the same one, the second is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from msgspec import Struct

from gateway.errors import VersionConflict

from .database import Database
from .tables import LINK_SESSIONS


class StoredSession(Struct, frozen=True, kw_only=True):
    """A link session as it is stored."""

    id: str
    digest: str
    """Of the token in its address, by which it is found."""
    version: int
    expires_at: float
    """Seconds since the epoch."""
    content: str
    """JSON."""


class LinkRegister:
    """The link sessions of one database. All methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, session: StoredSession, now: float) -> None:
        """Store a new session, and delete those that have expired."""
        with self._database.writing() as connection:
            expired = LINK_SESSIONS.c.expires_at <= now
            connection.execute(LINK_SESSIONS.delete().where(expired))
            connection.execute(LINK_SESSIONS.insert().values(_values(session)))

    def by_digest(self, digest: str) -> StoredSession | None:
        """Return the session with this token; None if there is none."""
        return self._find(LINK_SESSIONS.c.digest == digest)

    def by_id(self, session_id: str) -> StoredSession | None:
        """Return a session; None if there is none."""
        return self._find(LINK_SESSIONS.c.id == session_id)

    def delete(self, session_id: str) -> bool:
        """Delete a session; return whether there was one. A visitor who has begun with it cannot go on."""
        if not self._database.exists:
            return False
        with self._database.writing() as connection:
            is_it = LINK_SESSIONS.c.id == session_id
            return connection.execute(LINK_SESSIONS.delete().where(is_it)).rowcount == 1

    def replace(self, session: StoredSession) -> None:
        """Store the next version of a session. Raises VersionConflict unless the one before is stored."""
        with self.replacing(session):
            pass

    @contextmanager
    def replacing(self, session: StoredSession) -> Iterator[sa.Connection]:
        """Yield a transaction in which the next version of a session is stored together with what the caller changes.

        Raises VersionConflict.
        """
        with self._database.writing() as connection:
            before = sa.and_(
                LINK_SESSIONS.c.id == session.id, LINK_SESSIONS.c.version == session.version - 1
            )
            statement = LINK_SESSIONS.update().where(before).values(_values(session))
            if connection.execute(statement).rowcount != 1:
                raise VersionConflict(f"The link session {session.id} was changed meanwhile.")
            yield connection

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def _find(self, condition: sa.ColumnElement[bool]) -> StoredSession | None:
        if not self._database.exists:
            return None
        with self._database.reading() as connection:
            row = connection.execute(sa.select(LINK_SESSIONS).where(condition)).mappings().first()
        return None if row is None else StoredSession(**row)


def _values(session: StoredSession) -> dict[str, object]:
    return {name: getattr(session, name) for name in session.__struct_fields__}
