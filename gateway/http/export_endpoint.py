"""Exports over HTTP: ``GET /export/CustomersV3?where=…&fields=…&format=csv`` streams a whole list to its caller.

A response that begins with 200 is complete or broken off: an export that fails midway ends without the last chunk, so
that the client's HTTP library reports it, and NDJSON has a last line ``{"error": …}``. What fails before the first row
is answered with a status. Bytes are sent as fast as the client reads them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any

import msgspec
from msgspec import Struct
from starlette.datastructures import QueryParams
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.admission.work import Lane
from gateway.errors import (
    NotInstalled,
    Unauthenticated,
)
from gateway.events.exports import ExportServed
from gateway.export.description import DescribeRequest, describe, pop_description
from gateway.export.parts import parse_part, part_reads
from gateway.export.reading import ExportFailed, has_next, read_rows
from gateway.export.request import ENDINGS, Export, ExportRequest, Format, read_export
from gateway.export.serving import ReadyExport, prepare_for
from gateway.failures import failure_answer
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.request import Answer, GraphQLRequest, PageEnd
from gateway.runtime.generations import GenerationManager
from gateway.storage.content_coding import (
    IDENTITY,
    StreamCompressor,
    accepted_coding,
    stream_compressor,
)
from gateway.telemetry.request_context import REQUEST_ID, current_request_id

from .caller_watch import until_refused
from .client_watch import until_gone
from .endpoints import SET_PARAMETER, Endpoint, with_cors
from .refusals import (
    HttpError,
    shutdown_error,
)
from .request_audit import record_refused
from .request_parameters import Headers, client_of, companies_of, is_fresh, timeout_of
from .responses import send_body
from .row_streams import (
    Admitted,
    AdmittingEndpoint,
    as_refusals,
    cancelled,
    operation_error,
    until_stopping,
)

MEDIA: Mapping[Format, bytes] = {
    "ndjson": b"application/x-ndjson; charset=utf-8",
    "csv": b"text/csv; charset=utf-8; header=present",
    "parquet": b"application/vnd.apache.parquet",
    "arrow": b"application/vnd.apache.arrow.stream",
}
_TEXTS = ("ndjson", "csv")
_NO_STORE = (b"cache-control", b"no-store")
_VARY = (
    b"vary",
    b"Accept-Encoding, Authorization, X-D365-Company, X-D365-Environment",
)


def export_routes(endpoint: Endpoint) -> Iterable[BaseRoute]:
    """Return the route of exports."""
    yield Route(endpoint.export, with_cors(_Exports(endpoint), endpoint.settings.cors_origins))


class _Prepared(Struct, frozen=True):
    """An export of a request, and what serves it."""

    ready: ReadyExport
    first: GraphQLRequest
    goes_on: Callable[[PageEnd], bool] = has_next
    """Decides after which page another one is read."""

    @property
    def export(self) -> Export:
        """What is exported."""
        return self.ready.export


async def ready_export(
    endpoint: Endpoint,
    scope: Scope,
    caller: Caller,
    live: GenerationManager,
    name: str,
    read: Callable[[], ExportRequest],
) -> ReadyExport:
    """Return the export that a request describes, for its caller. Raises HttpError."""
    try:
        with as_refusals():
            return await prepare_for(endpoint.served_api(scope, live), name, read())
    except HttpError as refused:
        record_refused(scope, refused, caller)
        raise


class _Exports(AdmittingEndpoint):
    methods = ("GET", "HEAD")
    wrong_method = "Exports are read by GET."

    async def serve(self, admitted: Admitted, receive: Receive, send: Send) -> None:
        scope, endpoint = admitted.scope, self.endpoint
        parameters = dict(QueryParams(scope["query_string"]))
        with as_refusals():
            described = pop_description(parameters)
        prepared = await self._prepare(admitted, parameters)
        with endpoint.running.holding(Lane.EXPORT, scope, admitted.caller):
            if described is None:
                await _Stream(endpoint, prepared, scope, admitted.headers, send).run(receive)
            else:
                await _send_description(prepared, described, receive, send)

    async def _prepare(self, admitted: Admitted, parameters: dict[str, str]) -> _Prepared:
        """Return the export of a request. Raises HttpError."""
        scope, headers, caller = admitted.scope, admitted.headers, admitted.caller
        live = admitted.live
        name: str = scope["path_params"][SET_PARAMETER]
        part_name = parameters.pop("part", None)
        ready = await ready_export(
            self.endpoint, scope, caller, live, name, lambda: read_export(parameters)
        )
        export, own = ready.export, live.gateway.view
        documents = self.endpoint.documents
        if documents.store is not None:
            documents = documents.of_caller(caller, own)
            documents.find({"query": export.document}, headers)
        companies = parameters.get("companies", headers.get("x-d365-company"))
        request = GraphQLRequest(
            query=export.document,
            companies=companies_of(companies),
            timeout=timeout_of(headers.get("x-d365-timeout")),
            fresh=is_fresh(headers),
            caller=caller,
            client=client_of(scope),
            request_id=current_request_id() or headers.get(REQUEST_ID),
        )
        first = export.first(request)
        if part_name is None:
            return _Prepared(ready, first)
        with as_refusals():
            return _Prepared(ready, *part_reads(export, first, parse_part(part_name)))


async def _send_description(
    prepared: _Prepared, request: DescribeRequest, receive: Receive, send: Send
) -> None:
    """Answer what an export is made of, unless the client leaves before. Raises HttpError."""
    describing = asyncio.create_task(describe(prepared.ready, prepared.first, request))
    gone = asyncio.create_task(until_gone(receive))
    try:
        await asyncio.wait((describing, gone), return_when=asyncio.FIRST_COMPLETED)
        if describing.done():
            with as_refusals():
                body = msgspec.json.encode(describing.result())
            await send_body(send, 200, body, ((b"content-type", b"application/json"), _NO_STORE))
    except ExportFailed as failed:
        raise operation_error(failed.answer) from failed
    finally:
        await cancelled(describing, gone)


class _Stream:
    """The response with one export."""

    def __init__(
        self, endpoint: Endpoint, prepared: _Prepared, scope: Scope, headers: Headers, send: Send
    ) -> None:
        self._endpoint = endpoint
        self._observe = endpoint.observe
        self._prepared = prepared
        self._scope = scope
        self._send = send
        # Columns are compressed, or meant to be read as they come.
        enabled = endpoint.settings.compression and prepared.export.request.format in _TEXTS
        self._coding = accepted_coding(headers) if enabled else IDENTITY
        self._compressor: StreamCompressor | None = stream_compressor(self._coding)
        try:
            self._writer = prepared.export.writer()
        except NotInstalled as error:
            raise HttpError(501, error.code, error.message, error.hint) from error
        self._has_begun = False
        self._size = 0
        self._began = time.perf_counter()

    async def run(self, receive: Receive) -> None:
        """Send all rows, or as much as can be had. Raises HttpError if nothing was sent."""
        if self._scope["method"] == "HEAD":
            await self._begin()
            await self._send({"type": "http.response.body"})
            return
        sending = asyncio.create_task(self._send_all())
        gone = asyncio.create_task(until_gone(receive))
        stopping = asyncio.create_task(until_stopping(self._scope))
        ends = [sending, gone, stopping]
        refusal = self._refusal()
        if refusal is not None:
            ends.append(refusal)
        error: str | None = "STOPPING"
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                error = sending.result()
                return
            await cancelled(sending)
            if gone.done():
                error = "CLIENT_LEFT"
            elif refusal is not None and refusal.done():
                expired = Unauthenticated(refusal.result(), hint="Sign in, and export again.")
                error = await self._break_off(failure_answer(expired, self._observe))
            else:
                error = await self._break_off(shutdown_error(is_write=False).answer)
        finally:
            await cancelled(*ends)
            self._writer.close()
            if self._has_begun:
                self._log(error)

    def _refusal(self) -> asyncio.Task[Any] | None:
        """Return a task that ends when the credentials of the caller do."""
        caller = self._prepared.first.caller
        if caller is ANONYMOUS:
            return None
        return asyncio.create_task(
            until_refused(lambda: caller, lambda: self._endpoint.authenticate(self._scope))
        )

    def _log(self, error: str | None) -> None:
        export = self._prepared.export
        event = ExportServed(
            set=export.set,
            format=export.request.format,
            rows=self._writer.rows,
            size=self._size,
            seconds=time.perf_counter() - self._began,
            error=error,
        )
        self._observe(event)

    async def _send_all(self) -> str | None:
        """Send all rows; return the code of the error that has ended it early. Raises HttpError before the first."""
        try:
            prepared = self._prepared
            pages = read_rows(
                prepared.ready.read, prepared.first, prepared.goes_on, self._writer.collect
            )
            async with aclosing(pages):
                async for page in pages:
                    await self._begin()
                    for piece in self._writer.page(page):
                        await self._write(piece)
                        await asyncio.sleep(0)
            end = await asyncio.to_thread(self._writer.end)
        except ExportFailed as failed:
            return await self._break_off(failed.answer)
        except Exception as error:
            return await self._break_off(failure_answer(error, self._observe))
        await self._write(end)
        rest = b"" if self._compressor is None else self._compressor.flush()
        self._size += len(rest)
        await self._send({"type": "http.response.body", "body": rest})
        return None

    async def _begin(self) -> None:
        """Send the head of the response, and of the file, unless that was done."""
        if self._has_begun:
            return
        self._has_begun = True
        export = self._prepared.export
        file = f"{export.set}.{ENDINGS[export.request.format]}"
        fields = [
            (b"content-type", MEDIA[export.request.format]),
            (b"content-disposition", f'attachment; filename="{file}"'.encode()),
            _NO_STORE,
            (b"x-content-type-options", b"nosniff"),
            # For nginx and proxies that follow it: do not buffer.
            (b"x-accel-buffering", b"no"),
            _VARY,
        ]
        if self._coding != IDENTITY:
            fields.append((b"content-encoding", self._coding.encode()))
        await self._send({"type": "http.response.start", "status": 200, "headers": fields})
        if self._scope["method"] != "HEAD":
            await self._write(self._writer.begin())

    async def _write(self, piece: bytes) -> None:
        body = piece if self._compressor is None else self._compressor.compress(piece)
        if not body:
            return
        self._size += len(body)
        with self._endpoint.waiting.holding(len(body)):
            await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def _break_off(self, answer: Answer) -> str:
        """End the response without its end, and return the code of the error. Raises HttpError if nothing was sent."""
        error, code = answer.errors[0], answer.code
        if not self._has_begun:
            raise operation_error(answer)
        if self._prepared.export.request.format == "ndjson":
            await self._write(msgspec.json.encode({"error": error}) + b"\n")
            # Else the line would stay in the compressor.
            if self._compressor is not None:
                rest, self._compressor = self._compressor.flush(), None
                await self._write(rest)
        # The server closes the connection of a response that is not complete.
        return code
