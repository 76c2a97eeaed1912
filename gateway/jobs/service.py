"""Jobs, as their callers use them: started, read, cancelled and resumed by those whose jobs they are."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from gateway.config.audit_models import ADMIN_ROLE
from gateway.errors import JobSpaceExceeded, UnknownJob, WrongJobState
from gateway.identity.caller import Caller

from .job_store import JobStore
from .part_store import PartStore
from .records import InputFile, Job, NewJob
from .runner import JobRunner

_ID = re.compile("[0-9a-f]{32}")


class Jobs:
    """The jobs of a deployment, for the requests of one process."""

    def __init__(self, store: JobStore, runner: JobRunner) -> None:
        self._store = store
        self._runner = runner
        self._arriving = 0

    @property
    def held(self) -> int:
        """The number of jobs that this process runs, or is about to run."""
        return self._runner.held

    def hand_over(self, successor: Jobs | None = None) -> None:
        """Let all jobs go on elsewhere from their next checkpoint: see ``JobRunner``."""
        # Only what has its jobs in the same place can go on with them.
        is_same = successor is not None and successor._store.is_at(self._store)  # noqa: SLF001 - of the same class
        self._runner.hand_over(successor._runner if successor is not None and is_same else None)  # noqa: SLF001 - likewise

    @asynccontextmanager
    async def arriving(self) -> AsyncIterator[Callable[[int], None]]:
        """Yield a function that counts the bytes of a file while it arrives.

        It raises JobSpaceExceeded if there is no room for all files that arrive. Raises that, and StoreUnavailable.
        """
        room, size = await self._store.room(), 0

        def count(more: int) -> None:
            nonlocal size
            size += more
            self._arriving += more
            if self._arriving > room:
                raise JobSpaceExceeded(
                    "The body is larger than what is free for the files of jobs.",
                    hint="Setting: jobs.max_bytes.",
                )

        try:
            yield count
        finally:
            self._arriving -= size

    @property
    def parts(self) -> PartStore:
        """The files of jobs. Raises JobsUnavailable."""
        return self._store.parts

    async def start(self, new: NewJob, source: InputFile | None = None) -> Job:
        """Start a job, which this process runs, with the file that it reads. Raises what ``JobStore.create`` raises."""
        job = await self._store.create(new, self._runner.owner, source)
        self._runner.take(job, new.caller)
        return job

    async def list(self, environment: str, caller: Caller) -> Sequence[Job]:
        """Return the newest jobs of a caller in an environment; for an administrator, those of all callers."""
        creator = None if is_administrator(caller) else caller.log_id
        return await self._store.list(environment, creator)

    async def find(self, job_id: str, environment: str, caller: Caller) -> Job:
        """Return a job that its caller may read. Raises UnknownJob, JobsUnavailable, StoreUnavailable."""
        # Not every database takes every text: PostgreSQL refuses one with a NUL.
        job = await self._store.find(job_id) if _ID.fullmatch(job_id) else None
        if (
            job is None
            or job.environment != environment
            or not (job.creator == caller.log_id or is_administrator(caller))
        ):
            raise UnknownJob("There is no such job.", hint="Jobs are forgotten after jobs.keep.")
        return job

    async def require_rights(self, job: Job, caller: Caller) -> None:
        """Raise Forbidden if a caller has lost the right to what a job has written. An administrator reads all jobs."""
        if not is_administrator(caller):
            await self._runner.require_rights(job, caller)

    async def cancel(self, job: Job) -> Job:
        """Cancel a job, and return it. Raises WrongJobState, StoreUnavailable."""
        if not await self._store.cancel(job.id):
            raise WrongJobState("The job has ended.")
        self._runner.drop(job.id)
        return await self._again(job)

    async def resume(self, job: Job, caller: Caller) -> Job:
        """Go on with a job as its caller is now, and return it. Raises WrongJobState, UnknownJob, StoreUnavailable.

        An administrator resumes a job of somebody else as that one was.
        """
        is_own = job.creator == caller.log_id
        if not is_own and job.is_personal:
            raise WrongJobState("The job waits for its own caller, whose token it needs.")
        if not await self._store.resume(job, caller if is_own else None, self._runner.owner):
            raise WrongJobState(
                f"The job is {job.state}.", hint="What needs its caller, or has failed, is resumed."
            )
        resumed = await self._again(job)
        self._runner.take(resumed, caller if is_own else resumed.caller)
        return resumed

    async def _again(self, job: Job) -> Job:
        again = await self._store.find(job.id)
        if again is None:
            raise UnknownJob("There is no such job.")
        return again


def is_administrator(caller: Caller) -> bool:
    """Return whether a caller has the key of an administrator."""
    return caller.kind == "key" and ADMIN_ROLE in caller.roles
