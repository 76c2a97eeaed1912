"""The register of sweeps: the state of each list as of its last sweep, and what each sweep has found. It blocks.

    lease ──▶ one process sweeps ──finish──▶ state, number + 1, what has changed since the sweep before
       └─ the process is killed: its lease ends, and another one sweeps

States and changes are bytes here. What is too old is removed, and so are the lists that were used least recently.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from .database import Database
from .sweep_rows import SweepHead, SweepResult
from .tables import SWEEP_CHANGES, SWEEPS


class SweepRegister:
    """The sweeps of one database. All methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def head(self, feed: str, environment: str, now: float, most: int) -> SweepHead:
        """Return the last sweep of a list, which is registered if it is new; then it may take the place of another."""
        with self._database.writing() as connection:
            # Two processes may need a new one at the same time.
            self._database.lock(connection, "sweeps")
            columns = [SWEEPS.c[name] for name in SweepHead.__struct_fields__]
            found = connection.execute(sa.select(*columns).where(SWEEPS.c.feed == feed)).mappings()
            row = found.first()
            if row is not None:
                used = SWEEPS.update().where(SWEEPS.c.feed == feed).values(used_at=now)
                connection.execute(used)
                return SweepHead(**row)
            own = SWEEPS.c.environment == environment
            oldest = sa.select(SWEEPS.c.feed).where(own).order_by(SWEEPS.c.used_at.desc())
            for old in connection.execute(oldest.offset(most - 1)).scalars().all():
                self._remove(connection, old)
            values = {"feed": feed, "environment": environment, "used_at": now, "state": None}
            head = SweepHead()
            given = {name: getattr(head, name) for name in SweepHead.__struct_fields__}
            connection.execute(SWEEPS.insert().values({**values, **given}))
            return head

    def lease(self, feed: str, now: float, until: float) -> bool:
        """Return whether this process may sweep a list, for so long."""
        free = sa.and_(SWEEPS.c.feed == feed, SWEEPS.c.leased_until <= now)
        with self._database.writing() as connection:
            taken = connection.execute(SWEEPS.update().where(free).values(leased_until=until))
            return bool(taken.rowcount)

    def release(self, feed: str) -> None:
        """Let another process sweep a list."""
        with self._database.writing() as connection:
            own = SWEEPS.c.feed == feed
            connection.execute(SWEEPS.update().where(own).values(leased_until=0.0))

    def state(self, feed: str) -> bytes | None:
        """Return the state of a list."""
        with self._database.reading() as connection:
            found = sa.select(SWEEPS.c.state).where(SWEEPS.c.feed == feed)
            state: bytes | None = connection.execute(found).scalar_one_or_none()
            return state

    def finish(self, feed: str, result: SweepResult, oldest: float) -> None:
        """Store a sweep, and remove what older ones have found before ``oldest``."""
        with self._database.writing() as connection:
            own, log = SWEEPS.c.feed == feed, SWEEP_CHANGES.c.feed == feed
            values = {
                "number": result.number,
                "swept_at": result.at,
                "by_values": result.by_values,
                "state": result.state,
                "leased_until": 0.0,
            }
            stored = connection.execute(SWEEPS.update().where(own).values(values))
            old = log if result.changes is None else sa.and_(log, SWEEP_CHANGES.c.at < oldest)
            connection.execute(SWEEP_CHANGES.delete().where(old))
            # A list that was removed meanwhile begins again.
            if stored.rowcount and result.changes is not None:
                row = {"feed": feed, "number": result.number, "at": result.at}
                connection.execute(SWEEP_CHANGES.insert().values(changes=result.changes, **row))

    def changes(self, feed: str, after: int, upto: int) -> Sequence[tuple[int, bytes]]:
        """Return number and changes of the sweeps after one up to another, as far as they are stored."""
        table = SWEEP_CHANGES
        between = sa.and_(table.c.feed == feed, table.c.number > after, table.c.number <= upto)
        query = sa.select(table.c.number, table.c.changes).where(between).order_by(table.c.number)
        with self._database.reading() as connection:
            return [(row[0], row[1]) for row in connection.execute(query)]

    def expire(self, before: float) -> None:
        """Remove the lists that nobody has followed since then."""
        with self._database.writing() as connection:
            unused = sa.select(SWEEPS.c.feed).where(SWEEPS.c.used_at < before)
            for feed in connection.execute(unused).scalars().all():
                self._remove(connection, feed)

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    @staticmethod
    def _remove(connection: sa.Connection, feed: str) -> None:
        connection.execute(SWEEP_CHANGES.delete().where(SWEEP_CHANGES.c.feed == feed))
        connection.execute(SWEEPS.delete().where(SWEEPS.c.feed == feed))
