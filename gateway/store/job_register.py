"""The register of jobs: stored, leased to one process at a time, and settled. It blocks.

    create ──▶ QUEUED ──▶ RUNNING ──▶ SUCCEEDED, FAILED, CANCELLED          expires ──▶ removed
                 ▲           │ │ the process is killed: its lease ends, and another process claims the job
                 │           │ └─────────────────────────────────────────────▶ RUNNING
                 └──resume── NEEDS_AUTH, FAILED

Only the owner of a lease changes a job that runs: one that has lost it learns so by its next change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from msgspec import Struct

from .database import Database
from .tables import JOBS

ACTIVE = ("QUEUED", "RUNNING")
"""States in which a job is some process's, or will be."""
RESUMABLE = ("NEEDS_AUTH", "FAILED")


class JobRow(Struct, frozen=True, kw_only=True):
    """A job as it is stored; see ``tables.JOBS``. Times are seconds since the epoch."""

    id: str
    environment: str
    profile: str | None
    kind: str
    state: str
    creator: str
    request: bytes
    checkpoint: bytes | None
    progress: str
    size: int
    error: str | None
    owner: str | None
    leased_until: float
    created: float
    updated: float
    expires_at: float | None


class JobRegister:
    """The jobs of one database. All methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, row: JobRow, most: int) -> bool:
        """Store a job, unless its creator has so many that have not ended; return whether it is stored."""
        with self._database.writing() as connection:
            self._database.lock(connection, "jobs")
            own = sa.and_(JOBS.c.creator == row.creator, JOBS.c.expires_at.is_(None))
            count = sa.select(sa.func.count()).select_from(JOBS).where(own)
            if connection.execute(count).scalar_one() >= most:
                return False
            values = {name: getattr(row, name) for name in row.__struct_fields__}
            connection.execute(JOBS.insert().values(values))
        return True

    def find(self, job_id: str) -> JobRow | None:
        """Return a job; None if there is none."""
        rows = self._rows(JOBS.c.id == job_id, most=1)
        return rows[0] if rows else None

    def list(self, environment: str | None, creator: str | None, most: int) -> Sequence[JobRow]:
        """Return the newest jobs of an environment (None: of all) and a creator (None: of all)."""
        bounds = [
            column == value
            for column, value in ((JOBS.c.environment, environment), (JOBS.c.creator, creator))
            if value is not None
        ]
        return self._rows(sa.and_(sa.true(), *bounds), most=most)

    def claim(self, owner: str, now: float, until: float, most: int) -> Sequence[JobRow]:
        """Return jobs that no process has, which are the owner's from now on."""
        free = sa.and_(JOBS.c.state.in_(ACTIVE), JOBS.c.leased_until <= now)
        # Most times there is none, and nothing should be locked.
        if most <= 0 or not self._database.exists or not self._rows(free, most=1):
            return ()
        claimed: list[JobRow] = []
        with self._database.writing() as connection:
            due = sa.select(JOBS).where(free).order_by(JOBS.c.created).limit(most)
            for row in connection.execute(due).mappings().all():
                taken = JOBS.update().where(JOBS.c.id == row["id"], free)
                # Waits for another process that claims it, and changes nothing then.
                if connection.execute(taken.values(owner=owner, leased_until=until)).rowcount:
                    claimed.append(JobRow(**{**row, "owner": owner, "leased_until": until}))
        return claimed

    def renew(self, owner: str, job_ids: Iterable[str], until: float) -> frozenset[str]:
        """Extend the leases of an owner; return the jobs that are still its own."""
        names = tuple(job_ids)
        own = sa.and_(JOBS.c.owner == owner, JOBS.c.id.in_(names), JOBS.c.state.in_(ACTIVE))
        with self._database.writing() as connection:
            connection.execute(JOBS.update().where(own).values(leased_until=until))
            return frozenset(connection.execute(sa.select(JOBS.c.id).where(own)).scalars())

    def release(self, owner: str, job_ids: Iterable[str], now: float) -> None:
        """Return the leases of an owner to these jobs, which go on elsewhere."""
        names = tuple(job_ids)
        own = sa.and_(JOBS.c.owner == owner, JOBS.c.id.in_(names), JOBS.c.state.in_(ACTIVE))
        with self._database.writing() as connection:
            connection.execute(JOBS.update().where(own).values(owner=None, leased_until=now))

    def change(self, job_id: str, owner: str, **values: object) -> bool:
        """Change an active job of an owner; return whether it is still its own."""
        own = sa.and_(JOBS.c.id == job_id, JOBS.c.owner == owner, JOBS.c.state.in_(ACTIVE))
        return self._changed(own, values)

    def cancel(self, job_id: str, now: float, expires_at: float) -> bool:
        """Cancel a job that has not succeeded; return whether it was one."""
        of_state = sa.and_(JOBS.c.id == job_id, JOBS.c.state.in_((*ACTIVE, *RESUMABLE)))
        values = {"state": "CANCELLED", "updated": now, "expires_at": expires_at, "owner": None}
        return self._changed(of_state, values)

    def resume(self, job_id: str, now: float, **values: object) -> bool:
        """Queue a job that waits for its caller or has failed; return whether it was one."""
        of_state = sa.and_(JOBS.c.id == job_id, JOBS.c.state.in_(RESUMABLE))
        queued = {"state": "QUEUED", "updated": now, "error": None, "expires_at": None}
        return self._changed(of_state, {**queued, **values})

    def size(self) -> int:
        """Return the bytes of the parts of all jobs."""
        if not self._database.exists:
            return 0
        with self._database.reading() as connection:
            return int(connection.execute(sa.select(sa.func.sum(JOBS.c.size))).scalar() or 0)

    def expired(self, now: float) -> Sequence[str]:
        """Return the jobs whose parts need not be there any longer."""
        if not self._database.exists:
            return ()
        with self._database.reading() as connection:
            old = sa.select(JOBS.c.id).where(JOBS.c.expires_at <= now)
            return tuple(connection.execute(old).scalars())

    def remove(self, job_id: str) -> None:
        """Forget a job."""
        with self._database.writing() as connection:
            connection.execute(JOBS.delete().where(JOBS.c.id == job_id))

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def _changed(self, condition: sa.ColumnElement[bool], values: dict[str, object]) -> bool:
        with self._database.writing() as connection:
            changed = connection.execute(JOBS.update().where(condition).values(values))
            return bool(changed.rowcount)

    def _rows(self, condition: sa.ColumnElement[bool], *, most: int) -> Sequence[JobRow]:
        if not self._database.exists:
            return ()
        newest = sa.select(JOBS).where(condition).order_by(JOBS.c.created.desc()).limit(most)
        with self._database.reading() as connection:
            return tuple(JobRow(**row) for row in connection.execute(newest).mappings())
