"""Imports over HTTP: ``POST /import/CustomersV3?mode=upsert`` writes the rows of its body, and answers line by line.

    body: NDJSON or CSV ──▶ rows, some hundred at a time ──▶ mutations ──▶ response: NDJSON, a line for each row

The response begins with the first results, while the body still arrives. It is complete, or broken off: an import that
ends early has a last line ``{"error": …}``, and ends without the last chunk. What fails before the first result has a
status. Rows that are being written when a client leaves are written to their end, and no others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any

import msgspec
from msgspec import Struct
from starlette.datastructures import QueryParams
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.admission.work import Lane
from gateway.errors import Unauthenticated
from gateway.events.imports import ImportServed
from gateway.failures import failure_answer
from gateway.identity.caller import ANONYMOUS
from gateway.imports.request import Format, read_import
from gateway.imports.results import Counts, RowResult, lines
from gateway.imports.running import ImportRun
from gateway.imports.serving import ReadyImport, prepare_for
from gateway.imports.writing import ImportStopped, ImportWriter
from gateway.request import Answer, GraphQLRequest
from gateway.storage.content_coding import IDENTITY, StreamDecompressor, stream_decompressor
from gateway.telemetry.request_context import REQUEST_ID, current_request_id

from .background_writes import send_job, start_import
from .caller_watch import until_refused
from .early_body import EarlyBody
from .endpoints import SET_PARAMETER, Endpoint, with_cors
from .refusals import (
    HttpError,
)
from .request_parameters import (
    BODY_TIMEOUT,
    COST_HEADER,
    ClientDisconnected,
    Headers,
    client_of,
    companies_of,
    cost_of,
    idempotency_key_of,
    prefers_job,
    timeout_of,
)
from .row_streams import (
    Admitted,
    AdmittingEndpoint,
    as_refusals,
    cancelled,
    operation_error,
    until_stopping,
)

_FORMATS: dict[str, Format] = {
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "text/csv": "csv",
}
_SILENT = f"Nothing of the body has come for {BODY_TIMEOUT:g} seconds."
_FIELDS = (
    (b"content-type", b"application/x-ndjson; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    # For nginx and proxies that follow it: do not buffer.
    (b"x-accel-buffering", b"no"),
)


def import_routes(endpoint: Endpoint) -> Iterable[BaseRoute]:
    """Return the route of imports."""
    application = _Imports(endpoint)
    yield Route(endpoint.imports, with_cors(application, endpoint.settings.cors_origins))


class PreparedImport(Struct, frozen=True):
    """An import of a request."""

    ready: ReadyImport
    first: GraphQLRequest
    decompressor: StreamDecompressor
    coding: str


class _Imports(AdmittingEndpoint):
    methods = ("POST",)
    wrong_method = "Imports are sent by POST."

    async def serve(self, admitted: Admitted, receive: Receive, send: Send) -> None:
        scope, endpoint = admitted.scope, self.endpoint
        prepared = prepare_import(endpoint, admitted)
        with endpoint.running.holding(Lane.EXPORT, scope, admitted.caller):
            if prefers_job(admitted.headers):
                await self._start(prepared, scope, receive, send)
            else:
                await _Exchange(endpoint, prepared, scope, receive, send).run()

    async def _start(
        self, prepared: PreparedImport, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Start a job that writes the rows, and answer where it is. Raises HttpError, ClientDisconnected."""
        plan = prepared.ready.plan
        of = plan.set, plan.request, prepared.coding
        body = body_pieces(receive)
        job = await start_import(scope, body, of, prepared.first, self.endpoint.profile)
        await send_job(scope, send, job)


def prepare_import(endpoint: Endpoint, admitted: Admitted) -> PreparedImport:
    """Return the import of a request. Raises HttpError."""
    scope, headers, caller = admitted.scope, admitted.headers, admitted.caller
    live = admitted.live
    name: str = scope["path_params"][SET_PARAMETER]
    parameters = QueryParams(scope["query_string"])
    coding = headers.get("content-encoding", IDENTITY).strip().lower()
    decompressor = _decompressor(coding)
    form = _format(headers)
    with as_refusals():
        api = endpoint.served_api(scope, live)
        ready = prepare_for(api, name, read_import(parameters, form))
    documents = endpoint.documents
    if documents.store is not None:
        documents = documents.of_caller(caller, live.gateway.view)
        documents.find({"query": ready.plan.document}, headers)
    if cost_of(headers.get(COST_HEADER.lower())) == "estimate":
        text = "Imports are not priced: nothing was sent."
        raise HttpError(
            400, "BAD_REQUEST", text, "validate=true checks the rows, and sends nothing."
        )
    companies = parameters.get("companies", headers.get("x-d365-company"))
    request = GraphQLRequest(
        query=ready.plan.document,
        companies=companies_of(companies),
        timeout=timeout_of(headers.get("x-d365-timeout")),
        idempotency_key=idempotency_key_of(headers.get("idempotency-key")),
        caller=caller,
        client=client_of(scope),
        request_id=current_request_id() or headers.get(REQUEST_ID),
    )
    return PreparedImport(ready, ready.plan.first(request), decompressor, coding)


def _format(headers: Headers) -> Format:
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    form = _FORMATS.get(media)
    if form is None:
        raise HttpError(
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            "The body is neither NDJSON nor CSV.",
            "Set Content-Type: application/x-ndjson, or text/csv.",
        )
    return form


