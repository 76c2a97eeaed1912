"""Files of rows over HTTP, as bytes: ``GET``, ``HEAD``, ``PUT /files/{row}/{field}``, and ``POST`` for a new row.

    GET  /files/lAG_VmVu…/fileContents                                        the id of a row, a field of it
    PUT  /files/lAG_VmVu…/fileContents                                        the same: its new bytes
    POST /files/accounting.attachments/content?billReference=…&fileName=…     a list, a field of a new row

Both directions are as fast as the slower side: nothing but a few pieces is in memory. A response that begins with 200
is complete or broken off. What fails before the first byte is answered with a status.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.datastructures import QueryParams
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.admission.work import Lane
from gateway.errors import (
    BadArgument,
    RequestError,
)
from gateway.events.files import FileServed
from gateway.failures import failure_answer
from gateway.files.download import FileFacts, FileFailed, ReadyFile, prepare_download
from gateway.files.names import content_disposition, name_in
from gateway.files.targets import (
    FileWrite,
    create_of,
    find_file,
    name_field,
    row_field,
    update_of,
)
from gateway.files.upload import FileRefused, WrittenFile, stand_in, write_file
from gateway.request import Answer, GraphQLRequest
from gateway.telemetry.request_context import REQUEST_ID, current_request_id

from .client_watch import until_gone
from .endpoints import FIELD_PARAMETER, ROW_PARAMETER, Endpoint, with_cors
from .file_body import FileBody
from .graphql_endpoint import is_stopping
from .http_caching import matches
from .refusals import HttpError, shutdown_error
from .request_parameters import (
    COST_HEADER,
    Headers,
    client_of,
    companies_of,
    cost_of,
    idempotency_key_of,
    is_fresh,
    timeout_of,
)
from .responses import Fields, send_body
from .row_streams import Admitted, AdmittingEndpoint, as_refusals, cancelled, operation_error

_JSON = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
_STATUSES = {
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 412,
    "DUPLICATE_KEY": 409,
    "OUTCOME_UNKNOWN": 502,
    "NOT_SENT": 503,
    "BAD_USER_INPUT": 400,
    "BAD_ARGUMENT": 400,
}
"""Status of a file that was not written, by the code of the row's error."""
_BAD_REQUEST = 400
_OF_ROW = 422
"""Status of all others that the service has refused."""


def file_routes(endpoint: Endpoint) -> Iterable[BaseRoute]:
    """Return the route of files."""
    app = with_cors(_Files(endpoint), endpoint.settings.cors_origins, _Files.methods)
    yield Route(endpoint.files, app)


class _Files(AdmittingEndpoint):
    methods = ("GET", "HEAD", "PUT", "POST")
    wrong_method = "Files are read by GET, and written by PUT or POST."

    async def serve(self, admitted: Admitted, receive: Receive, send: Send) -> None:
        with self.endpoint.running.holding(Lane.EXPORT, admitted.scope, admitted.caller):
            await _Exchange(self.endpoint, admitted).answer(receive, send)


