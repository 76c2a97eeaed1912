"""Jobs over HTTP: ``POST /exports`` starts one; ``/jobs`` shows, cancels and resumes them, and has their files.

    POST   /exports, /exports/PROFILE    {"set": "CustomersV3", "format": "csv", …}  ──▶ 202, Location: /jobs/ID
    GET    /jobs, /jobs/ID               DELETE /jobs/ID       POST /jobs/ID/resume
    GET    /jobs/ID/manifest             GET    /jobs/ID/parts/1    with Range and ETag

A job is its caller's: for everybody else it does not exist. It is read in the environment in which it was started.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.routing import BaseRoute
from starlette.types import Scope

from gateway.errors import (
    BadArgument,
    Forbidden,
    JobSpaceExceeded,
    JobsUnavailable,
    NotInstalled,
    TooManyJobs,
    UnknownJob,
    WrongJobState,
)
from gateway.export.change_files import change_writer
from gateway.export.changes import change_reader
from gateway.export.from_document import export_of_document
from gateway.export.request import ENDINGS, ExportRequest, read_export
from gateway.identity.caller import Caller
from gateway.jobs.changing import CHANGES, ChangesJob
from gateway.jobs.exporting import ExportJob, ExportKind
from gateway.jobs.job_json import job_json, manifest_json
from gateway.jobs.records import FileFacts, Job, NewJob
from gateway.jobs.service import Jobs
from gateway.packages.choice import check_package, read_source
from gateway.packages.records import SourceChoice
from gateway.request import GraphQLRequest
from gateway.runtime.generations import GenerationManager

from .endpoints import JOBS, Endpoint
from .export_endpoint import MEDIA, ready_export
from .job_files import send_part
from .refusals import starting
from .request_parameters import (
    Headers,
    companies_of,
)
from .resources import CallerRequest, Resources, texts_of
from .trusted_documents import DocumentAccess

_EXPORT = ("set", "where", "fields", "format", "companies", "formulas", "source", "kind")
_CHANGES = ("set", "where", "fields", "format", "companies", "since", "kind")


class JobRequest(CallerRequest, frozen=True, kw_only=True):
    """A request about jobs."""

    @property
    def jobs(self) -> Jobs:
        """The jobs of the process."""
        jobs: Jobs | None = getattr(self.scope["app"].state, "jobs", None)
        if jobs is None:
            raise starting()
        return jobs

    @property
    def path(self) -> str:
        """Where jobs are for this caller: ``/e/acme/jobs``."""
        return self.below(JOBS)

    async def job(self) -> Job:
        """Return the job that the path names. Raises UnknownJob."""
        job_id: str = self.scope["path_params"]["job"]
        return await self.jobs.find(job_id, self.environment, self.caller)


RESOURCES = Resources(
    JobRequest,
    {
        BadArgument: 400,
        Forbidden: 403,
        UnknownJob: 404,
        WrongJobState: 409,
        TooManyJobs: 429,
        JobsUnavailable: 501,
        NotInstalled: 501,
        JobSpaceExceeded: 507,
    },
)


def jobs_path(scope: Scope) -> str:
    """Return where jobs are: ``/e/acme/jobs``."""
    return f"{scope.get('root_path', '')}{JOBS}"


def export_job_routes(endpoint: Endpoint) -> Iterable[BaseRoute]:
    """Return the route at which export jobs of an API are started."""
    yield RESOURCES.route(endpoint, endpoint.exports, {"POST": _start_export})


def job_routes(endpoint: Endpoint) -> Iterable[BaseRoute]:
    """Return the routes of jobs, which exist once; ``endpoint`` is any of the gateway's."""
    yield RESOURCES.route(endpoint, JOBS, {"GET": _list})
    yield RESOURCES.route(endpoint, f"{JOBS}/{{job}}", {"GET": _show, "DELETE": _cancel})
    yield RESOURCES.route(endpoint, f"{JOBS}/{{job}}/resume", {"POST": _resume})
    yield RESOURCES.route(endpoint, f"{JOBS}/{{job}}/manifest", {"GET": _manifest})
    yield RESOURCES.route(endpoint, f"{JOBS}/{{job}}/parts/{{part}}", {"GET": _part})


async def _start_export(request: JobRequest) -> None:
    endpoint, scope = request.endpoint, request.scope
    caller, live = await endpoint.admit(scope)
    if live is None:
        raise starting()
    parameters = await request.body()
    if parameters.get("kind") == CHANGES:
        await _start_changes(request, caller, live, parameters)
        return
    gateway = live.gateway
    documents = endpoint.documents.of_caller(caller, gateway.view)
    values, is_trusted = _with_document(parameters, documents, request.headers)
    name, export, companies, source = _read(values, request.headers, _EXPORT)
    ready = await ready_export(endpoint, scope, caller, live, name, lambda: export)
    if documents.store is not None and not is_trusted:
        documents.find({"query": ready.export.document}, request.headers)
    ready.export.writer().close()  # raises if the format is not installed
    if source == "package":
        reads = GraphQLRequest(query="", companies=companies, caller=caller)
        check_package(ready.live.gateway, ready.export, reads)
    columns = ready.export.columns if export.fields is None else ()
    of = ExportJob(
        set=name,
        export=export,
        companies=companies,
        columns=tuple(column.name for column in columns),
        source=source,
    )
    job = await request.jobs.start(
        NewJob(
            environment=request.environment,
            profile=endpoint.profile,
            kind=ExportKind.name,
            request=msgspec.json.encode(of),
            files=FileFacts(
                name=ready.export.set,
                ending=ENDINGS[export.format],
                media=MEDIA[export.format].decode(),
            ),
            caller=caller,
            is_personal=gateway.settings.identity == "caller",
        )
    )
    location = f"{request.path}/{job.id}".encode()
    await request.answer(202, job_json(job, request.path), (b"location", location))