def _decompressor(coding: str) -> StreamDecompressor:
    decompressor = stream_decompressor(coding)
    if decompressor is None:
        raise HttpError(
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            "The body is compressed in a way that is not supported.",
            "Content-Encoding: gzip, or zstd.",
        )
    return decompressor


async def body_pieces(receive: Receive) -> AsyncIterator[bytes]:
    """Yield a body as it arrives. Raises ClientDisconnected, and HttpError if nothing comes for long."""
    while True:
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                message = await receive()
        except TimeoutError as error:
            raise HttpError(408, "REQUEST_TIMEOUT", _SILENT) from error
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        if piece := message.get("body", b""):
            yield piece
        if not message.get("more_body", False):
            return


class _Exchange:
    """One import: its request and its response."""

    def __init__(
        self,
        endpoint: Endpoint,
        prepared: PreparedImport,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._endpoint = endpoint
        self._observe = endpoint.observe
        self._prepared = prepared
        self._scope = scope
        self._receive = receive
        self._send = send
        self._body = EarlyBody(scope, send)
        self._counts = Counts()
        self._has_begun = False
        self._began = time.perf_counter()
        self._ends: list[asyncio.Task[Any]] = []

    async def run(self) -> None:
        """Write all rows, or as many as can be. Raises HttpError if nothing was sent, ClientDisconnected."""
        self._ends = [asyncio.create_task(until_stopping(self._scope))]
        caller = self._prepared.first.caller
        if caller is not ANONYMOUS:
            watch = until_refused(lambda: caller, lambda: self._endpoint.authenticate(self._scope))
            self._ends.append(asyncio.create_task(watch))
        error: str | None = "CLIENT_LEFT"
        try:
            error = await self._write_all()
        except HttpError as refused:
            error = refused.code
            raise
        finally:
            self._body.close()
            await cancelled(*self._ends)
            self._log(error)

    async def _write_all(self) -> str | None:
        """Write all rows; return the code of the error that has ended it early. Raises as ``run``."""
        prepared = self._prepared
        writer = ImportWriter(prepared.ready.plan, prepared.first, prepared.ready)
        run = ImportRun(prepared.ready.plan, writer, self._counts)
        try:
            async with aclosing(run.results(self._pieces())) as results:
                async for some in results:
                    await self._write(some)
        except ImportStopped as stopped:
            if stopped.results:
                await self._write(stopped.results)
            return await self._break_off(stopped.answer)
        except (ClientDisconnected, HttpError):
            raise
        except Exception as error:
            return await self._break_off(failure_answer(error, self._observe))
        await self._begin()
        if prepared.ready.plan.request.has_trailer:
            await self._body.write(msgspec.json.encode({"end": self._counts.to_json()}) + b"\n")
        await self._body.flush()
        await self._send({"type": "http.response.body"})
        return None

    async def _pieces(self) -> AsyncIterator[bytes]:
        """Yield the body of the request. Raises ClientDisconnected, ImportStopped."""
        while True:
            message = await self._next()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            try:
                for piece in self._prepared.decompressor.pieces(message.get("body", b"")):
                    yield piece
                if not message.get("more_body", False):
                    self._prepared.decompressor.end()
                    return
            except ValueError as error:
                text = "The body is not compressed as Content-Encoding says, or lacks its end."
                raise ImportStopped(_error("BAD_REQUEST", text)) from error

    async def _next(self) -> Any:
        """Return the next part of the request, unless the import has to end."""
        self._require_going_on()
        receiving: asyncio.Task[Any] = asyncio.ensure_future(self._receive())
        ends = [receiving, *self._ends]
        try:
            await asyncio.wait(ends, timeout=BODY_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                return receiving.result()
            self._require_going_on()
        finally:
            await cancelled(receiving)
        raise ImportStopped(_error("REQUEST_TIMEOUT", _SILENT))

    def _require_going_on(self) -> None:
        """Raise ImportStopped if the server stops, or the credentials of the caller have ended."""
        stopping, *refusals = self._ends
        if stopping.done():
            text = "The gateway shuts down: the rows that follow were not written."
            raise ImportStopped(_error("STOPPING", text))
        for refusal in refusals:
            if refusal.done():
                error = Unauthenticated(refusal.result(), hint="Sign in, and import the rest.")
                raise ImportStopped(failure_answer(error, self._observe))

    async def _begin(self) -> None:
        """Send the head of the response, unless that was done."""
        if not self._has_begun:
            self._has_begun = True
            message = {"type": "http.response.start", "status": 200, "headers": list(_FIELDS)}
            await self._send(message)

    async def _write(self, results: Iterable[RowResult]) -> None:
        await self._begin()
        await self._body.write(lines(results))

    async def _break_off(self, answer: Answer) -> str:
        """End the response without its end, and return the code of the error. Raises HttpError if nothing was sent."""
        error, code = answer.errors[0], answer.code
        if not self._has_begun:
            raise operation_error(answer)
        await self._body.write(msgspec.json.encode({"error": error}) + b"\n")
        await self._body.flush()
        # The server closes the connection of a response that is not complete.
        return code

    def _log(self, error: str | None) -> None:
        plan = self._prepared.ready.plan
        event = ImportServed(
            set=plan.set,
            format=plan.request.format,
            mode="validate" if plan.request.validates else plan.request.mode,
            rows=self._counts.rows,
            refused=self._counts.refused,
            seconds=time.perf_counter() - self._began,
            error=error,
        )
        self._observe(event)


def _error(code: str, message: str) -> Answer:
    return Answer(errors=[{"message": message, "extensions": {"code": code}}])
