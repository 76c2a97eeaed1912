"""Writes that run as jobs: mutations and imports with ``Prefer: respond-async`` (RFC 7240, section 4.1).

The answer is 202, with the address of the job in ``Location``. What is wrong with a request is said at once, as without
the preference.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from starlette.types import Scope, Send

from gateway.errors import GatewayError, StoreUnavailable
from gateway.imports.request import ImportRequest
from gateway.jobs.importing import ImportJob, ImportKind
from gateway.jobs.job_json import job_json
from gateway.jobs.mutating import MutationJob, MutationKind
from gateway.jobs.part_file import PartFile
from gateway.jobs.records import FileFacts, InputFile, Job, NewJob
from gateway.jobs.service import Jobs
from gateway.request import GraphQLRequest

from .job_endpoint import RESOURCES, jobs_path
from .presence import environment_of
from .refusals import starting
from .responses import send_body

_APPLIED = (b"preference-applied", b"respond-async")
_JSON = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


async def start_mutation(scope: Scope, request: GraphQLRequest, profile: str | None) -> Job:
    """Start a job that runs a mutation operation. Raises HttpError."""
    of = MutationJob(
        query=request.query,
        variables=request.variables,
        operation_name=request.operation_name,
        companies=request.companies,
        key=request.idempotency_key,
        client=request.client,
        request_id=request.request_id,
    )
    new = NewJob(
        environment=_environment(scope),
        profile=profile,
        kind=MutationKind.name,
        request=msgspec.json.encode(of),
        files=FileFacts(
            name=request.operation_name or "mutation", ending="json", media="application/json"
        ),
        caller=request.caller,
        is_personal=_is_personal(scope),
    )
    try:
        return await _jobs(scope).start(new)
    except GatewayError as error:
        raise RESOURCES.refusal(error) from error


async def start_import(
    scope: Scope,
    body: AsyncIterator[bytes],
    of: tuple[str, ImportRequest, str],
    request: GraphQLRequest,
    profile: str | None,
) -> Job:
    """Start a job that imports a body, once it is on disk. ``of``: the entity set, the options, the coding of the body.

    Raises HttpError, and what reading the body raises.
    """
    jobs = _jobs(scope)
    name, options, coding = of
    try:
        with await asyncio.to_thread(jobs.parts.upload) as folder:
            async with jobs.arriving() as count:
                with PartFile(Path(folder) / "rows") as file:
                    async for piece in body:
                        count(len(piece))
                        await asyncio.to_thread(file.write, piece)
                job = ImportJob(
                    set=name,
                    options=options,
                    companies=request.companies,
                    key=request.idempotency_key,
                    client=request.client,
                    request_id=request.request_id,
                    sha256=file.sha256,
                    coding=coding,
                )
                new = NewJob(
                    environment=_environment(scope),
                    profile=profile,
                    kind=ImportKind.name,
                    request=msgspec.json.encode(job),
                    files=FileFacts(name=name, ending="ndjson", media="application/x-ndjson"),
                    caller=request.caller,
                    is_personal=_is_personal(scope),
                )
                return await jobs.start(new, InputFile(file.path, file.sha256, file.size))
    except OSError as error:
        text = "The files of jobs cannot be written for now."
        raise RESOURCES.refusal(StoreUnavailable(text, detail=str(error))) from error
    except GatewayError as error:
        raise RESOURCES.refusal(error) from error


async def send_job(scope: Scope, send: Send, job: Job) -> None:
    """Answer that a job was started."""
    path = jobs_path(scope)
    body = msgspec.json.encode(job_json(job, path)) + b"\n"
    location = (b"location", f"{path}/{job.id}".encode())
    await send_body(send, 202, body, (*_JSON, _APPLIED, location))


def _jobs(scope: Scope) -> Jobs:
    """Return the jobs of the process. Raises HttpError."""
    jobs: Jobs | None = getattr(scope["app"].state, "jobs", None)
    if jobs is None:
        raise starting()
    return jobs


def _environment(scope: Scope) -> str:
    environment = environment_of(scope)
    return "" if environment is None else environment.name


def _is_personal(scope: Scope) -> bool:
    """Return whether a job needs the token of its caller."""
    environment = environment_of(scope)
    return environment is not None and environment.live.gateway.settings.identity == "caller"
