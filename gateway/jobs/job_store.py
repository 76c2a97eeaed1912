"""Jobs in the store: what may hold values of rows, or is known of their callers, is encrypted there.

The token of a caller is never stored: a job that needs it is the process's that has it in memory.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.config.settings import Settings
from gateway.errors import (
    GatewayError,
    JobSpaceExceeded,
    JobsUnavailable,
    SecretUnreadable,
    SettingsError,
    StoreUnavailable,
    TooManyJobs,
)
from gateway.identity.caller import Caller
from gateway.process.daemon_call import daemon_call
from gateway.store.faults import for_clients
from gateway.store.opening import has_store, open_database, store_exists
from gateway.store.secret_key import open_sealer

from .part_store import FolderParts, PartStore
from .records import Checkpoint, FileFacts, InputFile, Job, NewJob, Progress, State
from .running import JobLost

if TYPE_CHECKING:  # they import SQLAlchemy and cryptography, which take 0.5 s
    from gateway.storage.sealing import Sealer
    from gateway.store.job_register import JobRegister, JobRow

FOLDER = "jobs"
LISTED = 100
"""Jobs that are listed at most."""
_ID_BYTES = 16
_RETRY = 5.0
_T = TypeVar("_T")


class _Sealed(Struct, frozen=True, kw_only=True):
    """What is encrypted of a job from its start."""

    request: msgspec.Raw
    files: FileFacts
    caller: Caller
    is_personal: bool
    input_bytes: int = 0


def _place_of(settings: Settings) -> tuple[object, ...]:
    keys = (settings.secret_key, settings.encryption_key)
    return (settings.store, settings.data_dir, *keys, settings.jobs.dir, settings.jobs.bucket)


class JobStore:
    """The jobs of a deployment."""

    def __init__(self, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self.options = settings.jobs
        self.now = now
        self._settings = settings
        self._lock = threading.Lock()
        self._opened: tuple[JobRegister, Sealer] | None = None
        self._parts: PartStore | None = None

    @property
    def parts(self) -> PartStore:
        """The files. Raises JobsUnavailable."""
        if self._parts is None:
            self._require()
            folder, data = self.options.dir, self._settings.data_dir
            if folder is None and data is not None:
                folder = data / FOLDER
            if self.options.bucket is not None:
                from .object_parts import open_object_parts  # noqa: PLC0415 - few have one

                self._parts = open_object_parts(self.options, folder)
            elif folder is None:
                raise _unavailable("There is no folder for the files of jobs.", "Set jobs.dir.")
            else:
                self._parts = FolderParts(folder)
        return self._parts

    def is_at(self, other: JobStore) -> bool:
        """Return whether another one has its jobs in the same place, and can read them."""
        return _place_of(self._settings) == _place_of(other._settings)

    @property
    def is_idle(self) -> bool:
        """Whether there are no jobs for sure, so that nobody needs to read the store."""
        try:
            return not (self.parts.may_have_jobs and store_exists(self._settings))
        except JobsUnavailable:
            return True

    def _require(self) -> None:
        settings = self._settings
        if not has_store(settings):
            raise _unavailable(
                "There is no store for jobs.",
                "Set store (D365_STORE) and data_dir (D365_DATA_DIR).",
            )
        if settings.secret_key is None and settings.data_dir is None:
            raise _unavailable(
                "There is no key by which jobs could be encrypted.",
                "Set secret_key (D365_SECRET_KEY).",
            )

    async def create(self, new: NewJob, owner: str | None, source: InputFile | None = None) -> Job:
        """Store a job, whose owner runs it, with the file that it reads.

        Raises JobsUnavailable, TooManyJobs, JobSpaceExceeded, StoreUnavailable.
        """
        parts, now = self.parts, self.now()
        job = Job(
            id=secrets.token_hex(_ID_BYTES),
            environment=new.environment,
            profile=new.profile,
            kind=new.kind,
            state="QUEUED",
            creator=new.caller.log_id,
            request=new.request,
            files=new.files,
            caller=_lasting(new.caller),
            is_personal=new.is_personal,
            checkpoint=Checkpoint(),
            progress=Progress(),
            error=None,
            created=now,
            updated=now,
            expires_at=None,
            input_bytes=0 if source is None else source.bytes,
        )

        def create() -> bool:
            register, sealer = self._open()
            self._require_space(register, job.input_bytes)
            parts.prepare(job.id)
            return register.create(self._row(job, sealer, owner), self.options.per_caller)

        if source is not None:
            await self._place(job.id, source)
        try:
            is_created = await self._call(create)
        except JobSpaceExceeded:
            await self._forget(job.id)
            raise
        if not is_created:
            await self._forget(job.id)
            raise TooManyJobs(
                f"{self.options.per_caller} jobs of yours have not ended.",
                hint="Wait until one ends, or cancel one.",
            )
        return job

    def _require_space(self, register: JobRegister, further: int = 0) -> None:
        """Raise JobSpaceExceeded if the files of jobs take as much as they may."""
        if register.size() + further >= self.options.max_bytes:
            raise _full()

    async def _place(self, job_id: str, source: InputFile) -> None:
        """Store the file that a job reads, before anybody can run it. Raises StoreUnavailable."""
        await self._call(lambda: self.parts.prepare(job_id))
        try:
            await self.parts.put(job_id, source.path, source.sha256)
        except OSError as error:
            await self._forget(job_id)
            raise StoreUnavailable(
                "The files of jobs cannot be written for now.",
                detail=str(error),
                retry_after=_RETRY,
            ) from error

    async def _forget(self, job_id: str) -> None:
        """Remove the files of a job that was not created, as far as they can be."""
        with suppress(OSError):
            await self.parts.remove(job_id)

    async def room(self) -> int:
        """Return the bytes that the files of further jobs may take. Raises JobSpaceExceeded, StoreUnavailable."""
        room = self.options.max_bytes - await self._call(self._open()[0].size)
        if room <= 0:
            raise _full()
        return room

    async def find(self, job_id: str) -> Job | None:
        """Return a job; None if there is none. Raises JobsUnavailable, StoreUnavailable."""

        def find() -> Job | None:
            register, sealer = self._open()
            row = register.find(job_id)
            return None if row is None else _job(row, sealer)

        self._require()
        return await self._call(find)

    async def list(self, environment: str | None, creator: str | None) -> Sequence[Job]:
        """Return the newest jobs of an environment and a creator; None: of all."""

        def find() -> Sequence[Job]:
            register, sealer = self._open()
            rows = register.list(environment, creator, LISTED)
            return [job for row in rows if (job := _readable(row, sealer)) is not None]

        self._require()
        return await self._call(find)

    async def claim(self, owner: str, most: int) -> Sequence[Job]:
        """Return jobs that no process has, which are the owner's from now on."""

        def claim() -> Sequence[Job]:
            register, sealer = self._open()
            now = self.now()
            jobs: list[Job] = []
            for row in register.claim(owner, now, now + self.options.lease, most):
                job = _readable(row, sealer)
                if job is None:
                    # Else every process would claim it again and again.
                    error = msgspec.json.encode(error_json(_unreadable())).decode()
                    ends = now + self.options.keep
                    register.change(row.id, owner, state="FAILED", error=error, expires_at=ends)
                else:
                    jobs.append(job)
            return jobs

        return await self._call(claim)

    async def renew(self, owner: str, job_ids: Sequence[str]) -> frozenset[str]:
        """Extend leases; return those jobs that are still the owner's."""
        until = self.now() + self.options.lease
        return await self._call(lambda: self._open()[0].renew(owner, job_ids, until))

    async def release(self, owner: str, job_ids: Collection[str]) -> None:
        """Return the leases of jobs that an owner has. Raises StoreUnavailable."""
        await self._call(lambda: self._open()[0].release(owner, job_ids, self.now()))

    async def change_state(
        self, job: Job, owner: str, state: State, error: Mapping[str, Any] | None = None
    ) -> None:
        """Note the state of a job that an owner runs. Raises JobLost, StoreUnavailable."""
        now = self.now()
        ended = state not in {"QUEUED", "RUNNING"}
        changed = {
            "state": state,
            "updated": now,
            "error": None if error is None else msgspec.json.encode(error).decode(),
            "expires_at": now + self.options.keep if ended else None,
        }
        await self._change(job.id, owner, changed)

    async def save(self, job: Job, owner: str, checkpoint: Checkpoint, progress: Progress) -> None:
        """Store a checkpoint. Raises JobLost, JobSpaceExceeded, StoreUnavailable."""
        now = self.now()

        def save() -> bool:
            register, sealer = self._open()
            values = {
                "checkpoint": sealer.seal(msgspec.json.encode(checkpoint), _context(job.id, "at")),
                "progress": msgspec.json.encode(progress).decode(),
                "size": job.input_bytes + progress.bytes,
                "updated": now,
                "leased_until": now + self.options.lease,
            }
            is_own = register.change(job.id, owner, **values)
            if is_own and register.size() > self.options.max_bytes:
                raise _full()
            return is_own

        if not await self._call(save):
            raise JobLost

    async def cancel(self, job_id: str) -> bool:
        """Cancel a job; return whether it could be."""
        now = self.now()
        return await self._call(
            lambda: self._open()[0].cancel(job_id, now, now + self.options.keep)
        )

    async def resume(self, job: Job, caller: Caller | None, owner: str | None) -> bool:
        """Queue a job again, for its caller as it is now (None: as it was); return whether it could be.

        Raises JobSpaceExceeded, StoreUnavailable.
        """
        known = job if caller is None else replace(job, caller=_lasting(caller))
        now = self.now()

        def resume() -> bool:
            register, sealer = self._open()
            # Else each run of a job that has failed for want of space would write some more.
            self._require_space(register)
            values = {
                "request": _sealed(known, sealer),
                "owner": owner,
                "leased_until": now if owner is None else now + self.options.lease,
            }
            return register.resume(job.id, now, **values)

        return await self._call(resume)

    async def remove_expired(self) -> int:
        """Remove the jobs whose time is over, with their files; return their number. Raises OSError."""
        expired = await self._call(lambda: self._open()[0].expired(self.now()))
        for job_id in expired:
            # The files first: a job that is forgotten would leave them behind.
            await self.parts.remove(job_id)
            await self._call(lambda job_id=job_id: self._open()[0].remove(job_id))  # type: ignore[misc] # of the loop
        return len(expired)

    async def close(self) -> None:
        """Close the connections."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await daemon_call(opened[0].close)

    async def _change(self, job_id: str, owner: str, values: Mapping[str, object]) -> None:
        if not await self._call(lambda: self._open()[0].change(job_id, owner, **values)):
            raise JobLost

    async def _call(self, use: Callable[[], _T]) -> _T:
        """Return what blocking work returns. Raises StoreUnavailable, without the name of the store."""
        try:
            return await daemon_call(use)
        except (StoreUnavailable, SettingsError, OSError) as error:
            raise for_clients(
                error, "The store of jobs cannot be used", retry_after=_RETRY
            ) from error

    def _open(self) -> tuple[JobRegister, Sealer]:
        with self._lock:
            if self._opened is None:
                from gateway.store.job_register import JobRegister  # noqa: PLC0415 - takes 0.4 s

                register = JobRegister(open_database(self._settings))
                self._opened = register, open_sealer(self._settings)
            return self._opened

    def _row(self, job: Job, sealer: Sealer, owner: str | None) -> JobRow:
        from gateway.store.job_register import JobRow  # noqa: PLC0415 - takes 0.4 s

        return JobRow(
            id=job.id,
            environment=job.environment,
            profile=job.profile,
            kind=job.kind,
            state=job.state,
            creator=job.creator,
            request=_sealed(job, sealer),
            checkpoint=None,
            progress=msgspec.json.encode(job.progress).decode(),
            size=job.input_bytes,
            error=None,
            owner=owner,
            leased_until=job.created if owner is None else job.created + self.options.lease,
            created=job.created,
            updated=job.updated,
            expires_at=None,
        )


def _lasting(caller: Caller) -> Caller:
    """Return a caller without its token, and without its user, who is looked up whenever the job begins."""
    return replace(caller, assertion=None, user={})


def _sealed(job: Job, sealer: Sealer) -> bytes:
    sealed = _Sealed(
        request=msgspec.Raw(job.request),
        files=job.files,
        caller=job.caller,
        is_personal=job.is_personal,
        input_bytes=job.input_bytes,
    )
    return sealer.seal(msgspec.json.encode(sealed), _context(job.id, "request"))


def _job(row: JobRow, sealer: Sealer) -> Job:
    """Return a job as it is stored. Raises SecretUnreadable."""
    from gateway.storage.sealing import NotSealed  # noqa: PLC0415 - imports cryptography

    try:
        sealed = msgspec.json.decode(
            sealer.open(row.request, _context(row.id, "request")), type=_Sealed
        )
        checkpoint = Checkpoint()
        if row.checkpoint is not None:
            text = sealer.open(row.checkpoint, _context(row.id, "at"))
            checkpoint = msgspec.json.decode(text, type=Checkpoint)
    except NotSealed:
        raise _unreadable() from None
    return Job(
        id=row.id,
        environment=row.environment,
        profile=row.profile,
        kind=row.kind,
        state=msgspec.convert(row.state, State),
        creator=row.creator,
        request=bytes(sealed.request),
        files=sealed.files,
        caller=sealed.caller,
        is_personal=sealed.is_personal,
        checkpoint=checkpoint,
        progress=msgspec.json.decode(row.progress, type=Progress),
        error=None if row.error is None else msgspec.json.decode(row.error),
        created=row.created,
        updated=row.updated,
        expires_at=row.expires_at,
        input_bytes=sealed.input_bytes,
    )


def _readable(row: JobRow, sealer: Sealer) -> Job | None:
    try:
        return _job(row, sealer)
    except SecretUnreadable:
        return None


def _unreadable() -> SecretUnreadable:
    return SecretUnreadable(
        "A job cannot be decrypted.",
        hint="All replicas need the same secret_key, and secret_key_old after a change.",
    )


def error_json(error: GatewayError) -> Mapping[str, Any]:
    """Return an error as clients see it."""
    return {"message": error.message, "extensions": error.extensions()}


def _context(job_id: str, what: str) -> bytes:
    return f"jobs|{job_id}|{what}".encode()


def _unavailable(message: str, hint: str) -> JobsUnavailable:
    return JobsUnavailable(message, hint=hint)


def _full() -> JobSpaceExceeded:
    return JobSpaceExceeded(
        "The files of all jobs take as much space as they may.",
        hint="Cancel jobs, or wait until some expire. Settings: jobs.max_bytes, jobs.keep.",
    )
