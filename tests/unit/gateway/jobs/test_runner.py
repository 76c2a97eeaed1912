"""Who runs a job, until when, and what becomes of it: with kinds of jobs that wait, fail and stop as a test says."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from gateway.config.job_models import JobOptions
from gateway.config.settings import Settings
from gateway.errors import (
    Forbidden,
    GatewayError,
    JobSpaceExceeded,
    JobsUnavailable,
    TooManyJobs,
    UnknownJob,
    UpstreamUnavailable,
    WrongJobState,
)
from gateway.events import Event
from gateway.events.jobs import JobDelayed, JobEnded
from gateway.identity.caller import Assertion, Caller
from gateway.jobs import runner as runners
from gateway.jobs.job_store import JobStore
from gateway.jobs.part_file import PartFile
from gateway.jobs.records import FileFacts, InputFile, Job, NewJob, Part, Progress
from gateway.jobs.runner import JobRunner
from gateway.jobs.running import RunningJob
from gateway.jobs.service import Jobs
from gateway.runtime.served_api import ServedApi

pytestmark = pytest.mark.anyio
ANN = Caller(kind="token", issuer="i", subject="ann", roles=("clerk",), user={"id": "1"})
BOB = Caller(kind="token", issuer="i", subject="bob")
ADMIN = Caller(kind="key", issuer="k", subject="boss", roles=("admin",))
FILES = FileFacts(name="Rows", ending="txt", media="text/plain")


class Clock:
    """A clock that a test moves."""

    time = 1_000.0

    def __call__(self) -> float:
        return self.time


class Steps:
    """A kind of job: writes parts until there are three, and does what the test says before each."""

    name = "steps"

    def __init__(self) -> None:
        self.begun = 0
        self.callers: list[Caller] = []
        self.before: Callable[[int], Any] = lambda _number: None

    async def require_rights(self, api: ServedApi, request: bytes) -> None:
        """Everybody may read what it writes."""

    async def run(self, job: RunningJob) -> None:
        self.begun += 1
        self.callers.append(job.caller)
        count = job.state(int, 0)
        while count < 3:
            waits = self.before(count)
            if waits is not None:
                await waits
            count += 1
            with job.folder() as folder:
                with PartFile(folder / "part") as file:
                    file.write(f"part {count}\n".encode())
                await job.put(file.path, file.sha256)
            part = Part(number=count, rows=1, bytes=file.size, sha256=file.sha256)
            parts = (*job.parts, part)
            size = sum(p.bytes for p in parts)
            await job.checkpoint(count, Progress(rows=count, parts=count, bytes=size), parts)


class Process:
    """A process of a deployment: its store, its runner, and what it logs."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.kind = Steps()
        self.events: list[Event] = []
        self.store = JobStore(settings, now=clock)
        self.refusal: GatewayError | None = None
        self.runner = JobRunner(self.store, (self.kind,), self._enter, self.events.append)
        self.jobs = Jobs(self.store, self.runner)

    @asynccontextmanager
    async def _enter(
        self, _environment: str, _profile: str | None, caller: Caller
    ) -> AsyncIterator[tuple[Caller, ServedApi]]:
        if self.refusal is not None:
            raise self.refusal
        yield caller, cast("ServedApi", None)

    async def start(
        self, caller: Caller = ANN, *, is_personal: bool = False, source: InputFile | None = None
    ) -> Job:
        new = NewJob(
            environment="",
            profile=None,
            kind="steps",
            request=b"{}",
            files=FILES,
            caller=caller,
            is_personal=is_personal,
        )
        return await self.jobs.start(new, source)

    async def until(self, job: Job, *states: str) -> Job:
        async with asyncio.timeout(60):
            while True:
                current = await self.store.find(job.id)
                assert current is not None
                if current.state in states:
                    return current
                assert current.state in {"QUEUED", "RUNNING", "NEEDS_AUTH"}, current.error
                await asyncio.sleep(0.01)

    async def ended(self) -> JobEnded:
        """Return the event of a job's end, which comes after its state is stored."""
        async with asyncio.timeout(60):
            while not (found := [e for e in self.events if isinstance(e, JobEnded)]):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)
        (event,) = found
        return event


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(runners, "POLL", 0.02)
    monkeypatch.setattr(runners, "CLEANING", 0.02)
    monkeypatch.setattr(runners, "PAUSES", (0.01, 0.01))
    return Clock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    options = JobOptions(per_caller=2, lease=1.0, keep=60, max_bytes=1_000_000)
    return Settings(data_dir=tmp_path, jobs=options)


