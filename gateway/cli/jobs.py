"""`jobs …`: jobs of the store, for those who may use it; their files, checked by their digests."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from gateway.config.settings import Settings
from gateway.errors import BadArgument, GatewayError, UnknownJob, WrongJobState
from gateway.jobs.job_json import job_json, manifest_json, part_name
from gateway.jobs.job_store import JobStore
from gateway.jobs.records import Job, Part

from .options import fail
from .replaced_file import replacing
from .tables import iso_time, print_table

_PATH = "/jobs"
_JOINED = ("ndjson", "csv")
_LEAST = 4
"""Digits by which a job can be named."""
_T = TypeVar("_T")


def print_list(settings: Settings, *, as_json: bool) -> None:
    """Print the newest jobs. Raises GatewayError."""
    jobs = _with_store(settings, lambda store: store.list(None, None))
    if as_json:
        print(json.dumps({"jobs": [job_json(job, _PATH) for job in jobs]}))
        return
    header = ("ID", "KIND", "NAME", "ENVIRONMENT", "STATE", "ROWS", "CREATED")
    print_table([header, *map(_row, jobs)])


def _row(job: Job) -> tuple[str, ...]:
    rows = f"{job.progress.rows:,}"
    created = iso_time(job.created)
    return (job.id, job.kind, job.files.name, job.environment or "-", job.state, rows, created)


def show(settings: Settings, name: str) -> None:
    """Print a job and its manifest. Raises GatewayError."""
    job = _with_store(settings, lambda store: _find(store, name))
    manifest = manifest_json(job, _PATH)
    print(json.dumps({**job_json(job, _PATH), "manifest": manifest}, indent=2))


def cancel(settings: Settings, name: str) -> None:
    """Cancel a job. Raises GatewayError."""

    async def act(store: JobStore) -> Job:
        job = await _find(store, name)
        if not await store.cancel(job.id):
            raise WrongJobState(f"The job is {job.state}.")
        return job

    print(f"{_with_store(settings, act).id}: cancelled", file=sys.stderr)


def resume(settings: Settings, name: str) -> None:
    """Queue a job that has failed. Raises GatewayError."""

    async def act(store: JobStore) -> Job:
        job = await _find(store, name)
        if job.is_personal:
            raise WrongJobState(
                "The job needs the token of its caller.",
                hint="Its caller resumes it: POST /jobs/{id}/resume.",
            )
        if not await store.resume(job, None, None):
            raise WrongJobState(f"The job is {job.state}.")
        return job

    print(f"{_with_store(settings, act).id}: queued for a gateway", file=sys.stderr)


def download(settings: Settings, name: str, to: Path) -> None:
    """Write the files of a job. Raises GatewayError, and exits with 1 if a file cannot be read or written."""

    async def act(store: JobStore) -> tuple[JobStore, Job]:
        return store, await _find(store, name)

    store, job = _with_store(settings, act)
    if job.state != "SUCCEEDED":
        raise WrongJobState(f"The job is {job.state}.", hint="Wait until it has succeeded.")
    parts = job.checkpoint.parts
    try:
        if job.files.ending in _JOINED:
            with replacing(to) as file:
                for part in parts:
                    _copy(store, job, part, file)
        else:
            to.mkdir(exist_ok=True)
            for part in parts:
                with replacing(to / part_name(job, part)) as file:
                    _copy(store, job, part, file)
    except OSError as error:
        fail(f"{error.filename or to}: {error.strerror}.", None, 1)
    print(f"{to}: {job.progress.rows:,} rows, {len(parts)} parts", file=sys.stderr)


def _copy(store: JobStore, job: Job, part: Part, file: BinaryIO) -> None:
    """Write a part to a file. Raises GatewayError if it is not what the manifest says."""
    digest = hashlib.sha256()
    for piece in store.parts.read(job.id, part.sha256):
        digest.update(piece)
        file.write(piece)
    if digest.hexdigest() != part.sha256:
        raise GatewayError(f"Part {part.number} was changed since the job has written it.")


async def _find(store: JobStore, name: str) -> Job:
    """Return the job with an id that begins so. Raises UnknownJob, BadArgument."""
    exact = await store.find(name)
    if exact is not None:
        return exact
    matches = [job for job in await store.list(None, None) if job.id.startswith(name)]
    if len(name) < _LEAST or not matches:
        raise UnknownJob(
            f"There is no job {name}.", hint="`jobs list` prints those that are there."
        )
    if len(matches) > 1:
        raise BadArgument(f"{len(matches)} jobs begin with {name}.", hint="Name more digits.")
    return matches[0]


def _with_store(settings: Settings, use: Callable[[JobStore], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        store = JobStore(settings)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(run())