async def _start_changes(
    request: JobRequest, caller: Caller, live: GenerationManager, parameters: Mapping[str, Any]
) -> None:
    """Start a job of changes. Raises HttpError, GatewayError."""
    endpoint, values = request.endpoint, dict(parameters)
    name, export, companies, _ = _read(values, request.headers, _CHANGES)
    ready = await ready_export(endpoint, request.scope, caller, live, name, lambda: export)
    # Raises if the format is not installed, or cannot have changes.
    change_writer(ready.export.columns, export.format).close()
    reader = change_reader(ready, GraphQLRequest(query="", companies=companies, caller=caller))
    documents = endpoint.documents.of_caller(caller, live.gateway.view)
    if documents.store is not None:
        documents.find({"query": reader.request.query}, request.headers)
    columns = ready.export.columns if export.fields is None else ()
    of = ChangesJob(
        set=name,
        export=export,
        since=parameters.get("since"),
        companies=companies,
        columns=tuple(column.name for column in columns),
    )
    job = await request.jobs.start(
        NewJob(
            environment=request.environment,
            profile=endpoint.profile,
            kind=CHANGES,
            request=msgspec.json.encode(of),
            files=FileFacts(
                name=f"{ready.export.set}-{CHANGES}",
                ending=ENDINGS[export.format],
                media=MEDIA[export.format].decode(),
            ),
            caller=caller,
            is_personal=live.gateway.settings.identity == "caller",
        )
    )
    location = f"{request.path}/{job.id}".encode()
    await request.answer(202, job_json(job, request.path), (b"location", location))


def _with_document(
    parameters: Mapping[str, Any], documents: DocumentAccess, headers: Headers
) -> tuple[Mapping[str, Any], bool]:
    """Return the parameters with what the document has that they name, and whether it is a trusted one.

    Raises HttpError, BadArgument.
    """
    rest = dict(parameters)
    name, variables = rest.pop("documentId", None), rest.pop("variables", None)
    if name is None:
        return parameters, False
    if not isinstance(name, str) or not isinstance(variables, dict | None):
        raise BadArgument("documentId is no text, or variables are no object.")
    for own in ("set", "where", "fields"):
        if own in rest:
            raise BadArgument(f"{own} is that of the document.")
    text, trusted = documents.find({"documentId": name}, headers)
    export = export_of_document(text, variables or {})
    selected = {"set": export.list, "where": export.where, "fields": export.fields}
    return {**rest, **selected}, trusted is not None


def _read(
    parameters: Mapping[str, Any], headers: Headers, accepted: Sequence[str]
) -> tuple[str, ExportRequest, tuple[str, ...] | None, SourceChoice]:
    """Return the list, the export, the company scope and the source that a body names. Raises BadArgument."""
    values = texts_of(parameters, accepted)
    if "set" not in values:
        raise BadArgument("set is missing.", hint='For example: {"set": "CustomersV3"}')
    name = values.pop("set")
    if values.pop("kind", ExportKind.name) not in {ExportKind.name, CHANGES}:
        raise BadArgument(f"kind is neither {ExportKind.name} nor {CHANGES}.")
    values.pop("since", None)
    companies = values.pop("companies", headers.get("x-d365-company"))
    source = read_source(values.pop("source", "auto"))
    return name, read_export(values), companies_of(companies), source


async def _list(request: JobRequest) -> None:
    jobs = await request.jobs.list(request.environment, request.caller)
    await request.answer(200, {"jobs": [job_json(job, request.path) for job in jobs]})


async def _show(request: JobRequest) -> None:
    await request.answer(200, job_json(await request.job(), request.path))


async def _cancel(request: JobRequest) -> None:
    job = await request.jobs.cancel(await request.job())
    await request.answer(200, job_json(job, request.path))


async def _resume(request: JobRequest) -> None:
    job = await request.jobs.resume(await request.job(), request.caller)
    await request.answer(202, job_json(job, request.path))


async def _manifest(request: JobRequest) -> None:
    await request.answer(200, manifest_json(await request.job(), request.path))


async def _part(request: JobRequest) -> None:
    job = await request.job()
    number: str = request.scope["path_params"]["part"]
    part = next((part for part in job.checkpoint.parts if str(part.number) == number), None)
    if part is None or job.state == "CANCELLED":
        raise UnknownJob("There is no such part.", hint="The manifest lists those that are there.")
    # Policy may have changed since the job was started.
    await request.jobs.require_rights(job, request.caller)
    await send_part(
        request.jobs.parts,
        job,
        part,
        request.scope,
        request.headers,
        request.send,
        request.endpoint.waiting,
    )
