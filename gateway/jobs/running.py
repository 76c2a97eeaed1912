"""A job while it runs: what its kind works with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from gateway.errors import StoreUnavailable
from gateway.identity.caller import Caller
from gateway.packages.records import Source
from gateway.runtime.served_api import ServedApi

from .part_store import PartStore
from .records import Checkpoint, Job, Part, Progress

_T = TypeVar("_T")


class JobLost(Exception):
    """The job is no longer this process's: it was cancelled, or another process has it."""


class JobHandedOver(JobLost):
    """The job goes on from its checkpoint elsewhere: this process ends, or has other settings now."""


class RunningJob:
    """What a kind of job sees of its job, and what it reports."""

    def __init__(
        self,
        job: Job,
        caller: Caller,
        api: ServedApi,
        parts: PartStore,
        save: Callable[[Checkpoint, Progress], Awaitable[None]],
    ) -> None:
        self.id = job.id
        self.request = job.request
        """JSON."""
        self.caller = caller
        """As whom it runs."""
        self.api = api
        self.parts: tuple[Part, ...] = job.checkpoint.parts
        """The complete ones."""
        self._checkpoint = job.checkpoint
        self._store = parts
        self._save = save

    @property
    def source(self) -> Source | None:
        """Where the rows of an export come from, if that was decided."""
        return self._checkpoint.source

    @property
    def has_begun(self) -> bool:
        """Whether there is a checkpoint to go on at."""
        return bytes(self._checkpoint.state) != b"null"

    def decide_source(self, source: Source) -> None:
        """Note where the rows come from, for this and all later checkpoints."""
        self._checkpoint = replace(self._checkpoint, source=source)

    def state(self, of_type: type[_T], default: _T) -> _T:
        """Return the state of the last checkpoint."""
        raw = bytes(self._checkpoint.state)
        return default if raw == b"null" else msgspec.json.decode(raw, type=of_type)

    async def checkpoint(self, state: object, progress: Progress, parts: Sequence[Part]) -> None:
        """Store where the job goes on, durably. Raises JobLost, StoreUnavailable, JobSpaceExceeded."""
        raw = msgspec.Raw(msgspec.json.encode(state))
        ordered = tuple(sorted(parts, key=lambda part: part.number))
        checkpoint = replace(self._checkpoint, state=raw, parts=ordered)
        await self._save(checkpoint, progress)
        self._checkpoint, self.parts = checkpoint, ordered

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Yield a folder for files that are being written. Raises StoreUnavailable if that fails."""
        with as_unavailable(), self._store.scratch(self.id) as folder:
            yield Path(folder)

    def read(self, sha256: str) -> Iterator[bytes]:
        """Yield the bytes of a file of the job. Blocks; raises OSError."""
        return self._store.read(self.id, sha256)

    async def put(self, file: Path, sha256: str) -> None:
        """Make a file a part, which is there under this digest from now on. Raises StoreUnavailable."""
        with as_unavailable():
            await self._store.put(self.id, file, sha256)


@contextmanager
def as_unavailable() -> Iterator[None]:
    """Raise what files refuse, such as a full disk, as an error that may pass."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(
            "The files of jobs cannot be written for now.", detail=str(error)
        ) from error


class JobKind(Protocol):
    """What a job does. It begins at its last checkpoint, in whichever process has it."""

    name: str

    async def require_rights(self, api: ServedApi, request: bytes) -> None:
        """Check whether a caller, whom an API serves, may still read what a job writes.

        Raises Forbidden, UnknownSet, BadArgument or OperationRefused if not.
        """
        ...

    async def run(self, job: RunningJob) -> None:
        """Do the work, and return when all is done.

        Raises GatewayError or ExportFailed, JobLost if it is no longer this process's.
        """
        ...
