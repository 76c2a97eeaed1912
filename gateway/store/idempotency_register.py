"""The register of idempotency keys: which run of a mutation holds a key, and what it has answered. It blocks.

    begin ──▶ running, leased ──finish──▶ ended: its answer stays for a day
                │    │ release: nothing was written
                │    └──▶ free again
                └─ the process is killed: the lease ends, and nobody knows what was written;
                   a run that finds out by natural keys may take over

The transaction of ``begin`` decides which of several equal requests runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace

from .database import Database
from .tables import IDEMPOTENCY_KEYS

DAY = 86_400.0


class KeyEntry(Struct, frozen=True, kw_only=True):
    """A key as it is stored."""

    id: str
    digest: str
    """Of the input."""
    run: str
    """Id of the run that holds the key."""
    leased_until: float
    """Seconds since the epoch; a run that has not ended by then was killed."""
    expires_at: float
    """Seconds since the epoch."""
    sealed: bytes | None = None
    """The encrypted answer; None: the run has not ended."""


class IdempotencyRegister:
    """The keys of one database. All methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, entries: Sequence[KeyEntry], now: float) -> list[KeyEntry]:
        """Store each entry unless there is one with its id; return those that are stored."""
        with self._database.writing() as connection:
            expired = IDEMPOTENCY_KEYS.c.expires_at <= now
            connection.execute(IDEMPOTENCY_KEYS.delete().where(expired))
            return [self._begin(connection, entry) for entry in entries]

    def _begin(self, connection: sa.Connection, entry: KeyEntry) -> KeyEntry:
        stored = self._find(connection, entry.id)
        if stored is not None:
            return stored
        try:
            # A part of the transaction: another process may be as fast.
            with connection.begin_nested():
                values = {name: getattr(entry, name) for name in entry.__struct_fields__}
                connection.execute(IDEMPOTENCY_KEYS.insert().values(values))
        except sa.exc.IntegrityError:
            # If that one was released since, its client learns so, and sends it again.
            return self._find(connection, entry.id) or replace(entry, run="")
        return entry

    def take_over(self, stored: KeyEntry, entry: KeyEntry) -> bool:
        """Put an entry in the place of a killed run's; return whether nobody else was faster."""
        is_unchanged = sa.and_(
            _is_of(stored), IDEMPOTENCY_KEYS.c.leased_until == stored.leased_until
        )
        values = {"run": entry.run, "leased_until": entry.leased_until}
        with self._database.writing() as connection:
            taken = connection.execute(IDEMPOTENCY_KEYS.update().where(is_unchanged).values(values))
        return taken.rowcount == 1

    def renew(self, entries: Sequence[KeyEntry], leased_until: float) -> None:
        """Extend the leases of runs."""
        with self._database.writing() as connection:
            for entry in entries:
                _change(connection, entry, leased_until=leased_until)

    def settle(
        self, finished: Sequence[tuple[KeyEntry, bytes]], released: Sequence[KeyEntry]
    ) -> None:
        """Store the answers of runs, and remove the entries of those that have written nothing."""
        with self._database.writing() as connection:
            for entry, sealed in finished:
                _change(connection, entry, sealed=sealed)
            for entry in released:
                connection.execute(IDEMPOTENCY_KEYS.delete().where(_is_of(entry)))

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    @staticmethod
    def _find(connection: sa.Connection, entry_id: str) -> KeyEntry | None:
        is_it = sa.select(IDEMPOTENCY_KEYS).where(IDEMPOTENCY_KEYS.c.id == entry_id)
        row = connection.execute(is_it).mappings().first()
        return None if row is None else KeyEntry(**row)


def _change(connection: sa.Connection, entry: KeyEntry, **values: object) -> None:
    connection.execute(IDEMPOTENCY_KEYS.update().where(_is_of(entry)).values(values))


def _is_of(entry: KeyEntry) -> sa.ColumnElement[bool]:
    return sa.and_(IDEMPOTENCY_KEYS.c.id == entry.id, IDEMPOTENCY_KEYS.c.run == entry.run)
