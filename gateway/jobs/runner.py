"""Runs the jobs of one process: its own, and those whose process was killed.

    poll ──▶ claim what nobody has ──▶ held, its lease renewed ──▶ run, a few at a time ──▶ settled
                                            │ lost: cancelled, or another process has it ──▶ dropped
                                            └ ``hand_over``: from its next checkpoint on, another runner has it

A job that needs the token of its caller is run by the process that has it in memory, for as long as the token lives;
any other process lets it wait for its caller (``NEEDS_AUTH``).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from msgspec.structs import replace

from gateway.documents.refusal import OperationRefused
from gateway.errors import (
    BadArgument,
    Forbidden,
    StoreUnavailable,
    Unauthenticated,
    UnknownSet,
)
from gateway.events import Observer
from gateway.events.jobs import JobDelayed, JobEnded
from gateway.export.reading import ExportFailed
from gateway.failures import report_error
from gateway.identity.caller import Caller
from gateway.process.daemon_call import late_rows
from gateway.runtime.served_api import ServedApi
from gateway.store.polling import CLOSING

from .job_store import JobStore, error_json
from .records import Checkpoint, Job, Progress, State
from .rounds import Rounds
from .running import JobHandedOver, JobKind, JobLost, RunningJob, as_unavailable
from .whole import digest_of_whole

Enter: TypeAlias = Callable[
    [str, str | None, Caller], AbstractAsyncContextManager[tuple[Caller, ServedApi]]
]
"""Opens an environment and a profile for a caller, whose user and rights are read anew. Raises GatewayError."""
POLL = 2.0
"""Seconds between two looks for jobs whose process was killed."""
CLEANING = 300.0
"""Seconds between two looks for jobs whose time is over."""
PAUSES = (2.0, 10.0, 30.0, 60.0, 120.0, 300.0, 300.0, 300.0)
"""Seconds that a job waits after failures that may pass; it fails after the last one."""
PASSING = frozenset(
    {
        *("UPSTREAM_UNAVAILABLE", "UPSTREAM_TIMEOUT", "UPSTREAM_THROTTLED", "DEADLINE_EXCEEDED"),
        *("OVERLOADED", "RATE_LIMITED", "ENVIRONMENT_UNAVAILABLE", "STORE_UNAVAILABLE"),
        *("AUTH_TOKEN_FAILED", "ISSUER_UNAVAILABLE", "STOPPING"),
    }
)
"""Codes of errors that may pass."""
_SHOWN = 8
_OWNER_BYTES = 16


@dataclass(eq=False, slots=True)
class _Held:
    """A job whose lease this process has."""

    job: Job
    caller: Caller
    """With its token, if this process has it."""
    task: asyncio.Task[None] | None = None


class JobRunner:
    """The jobs of one process. Belongs to one event loop."""

    def __init__(
        self,
        store: JobStore,
        kinds: Sequence[JobKind],
        enter: Enter,
        observe: Observer,
        owner: str | None = None,
    ) -> None:
        """``owner``: under which leases are held; runners of one process that hand jobs over share it."""
        self.owner = owner or secrets.token_hex(_OWNER_BYTES)
        self._store = store
        self._kinds = {kind.name: kind for kind in kinds}
        self._enter = enter
        self._observe = observe
        self._held: dict[str, _Held] = {}
        self._claiming: asyncio.Future[Sequence[Job]] | None = None
        self._wake = asyncio.Event()
        self._leaving = asyncio.Event()
        self._successor: JobRunner | None = None
        self._returning: set[asyncio.Task[None]] = set()
        self._rounds = Rounds(observe, lambda: bool(self._held) or not store.is_idle)

    @property
    def held(self) -> int:
        """The number of jobs that this process runs, or is about to run."""
        return len(self._held)

    def take(self, job: Job, caller: Caller) -> None:
        """Run a job that was created, or queued again, with this owner."""
        if self._leaving.is_set():
            self._pass_on(_Held(job, caller))
            return
        before = self._held.get(job.id)
        if before is not None and before.task is not None:
            before.task.cancel()
        self._held[job.id] = _Held(job, caller)
        self._wake.set()

    def hand_over(self, successor: JobRunner | None = None) -> None:
        """Begin no more jobs, and let the others go on from their next checkpoint with a successor, or elsewhere.

        A successor has the same owner. ``held`` tells how many have not come to a checkpoint yet.
        """
        self._successor = successor
        self._leaving.set()
        for held in tuple(self._held.values()):
            if held.task is None:
                self._pass_on(held)

    def _pass_on(self, held: _Held) -> None:
        self._held.pop(held.job.id, None)
        if self._successor is not None:
            self._successor.take(held.job, held.caller)
        else:
            self._in_background(self._return(held.job))

    async def _return(self, *jobs: Job) -> None:
        with suppress(StoreUnavailable):  # then the leases end by themselves
            await self._store.release(self.owner, [job.id for job in jobs])

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)

    async def require_rights(self, job: Job, caller: Caller) -> None:
        """Raise Forbidden if a caller has lost the right to what a job has written; or what opening its API raises."""
        async with self._enter(job.environment, job.profile, caller) as (_, api):
            try:
                await self._kinds[job.kind].require_rights(api, job.request)
            except (BadArgument, Forbidden, OperationRefused, UnknownSet) as error:
                raise Forbidden(
                    "Your roles no longer give you what the job has written.",
                    hint="What you may read now, a new job writes.",
                ) from error

    def drop(self, job_id: str) -> None:
        """Stop a job that was cancelled."""
        held = self._held.pop(job_id, None)
        if held is not None and held.task is not None:
            held.task.cancel()
        if self._successor is not None:
            self._successor.drop(job_id)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run jobs until the end of the block, and return their leases."""
        tasks = [
            asyncio.ensure_future(self._rounds.every(POLL, self._poll, self._wake)),
            asyncio.ensure_future(self._rounds.every(self._store.options.lease / 3, self._renew)),
            asyncio.ensure_future(self._rounds.every(CLEANING, self._store.remove_expired)),
        ]
        try:
            yield
        finally:
            tasks += [held.task for held in self._held.values() if held.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            claiming, self._claiming = self._claiming, None
            # The thread of a claim goes on, and what it claims would wait for the end of the lease.
            late = () if claiming is None else await late_rows(claiming, CLOSING)
            await asyncio.gather(*self._returning)
            if self._held or late:
                # By name: a successor may hold others as the same owner.
                await self._return(*(held.job for held in self._held.values()), *late)
            await self._store.close()

    async def _poll(self) -> None:
        """Claim what nobody has, and begin as many as may run."""
        if self._leaving.is_set():
            return
        self._begin()
        free = self._store.options.running - sum(h.task is not None for h in self._held.values())
        if free > 0:
            self._claiming = asyncio.ensure_future(self._store.claim(self.owner, free))
            for job in await asyncio.shield(self._claiming):
                self._held.setdefault(job.id, _Held(job, job.caller))
            self._claiming = None
            if self._leaving.is_set():
                self.hand_over(self._successor)
            self._begin()

    def _begin(self) -> None:
        running = sum(held.task is not None for held in self._held.values())
        for held in tuple(self._held.values()):
            if running >= self._store.options.running:
                return
            if held.task is None:
                held.task = asyncio.create_task(self._run(held))
                running += 1

    async def _renew(self) -> None:
        """Renew the leases; drop the jobs that others have, or that were cancelled."""
        if not self._held:
            return
        names = tuple(self._held)
        own = await self._store.renew(self.owner, names)
        for name in names:
            if name not in own:
                self.drop(name)

    async def _run(self, held: _Held) -> None:
        """Run a job to its end, and settle it."""
        job = held.job
        try:
            with suppress(JobLost):
                await self._attempts(held)
        except Exception as error:
            # The store fails for long: another process claims it when the lease ends.
            report_error(error, self._observe)
        finally:
            if self._held.get(job.id) is held and not _is_cancelling():
                del self._held[job.id]
                self._wake.set()

    async def _attempts(self, held: _Held) -> None:
        await self._store.change_state(held.job, self.owner, "RUNNING")
        failures = 0
        while True:
            before = held.job.checkpoint
            error = await self._attempt(held)
            if error is None:
                await self._settle(held.job, "SUCCEEDED", None)
                return
            code = error["extensions"]["code"]
            if code == Unauthenticated.code:
                await self._settle(held.job, "NEEDS_AUTH", error)
                return
            failures = failures + 1 if held.job.checkpoint is before else 1
            if code not in PASSING or failures > len(PAUSES):
                break
            pause = PAUSES[failures - 1]
            name = held.job.id[:_SHOWN]
            self._observe(JobDelayed(job=name, kind=held.job.kind, error=code, wait=pause))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._leaving.wait()
                    self._pass_on(held)
                    raise JobHandedOver
        await self._settle(held.job, "FAILED", error)

    async def _attempt(self, held: _Held) -> Mapping[str, Any] | None:
        """Run a job from its last checkpoint; return the error that has ended it. Raises JobLost."""
        limit = asyncio.timeout(None)
        try:
            async with limit:
                limit.reschedule(self._ends(held))
                await self._work(held)
        except ExportFailed as failed:
            error: Mapping[str, Any] = failed.answer.errors[0]
            return error
        except JobLost:
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                return error_json(_needs_auth())
            return report_error(error, self._observe)
        return None

    def _ends(self, held: _Held) -> float | None:
        """Return when the token that a job needs ends, by the event loop; None: never. Raises Unauthenticated."""
        if not held.job.is_personal:
            return None
        ends, now = held.caller.expires_at, self._store.now()
        if held.caller.assertion is None or (ends is not None and ends <= now):
            raise _needs_auth()
        return None if ends is None else asyncio.get_running_loop().time() + ends - now

    async def _work(self, held: _Held) -> None:
        job = held.job
        kind = self._kinds[job.kind]

        async def save(checkpoint: Checkpoint, progress: Progress) -> None:
            await self._store.save(job, self.owner, checkpoint, progress)
            held.job = replace(held.job, checkpoint=checkpoint, progress=progress)

        async def save_between(checkpoint: Checkpoint, progress: Progress) -> None:
            await save(checkpoint, progress)
            if self._leaving.is_set():
                raise JobHandedOver

        with as_unavailable():
            await self._store.parts.sweep(job.id)
        async with self._enter(job.environment, job.profile, held.caller) as (caller, api):
            running = RunningJob(held.job, caller, api, self._store.parts, save_between)
            try:
                await kind.run(running)
            except JobHandedOver:
                # Nothing of it runs here any more.
                self._pass_on(held)
                raise
        last = held.job.checkpoint
        with as_unavailable():
            whole = await asyncio.to_thread(digest_of_whole, self._store.parts, job.id, last.parts)
        await save(replace(last, sha256=whole), held.job.progress)

    async def _settle(self, job: Job, state: State, error: Mapping[str, Any] | None) -> None:
        """Note how a job has ended; tried again while the store is away. Raises JobLost."""
        while True:
            try:
                await self._store.change_state(job, self.owner, state, error)
                break
            except StoreUnavailable as unavailable:
                self._rounds.failed(unavailable)
                await asyncio.sleep(POLL)
        self._observe(
            JobEnded(
                job=job.id[:_SHOWN],
                kind=job.kind,
                state=state,
                rows=job.progress.rows,
                seconds=self._store.now() - job.created,
                error=None if error is None else error["extensions"]["code"],
            )
        )


def _needs_auth() -> Unauthenticated:
    return Unauthenticated(
        "The job needs a token of its caller.", hint="Sign in, and send POST /jobs/{id}/resume."
    )


def _is_cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
