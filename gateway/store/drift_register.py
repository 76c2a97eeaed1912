"""The register of how the metadata of environments changed, and what that means for clients. It blocks.

Several processes find the same change: the first one begins its entry and compares the schemas, the others leave it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import sqlalchemy as sa

from .database import Database
from .status_rows import DriftEntry
from .tables import ENVIRONMENT_DRIFT


class DriftRegister:
    """The drift of environments in one database. All methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self, environment: str, before: str | None, after: str, at: float, seen: float
    ) -> DriftEntry | None:
        """Return the new entry of a change; None if the newest one is of the same document, or was later than ``seen``.

        The change is from the document that the store knows last, or else from ``before``.
        """
        row = ENVIRONMENT_DRIFT.c
        newest = sa.select(row.after, row.at).where(row.environment == environment)
        newest = newest.order_by(row.at.desc(), row.id.desc()).limit(1)
        with self._database.writing() as connection:
            self._database.lock(connection, f"drift {environment}")
            last = connection.execute(newest).one_or_none()
            known = None if last is None else str(last.after)
            if last is not None and (known == after or last.at > seen):
                return None
            entry = DriftEntry(
                id=secrets.token_hex(8),
                environment=environment,
                at=at,
                before=known or before,
                after=after,
            )
            connection.execute(ENVIRONMENT_DRIFT.insert().values(_values(entry)))
            return entry

    def finish(self, entry: DriftEntry, changes: str) -> None:
        """Store the changes of an entry."""
        with self._database.writing() as connection:
            is_entry = ENVIRONMENT_DRIFT.c.id == entry.id
            connection.execute(ENVIRONMENT_DRIFT.update().where(is_entry).values(changes=changes))

    def entries(self, environment: str, since: float) -> Sequence[DriftEntry]:
        """Return the changes of an environment since a time, the newest first."""
        if not self._database.exists:
            return []
        row = ENVIRONMENT_DRIFT.c
        chosen = sa.select(ENVIRONMENT_DRIFT).where(row.environment == environment, row.at >= since)
        with self._database.reading() as connection:
            rows = connection.execute(chosen.order_by(row.at.desc(), row.id.desc())).mappings()
            return [DriftEntry(**found) for found in rows]

    def purge(self, before: float) -> None:
        """Remove changes before a time, but for the newest of each environment: it says which document was last."""
        if not self._database.exists:
            return
        row, later = ENVIRONMENT_DRIFT.c, ENVIRONMENT_DRIFT.alias()
        is_not_last = sa.exists().where(later.c.environment == row.environment, later.c.at > row.at)
        with self._database.writing() as connection:
            connection.execute(ENVIRONMENT_DRIFT.delete().where(row.at < before, is_not_last))

    def close(self) -> None:
        """Close the connections."""
        self._database.close()


def _values(entry: DriftEntry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in entry.__struct_fields__}