@pytest.fixture
async def process(settings: Settings, clock: Clock) -> AsyncIterator[Process]:
    process = Process(settings, clock)
    async with process.runner.running():
        yield process


async def test_a_job_has_its_parts_and_their_digest(process: Process) -> None:
    job = await process.until(await process.start(), "SUCCEEDED")

    whole = b"part 1\npart 2\npart 3\n"
    parts = [b"".join(process.store.parts.read(job.id, p.sha256)) for p in job.checkpoint.parts]
    assert b"".join(parts) == whole
    assert job.checkpoint.sha256 == hashlib.sha256(whole).hexdigest()
    assert job.progress == Progress(rows=3, parts=3, bytes=len(whole))
    event = await process.ended()
    assert (event.state, event.rows, event.error) == ("SUCCEEDED", 3, None)


async def test_another_process_goes_on_at_the_last_part(
    settings: Settings, clock: Clock, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = asyncio.Event()

    async def before(count: int) -> None:
        if count == 2:
            reached.set()
            await asyncio.sleep(3600)

    async def renew(_owner: str, names: Sequence[str]) -> frozenset[str]:
        return frozenset(names)

    async def claim(_owner: str, _most: int) -> Sequence[Job]:
        return ()

    # Its clock stands: a renewal that is still under way renews nothing beyond the lease.
    killed = Process(settings, Clock())
    killed.kind.before = before
    async with killed.runner.running():
        job = await killed.start()
        await reached.wait()
        assert process.kind.begun == 0
        monkeypatch.setattr(killed.store, "renew", renew)
        monkeypatch.setattr(killed.store, "claim", claim)
        clock.time += 2
        done = await process.until(job, "SUCCEEDED")

    assert [part.number for part in done.checkpoint.parts] == [1, 2, 3]
    assert (killed.kind.begun, process.kind.begun) == (1, 1)
    assert process.kind.callers == [replace(ANN, user={})]


async def test_a_process_that_stops_returns_its_jobs_at_once(
    settings: Settings, clock: Clock, process: Process
) -> None:
    stopped = Process(settings, clock)
    stopped.kind.before = lambda _count: asyncio.sleep(3600)
    async with stopped.runner.running():
        job = await stopped.start()
        await stopped.until(job, "RUNNING")

    await process.until(job, "SUCCEEDED")


async def test_a_runner_hands_its_jobs_over_at_their_checkpoints(
    settings: Settings, clock: Clock
) -> None:
    signed_in = replace(ANN, assertion=Assertion("s3cret"), expires_at=clock.time + 900)
    old, new = Process(settings, clock), Process(settings, clock)
    new.runner.owner = old.runner.owner
    go_on, began = asyncio.Event(), asyncio.Event()

    def before(count: int) -> Any:
        if count == 1:
            began.set()
            return go_on.wait()
        return None

    old.kind.before = before
    async with old.runner.running(), new.runner.running():
        running = await old.start(signed_in, is_personal=True)
        await asyncio.wait_for(began.wait(), 60)
        old.jobs.hand_over(new.jobs)
        late = await old.start()  # by a request that began before
        await new.until(late, "SUCCEEDED")
        held = old.jobs.held
        go_on.set()
        await new.until(running, "SUCCEEDED")
        assert (held, old.jobs.held) == (1, 0)

    # The second one began at the second part, with the token that only the memory has.
    assert new.kind.callers == [ANN, signed_in]
    assert [event.job for event in old.events if isinstance(event, JobEnded)] == []


async def test_jobs_of_another_place_are_left_for_any_process(
    settings: Settings, clock: Clock, process: Process, tmp_path: Path
) -> None:
    other = Process(settings.model_copy(update={"data_dir": tmp_path / "other"}), clock)
    old = Process(settings, clock)
    go_on = asyncio.Event()
    old.kind.before = lambda count: go_on.wait() if count == 1 else None
    async with old.runner.running():
        job = await old.start()
        await old.until(job, "RUNNING")
        old.jobs.hand_over(other.jobs)
        go_on.set()
        await process.until(job, "SUCCEEDED")
    assert (process.kind.begun, other.kind.begun) == (1, 0)


async def test_a_token_is_never_stored_and_its_job_waits_for_it(
    settings: Settings, clock: Clock, process: Process
) -> None:
    signed_in = replace(ANN, assertion=Assertion("s3cret"), expires_at=clock.time + 900)
    killed = Process(settings, clock)
    killed.kind.before = lambda _count: asyncio.sleep(3600)
    async with killed.runner.running():
        job = await killed.start(signed_in, is_personal=True)
        await killed.until(job, "RUNNING")
    waiting = await process.until(job, "NEEDS_AUTH")

    assert waiting.error is not None
    assert waiting.error["extensions"]["code"] == "UNAUTHENTICATED"
    assert settings.data_dir is not None
    for file in settings.data_dir.rglob("*"):
        assert not file.is_file() or b"s3cret" not in file.read_bytes()
    with pytest.raises(WrongJobState):
        await process.jobs.resume(waiting, ADMIN)
    await process.jobs.resume(waiting, signed_in)
    await process.until(job, "SUCCEEDED")
    assert process.kind.callers == [signed_in]


async def test_a_job_ends_with_the_token_of_its_caller(process: Process, clock: Clock) -> None:
    process.kind.before = lambda _count: asyncio.sleep(3600)
    signed_in = replace(ANN, assertion=Assertion("t"), expires_at=clock.time + 0.1)

    job = await process.start(signed_in, is_personal=True)

    await process.until(job, "NEEDS_AUTH")
    assert process.kind.begun == 1


async def test_what_may_pass_delays_and_all_else_fails(process: Process) -> None:
    def fail(error: Exception) -> Callable[[int], None]:
        def before(_count: int) -> None:
            raise error

        return before

    failures = iter([fail(UpstreamUnavailable("away")), fail(UpstreamUnavailable("away"))])

    def before(count: int) -> None:
        next(failures, lambda _count: None)(count)

    process.kind.before = before
    job = await process.until(await process.start(), "SUCCEEDED")
    assert process.kind.begun == 3
    assert sum(isinstance(e, JobDelayed) for e in process.events) == 2

    process.kind.before = fail(UpstreamUnavailable("for ever"))
    job = await process.until(await process.start(), "FAILED")
    assert process.kind.begun == 6

    process.refusal = Forbidden("The role is gone.")
    await process.jobs.resume(job, ANN)
    job = await process.until(job, "FAILED")
    assert job.error is not None
    assert job.error["extensions"]["code"] == "FORBIDDEN"

    process.refusal = None
    process.kind.before = fail(ZeroDivisionError("a defect"))
    await process.jobs.resume(job, ANN)
    job = await process.until(job, "FAILED")
    assert job.error is not None
    assert job.error["extensions"]["code"] == "INTERNAL_ERROR"
    assert "defect" not in str(job.error)


async def test_a_cancelled_job_stops_wherever_it_runs(
    settings: Settings, clock: Clock, process: Process
) -> None:
    go_on = asyncio.Event()
    process.kind.before = lambda _count: go_on.wait()
    job = await process.start()
    await process.until(job, "RUNNING")
    other = Process(settings, clock)

    cancelled = await other.jobs.cancel(job)
    go_on.set()
    await asyncio.sleep(0.1)

    assert cancelled.state == "CANCELLED"
    assert (await process.until(job, "CANCELLED")).progress.parts == 0
    assert not [e for e in process.events if isinstance(e, JobEnded)]
    await other.store.close()


async def test_a_job_is_its_callers_alone(process: Process) -> None:
    job = await process.until(await process.start(), "SUCCEEDED")

    assert await process.jobs.find(job.id, "", ANN) == job
    assert await process.jobs.find(job.id, "", ADMIN) == job
    for environment, caller in (("", BOB), ("other", ANN), ("", replace(ADMIN, kind="token"))):
        with pytest.raises(UnknownJob):
            await process.jobs.find(job.id, environment, caller)
    assert await process.jobs.list("", BOB) == []
    assert await process.jobs.list("other", ADMIN) == []
    assert await process.jobs.list("", ADMIN) == await process.jobs.list("", ANN) == [job]


async def test_the_jobs_of_a_caller_and_their_bytes_are_limited(
    process: Process, settings: Settings, clock: Clock
) -> None:
    process.kind.before = lambda _count: asyncio.sleep(3600)
    jobs = [await process.start(), await process.start()]
    with pytest.raises(TooManyJobs):
        await process.start()
    await process.start(BOB)
    await process.jobs.cancel(jobs[0])
    await process.start()

    small = settings.model_copy(update={"jobs": settings.jobs.model_copy(update={"max_bytes": 8})})
    tight = Process(small, clock)
    async with tight.runner.running():
        job = await tight.until(await tight.start(ADMIN), "FAILED")
        with pytest.raises(JobSpaceExceeded):
            await tight.start(ADMIN)
        # Each run would write some more.
        with pytest.raises(JobSpaceExceeded):
            await tight.jobs.resume(job, ADMIN)
    assert job.error is not None
    assert job.error["extensions"]["code"] == "JOB_SPACE_EXCEEDED"


async def test_files_that_jobs_read_take_space(
    process: Process, settings: Settings, clock: Clock, tmp_path: Path
) -> None:
    jobs = settings.jobs.model_copy(update={"max_bytes": 100, "per_caller": 9})
    tight = Process(settings.model_copy(update={"jobs": jobs}), clock)

    def file(size: int) -> InputFile:
        (tmp_path / "rows").write_bytes(b"x" * size)
        return InputFile(tmp_path / "rows", f"{size}", size)

    async with tight.runner.running():
        job = await tight.until(await tight.start(source=file(60)), "SUCCEEDED")
        with pytest.raises(JobSpaceExceeded):
            await tight.start(source=file(40))
        async with tight.jobs.arriving() as one, tight.jobs.arriving() as two:
            one(10)
            with pytest.raises(JobSpaceExceeded):
                two(10)
        async with tight.jobs.arriving() as count:
            count(19)

    assert settings.data_dir is not None
    assert [f.name for f in (settings.data_dir / "jobs").iterdir()] == [job.id]


@pytest.mark.parametrize("name", ["", "\0" * 32, "../../etc", "é" * 32, "F" * 32, "0" * 31])
async def test_what_is_no_name_of_a_job_is_not_looked_up(
    process: Process, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(JobStore, "find")

    with pytest.raises(UnknownJob):
        await process.jobs.find(name, "", ANN)


async def test_a_file_that_cannot_be_read_for_now_delays_a_job(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def digest(_store: object, job_id: str, _parts: object) -> str:
        calls.append(job_id)
        if len(calls) == 1:
            raise OSError("The object store is away.")
        return "whole"

    monkeypatch.setattr(runners, "digest_of_whole", digest)
    job = await process.until(await process.start(), "SUCCEEDED")

    assert job.checkpoint.sha256 == "whole"
    assert [e.error for e in process.events if isinstance(e, JobDelayed)] == ["STORE_UNAVAILABLE"]


async def test_a_job_and_its_files_go_when_their_time_is_over(
    process: Process, settings: Settings, clock: Clock
) -> None:
    job = await process.until(await process.start(), "SUCCEEDED")
    assert settings.data_dir is not None
    folder = settings.data_dir / "jobs" / job.id
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o077 for file in folder.iterdir()] == [0, 0, 0]

    clock.time += 61
    async with asyncio.timeout(60):
        while await process.store.find(job.id) is not None:  # noqa: ASYNC110 - a loop of its own removes it
            await asyncio.sleep(0.01)
    assert not folder.exists()


async def test_without_a_store_jobs_are_refused(clock: Clock, tmp_path: Path) -> None:
    for settings in (Settings(data_dir=None), Settings(data_dir=tmp_path, store="none")):
        process = Process(settings, clock)
        assert process.store.is_idle
        with pytest.raises(JobsUnavailable, match="no store") as refused:
            await process.start()
        assert refused.value.hint is not None
        with pytest.raises(JobsUnavailable):
            await process.jobs.list("", ANN)


async def test_a_job_of_another_secret_fails_once(
    settings: Settings, clock: Clock, process: Process
) -> None:
    killed = Process(settings, clock)
    job = await killed.start()  # which nobody runs
    assert settings.data_dir is not None
    (settings.data_dir / "keys" / "secret_key").write_bytes(bytes(32))
    other = Process(settings, clock)
    clock.time += 2

    async with other.runner.running():
        await asyncio.sleep(0.2)
        assert await other.jobs.list("", ADMIN) == []
    assert (await killed.until(job, "FAILED")).error is not None
    await killed.store.close()
