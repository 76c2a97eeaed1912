"""Mutation jobs: a mutation operation that runs in the background, once; its answer is the file of the job.

The job is its idempotency key, so no process runs it again after another one: if that was killed, the answer says that
nobody knows what was written (OUTCOME_UNKNOWN), a minute later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from gateway.admission.work import Lane
from gateway.errors import IdempotencyInProgress, OutcomeUnknown
from gateway.export.reading import ExportFailed
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.served_api import ServedApi

from .importing import PAUSE
from .part_file import PartFile
from .records import Part, Progress
from .running import RunningJob


class MutationJob(Struct, frozen=True, kw_only=True):
    """The request of a mutation job."""

    query: str
    variables: Mapping[str, Any]
    operation_name: str | None = None
    companies: tuple[str, ...] | None = None
    key: str | None = None
    """The idempotency key of the client."""
    client: str | None = None
    """Address of the client, for the audit log."""
    request_id: str | None = None
    """The client's id of the request, likewise."""


class MutationKind:
    """Runs mutation jobs."""

    name = "mutation"

    async def require_rights(self, api: ServedApi, request: bytes) -> None:
        """Raise OperationRefused if a caller may no longer send the operation whose answer a job has."""
        of = msgspec.json.decode(request, type=MutationJob)
        with api.live.serving() as gateway:
            gateway.engine.read(
                GraphQLRequest(
                    query=of.query, variables=of.variables, operation_name=of.operation_name
                )
            )

    async def run(self, job: RunningJob) -> None:
        """Run the operation, and write its answer. Raises ExportFailed if it could not run."""
        if job.parts:
            return
        of = msgspec.json.decode(job.request, type=MutationJob)
        request = GraphQLRequest(
            query=of.query,
            variables=of.variables,
            operation_name=of.operation_name,
            companies=of.companies,
            # No header can be equal to it: keys of headers have no spaces.
            idempotency_key=of.key or f"job {job.id}",
            lane=Lane.EXPORT,
            caller=job.caller,
            client=of.client,
            request_id=of.request_id,
        )
        answer = await _execute(job, request)
        if answer.data is msgspec.UNSET and not answer.has_error(OutcomeUnknown.code):
            # Nothing has come of it, so it may run again when the job does.
            raise ExportFailed(answer)
        with job.folder() as folder:
            with PartFile(folder / "part") as file:
                file.write(answer.encode())
            await job.put(file.path, file.sha256)
        part = Part(number=1, rows=1, bytes=file.size, sha256=file.sha256)
        await job.checkpoint(None, Progress(rows=1, parts=1, of_parts=1, bytes=file.size), [part])


async def _execute(job: RunningJob, request: GraphQLRequest) -> Answer:
    """Return the answer, once it is known what became of a run in another process."""
    while True:
        with job.api.live.serving() as gateway:
            answer = await gateway.engine.execute(request)
        if not answer.has_error(IdempotencyInProgress.code):
            return answer
        await asyncio.sleep(PAUSE)