class _Exchange:
    """One request of an admitted caller."""

    def __init__(self, endpoint: Endpoint, admitted: Admitted) -> None:
        self._endpoint = endpoint
        self._scope = scope = admitted.scope
        self._headers = admitted.headers
        self._caller = admitted.caller
        self._live = admitted.live
        self._row: str = scope["path_params"][ROW_PARAMETER]
        self._field: str = scope["path_params"][FIELD_PARAMETER]
        self._parameters = dict(QueryParams(scope["query_string"]))

    async def answer(self, receive: Receive, send: Send) -> None:
        """Answer it. Raises HttpError if nothing was sent, ClientDisconnected."""
        companies = self._parameters.pop("companies", self._headers.get("x-d365-company"))
        is_read = self._scope["method"] in ("GET", "HEAD")
        request = GraphQLRequest(
            query="",
            companies=companies_of(companies),
            timeout=timeout_of(self._headers.get("x-d365-timeout")),
            fresh=is_fresh(self._headers),
            idempotency_key=idempotency_key_of(self._headers.get("idempotency-key")),
            lane=Lane.EXPORT,
            caller=self._caller,
            client=client_of(self._scope),
            request_id=current_request_id() or self._headers.get(REQUEST_ID),
        )
        if cost_of(self._headers.get(COST_HEADER.lower())) == "estimate":
            raise HttpError(400, "BAD_REQUEST", "Files are not priced: nothing was sent.")
        with as_refusals():
            await (self._read if is_read else self._write)(request, receive, send)

    # Reading

    async def _read(self, request: GraphQLRequest, receive: Receive, send: Send) -> None:
        """Send a file. Raises HttpError if nothing was sent, GatewayError."""
        for name in self._parameters:
            raise BadArgument(f"There is no parameter {name}.", hint="There is: companies.")
        api = self._endpoint.served_api(self._scope, self._live)
        ready = await prepare_download(api, self._row, self._field, request)
        for document in (ready.target.facts, ready.target.content):
            self._check_trusted(document)
        download: _Download | None = None
        try:
            facts = await ready.facts()
            if facts is None:
                raise _absent()
            download = _Download(self._endpoint, ready, facts, self._scope, send)
            await download.run(self._headers, receive)
        except FileFailed as failed:
            raise operation_error(failed.answer) from failed
        except asyncio.CancelledError:
            if not is_stopping(self._scope) or (download is not None and download.has_begun):
                raise
            # The server waits no longer; this is still sent.
            raise shutdown_error(is_write=False) from None

    # Writing

    async def _write(self, request: GraphQLRequest, receive: Receive, send: Send) -> None:
        """Write a file, and answer what became of it. Raises HttpError, ClientDisconnected, GatewayError."""
        most = self._endpoint.settings.writes.max_file_bytes
        body = FileBody(self._headers, receive, most)
        text = stand_in(body.size, body.digest)
        write = self._update(text) if self._scope["method"] == "PUT" else self._create(text)
        self._check_trusted(write.document)
        began = time.perf_counter()
        error: str | None = "STOPPING"
        try:
            file, answer = await write_file(
                self._live, write, text, request, body.pieces, body.size
            )
            error = None
        except FileRefused as refused:
            error = refused.code
            if body.refusal is not None:
                error = getattr(body.refusal, "code", "CLIENT_LEFT")
                raise body.refusal from refused
            raise self._refused(refused) from refused
        finally:
            event = FileServed(
                set=write.set,
                field=write.field,
                direction="upload",
                size=body.received,
                seconds=time.perf_counter() - began,
                error=error,
            )
            self._endpoint.observe(event)
        await self._answer_written(write, file, answer, send)

    def _update(self, text: str) -> FileWrite:
        for name in self._parameters:
            raise BadArgument(f"There is no parameter {name}.", hint="There is: companies.")
        if_match = self._headers.get("if-match", "").strip()
        target = find_file(self._live.gateway.schema, self._row, self._field)
        return update_of(
            self._live.gateway.schema, target, text, if_match if if_match not in ("", "*") else None
        )

    def _create(self, text: str) -> FileWrite:
        schema, cells = self._live.gateway.schema, self._parameters
        by = cells.pop("uniqueBy", None)
        named = name_field(schema, self._row)
        name = name_in(self._headers.get("content-disposition"))
        if named is not None and name is not None:
            cells.setdefault(named, name)
        unique_by = None if by is None else tuple(filter(None, by.split(",")))
        return create_of(schema, self._row, self._field, cells, text, unique_by)

    async def _answer_written(
        self, write: FileWrite, file: WrittenFile, answer: Answer, send: Send
    ) -> None:
        content: dict[str, Any] = {"id": file.id}
        fields: Fields = (*_JSON, *answer.fields)
        if file.created is not None:
            content["created"] = file.created
        field = file.id and row_field(self._live.gateway.schema, file.id, write.column)
        if file.id and field:
            content["path"] = path = self._path(file.id, field)
            if file.created:
                fields = (*fields, (b"location", path.encode()))
        body = msgspec.json.encode(content) + b"\n"
        await send_body(send, 201 if file.created else 200, body, fields)

    def _path(self, id_: str, field: str) -> str:
        """Return the path of a file, as this caller reads it: ``/e/acme/files/ap/lAG_…/fileContents``."""
        template = self._endpoint.files
        path = template.replace(f"{{{ROW_PARAMETER}}}", id_)
        path = path.replace(f"{{{FIELD_PARAMETER}}}", field)
        return f"{self._scope.get('root_path', '')}{path}"

    # Errors

    def _check_trusted(self, document: str) -> None:
        """Raise HttpError if the caller may run trusted documents only."""
        documents = self._endpoint.documents
        if documents.store is not None:
            documents = documents.of_caller(self._caller, self._live.gateway.view)
            documents.find({"query": document}, self._headers)

    def _refused(self, refused: FileRefused) -> HttpError:
        code, whole = refused.code, refused.answer
        if whole.errors:
            error = operation_error(whole)
            status = _STATUSES.get(code, error.status)
        else:
            error = operation_error(Answer(errors=refused.errors, fields=whole.fields))
            status = _STATUSES.get(code, 502 if code.startswith("UPSTREAM_") else _OF_ROW)
        error.status = error.plain_status = status
        return error


class _Download:
    """The response with one file."""

    def __init__(
        self, endpoint: Endpoint, ready: ReadyFile, facts: FileFacts, scope: Scope, send: Send
    ) -> None:
        self._endpoint = endpoint
        self._ready = ready
        self._facts = facts
        self._scope = scope
        self._send = send
        self.has_begun = False
        """Whether the response has begun."""
        self._size = 0
        self._began = time.perf_counter()

    async def run(self, headers: Headers, receive: Receive) -> None:
        """Send the file, or as much as can be had. Raises HttpError if nothing was sent."""
        etag = _safe_etag(self._facts.etag)
        if etag is not None and matches(headers.get("if-none-match", ""), etag):
            await self._start(304, etag)
            await self._send({"type": "http.response.body", "body": b""})
            return
        if self._scope["method"] == "HEAD":
            await self._start(200, etag)
            await self._send({"type": "http.response.body", "body": b""})
            return
        sending = asyncio.create_task(self._send_all())
        gone = asyncio.create_task(until_gone(receive))
        # Unless either ends, the server cancels this one.
        error: str | None = "STOPPING"
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
            error = sending.result() if sending.done() else "CLIENT_LEFT"
        except HttpError as refused:
            error = refused.code
            raise
        finally:
            await cancelled(sending, gone)
            self._log(error)

    async def _send_all(self) -> str | None:
        """Send the file; return the code of the error that has ended it. Raises HttpError before the first byte."""
        try:
            has_bytes = await self._ready.read(self._begin, self._write)
        except Exception as error:
            answer = failure_answer(error, self._endpoint.observe)
            if not self.has_begun:
                failed = operation_error(answer)
                if failed.status == _BAD_REQUEST and not isinstance(error, RequestError):
                    failed.status = failed.plain_status = 502
                raise failed from error
            # The server closes the connection of a response that is not complete.
            return answer.code
        if not has_bytes:
            raise _absent()
        await self._send({"type": "http.response.body", "body": b""})
        return None

    async def _begin(self, etag: str | None) -> None:
        """Send the head of the response, unless that was done; ``etag``: of the row that the bytes are from."""
        if not self.has_begun:
            await self._start(200, _safe_etag(etag or self._facts.etag))

    async def _start(self, status: int, etag: bytes | None) -> None:
        self.has_begun = True
        fields = [
            (b"cache-control", b"private, no-cache"),
            (b"vary", b"Authorization, X-D365-Company, X-D365-Environment"),
            (b"accept-ranges", b"none"),
        ]
        if etag is not None:
            fields.append((b"etag", etag))
        if status == 200:
            fields += [
                (b"content-type", self._facts.media.encode()),
                (b"content-disposition", content_disposition(self._facts.name)),
                (b"x-content-type-options", b"nosniff"),
                # Whoever opens it in a browser nevertheless must not run what it holds.
                (b"content-security-policy", b"sandbox; default-src 'none'"),
                # For nginx and proxies that follow it: do not buffer.
                (b"x-accel-buffering", b"no"),
            ]
        await self._send({"type": "http.response.start", "status": status, "headers": fields})

    async def _write(self, piece: bytes) -> None:
        self._size += len(piece)
        with self._endpoint.waiting.holding(len(piece)):
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    def _log(self, error: str | None) -> None:
        target = self._ready.target
        event = FileServed(
            set=target.set,
            field=target.field.name,
            direction="download",
            size=self._size,
            seconds=time.perf_counter() - self._began,
            error=error,
        )
        self._endpoint.observe(event)


def _safe_etag(etag: str | None) -> bytes | None:
    """Return a version as a header's value; None if it is none that may be one (RFC 9110, section 8.8.3)."""
    if etag is None or not etag.isascii() or not etag.isprintable():
        return None
    bare = etag.removeprefix("W/")
    is_tag = len(bare) > 1 and bare[0] == bare[-1] == '"' and '"' not in bare[1:-1]
    return etag.encode() if is_tag and " " not in bare else None


def _absent() -> HttpError:
    return HttpError(
        404, "NOT_FOUND", "There is no such file.", "The row or its value is not there."
    )
