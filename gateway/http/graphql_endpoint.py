"""GraphQL over HTTP: checks an HTTP request, executes its operation, and answers with media type and status.

Follows the GraphQL over HTTP draft (https://graphql.github.io/graphql-over-http/draft/): POST with JSON, GET and
QUERY (RFC 10008) for queries, both response media types with their own rules for the status:

    what happened                             application/graphql-response+json    application/json
    the operation ran, with errors or not     200                                  200
    its caller must sign in again             401                                  401
    it could not run (syntax, variables)      400                                  200
    its idempotency key is in use             409                                  409
    its idempotency key had another input     422                                  422
    its caller has spent all points for now   429                                  429
    the gateway is at fault                   500                                  500
    the request holds no operation            4xx                                  4xx

HEAD is GET without the body, which the server leaves out. A POST must be ``application/json``, which no web form can
send (CSRF). A request that is refused is one line in the log. If a client disconnects, its operation and the upstream
requests for it are cancelled, but a mutation goes on to its end.

The endpoint is plain ASGI (https://asgi.readthedocs.io/en/latest/specs/www.html): Starlette's request and response
objects would cost as much as parsing the operation.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol, TypeAlias

import msgspec
from msgspec import structs
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from gateway import shutdown
from gateway.errors import (
    AuditUnavailable,
    IdempotencyInProgress,
    IdempotencyMismatch,
    OutOfMemory,
    Overloaded,
    RateLimited,
    StoreUnavailable,
    Unauthenticated,
)
from gateway.events import ClientLeft, Observer, RequestRefused
from gateway.failures import encode_answer
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.request import Answer, GraphQLRequest
from gateway.shutdown import STOPPING
from gateway.storage.accept import media_quality
from gateway.storage.content_coding import Compression

from .admin_access import AccessCheck, allow_all, deny_all
from .answer_streams import StreamedAnswer, is_begun, may_stream
from .client_watch import ClientWatch
from .http_caching import cache_fields
from .refusals import (
    HttpError,
    admin_error,
    caller_error,
    cross_site_error,
    error_fields,
    overload_error,
    shutdown_error,
    starting,
)
from .request_audit import record_refusal
from .request_parameters import (
    JSON,
    QUERY,
    READS,
    TRACE_HEADER,
    ClientDisconnected,
    Headers,
    document_in,
    headers_of,
    is_traced,
    prefers_job,
    read_request,
)
from .responses import Fields, TooMuchWaiting, send_answer, send_body
from .running_operations import RunningOperations
from .trusted_documents import NAMES, UNTRUSTED, DocumentAccess
from .waiting_bytes import WaitingBytes

GRAPHQL = "application/graphql-response+json"
STREAM = "text/event-stream"
_TRACE = TRACE_HEADER.lower()


class Executor(Protocol):
    """Answers operations: the engine, or explain."""

    async def execute(self, request: GraphQLRequest) -> Answer:
        """Answer a request. Raises nothing but CancelledError."""
        ...

    def changes_data(self, request: GraphQLRequest) -> bool:
        """Return whether a request must not be cancelled if its client disconnects."""
        ...

    def subscribes(self, request: GraphQLRequest) -> bool:
        """Return whether a request is a subscription."""
        ...


Background: TypeAlias = Callable[[Scope, Send, GraphQLRequest], Awaitable[None]]
"""Starts a job for a request, and answers where it is. Raises HttpError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLEndpoint:
    """Answers the HTTP requests to one address."""

    max_body: int
    page: str | None
    """Path to which browsers are redirected that ask for HTML; None: there is no page."""
    observe: Observer
    compression: Compression = field(default_factory=Compression)
    admits: AccessCheck = allow_all
    """Authorization check for this endpoint."""
    traces: AccessCheck = deny_all
    """Authorization check for traces of upstream requests."""
    streams: bool = False
    """Whether subscriptions are answered by event streams."""
    origins: Sequence[str] = ()
    """Origins whose pages may call (CORS); ``*``: all."""
    waiting: WaitingBytes = field(default_factory=lambda: WaitingBytes(256_000_000))
    """Counts the answers that clients have not read yet."""
    running: RunningOperations = field(default_factory=lambda: RunningOperations(1_000))
    """Counts the operations that run."""
    background: Background | None = None
    """Starts a job for a mutation whose client prefers not to wait; None: there are no jobs."""
    max_age: int | None = 0
    """Seconds for which answers of trusted documents may be cached; None: as the cache of upstream answers says."""

    def is_for_anybody(self, scope: Scope) -> bool:
        """Return whether a request is answered without a look at its caller: a visit of a browser, OPTIONS."""
        if scope["method"] in READS:
            return self.page is not None and _is_visit(scope, headers_of(scope))
        return bool(scope["method"] == "OPTIONS")

    async def answer(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        engine: Executor | HttpError | None,
        caller: Caller = ANONYMOUS,
        *,
        may_trace: bool = True,
        documents: DocumentAccess = UNTRUSTED,
    ) -> GraphQLRequest | None:
        """Answer one request; one that is to be answered by an event stream is returned instead.

        ``engine`` is None while the gateway starts, and the error for a caller who is refused; ``may_trace``: whether
        the caller's roles may see traces; ``documents``: which ones the caller may run.
        """
        started = time.perf_counter()
        headers = headers_of(scope)
        if self.page is not None and _is_visit(scope, headers):
            place = f"{scope.get('root_path', '')}{self.page}".encode()
            await send_body(send, 302, b"", ((b"location", place), _VARY))
            return None
        if scope["method"] == "OPTIONS":
            await send_body(send, 200, b"", (_ALLOW, _ACCEPT_QUERY))
            return None
        media = choose_media_type(headers.get("accept", ""))
        own_fields: Fields = ()
        try:
            self._check(scope, headers, has_media=media is not None or self._may_stream(headers))
            if isinstance(engine, HttpError):
                raise engine
            request = await read_request(scope, headers, receive, self.max_body, documents, caller)
            if may_trace and _TRACE in headers and is_traced(headers[_TRACE]):
                request = structs.replace(request, trace=self.traces(headers))
            ready = _require_engine(engine)
            # A client that accepts only event streams gets one for queries, too.
            if media is None or (self._may_stream(headers) and ready.subscribes(request)):
                return request
            if self.background is not None and _runs_later(ready, request, headers):
                await self.background(scope, send, request)
                return None
            executed = await self._execute(scope, receive, send, headers, request, media, ready)
            if executed is None:
                return None
            answer, status, own_fields = executed
        except ClientDisconnected:
            self.observe(ClientLeft(seconds=time.perf_counter() - started))
            return None
        except HttpError as error:
            self._refused(scope, error, caller, is_recorded=error is engine)
            status = error.plain_status if media == JSON else error.status
            answer, own_fields = error.answer, error.fields
        fields = (*_FIELDS[media or JSON], *_fields_of(status, own_fields))
        await self._send(scope, send, caller, status, answer, fields)
        return None

    async def _send(
        self,
        scope: Scope,
        send: Send,
        caller: Caller,
        status: int,
        answer: Answer,
        fields: Fields,
    ) -> None:
        if scope["method"] in SAFE and not any(name == _CACHED for name, _ in fields):
            fields = (*fields, _NO_STORE)
        try:
            await send_answer(scope, send, status, answer, fields, self.compression, self.waiting)
        except TooMuchWaiting:
            refused = overload_error()
            self._refused(scope, refused, caller)
            fields = (*fields, *_STATUS_FIELDS[refused.status])
            await send_body(send, refused.status, refused.answer.encode(), fields)

    def _refused(
        self, scope: Scope, error: HttpError, caller: Caller, *, is_recorded: bool = False
    ) -> None:
        """Log a refusal, and record it unless that was done where the caller was refused."""
        if error.code == Overloaded.code:
            self.running.note_refusal(caller)
        self.observe(RequestRefused(status=error.status, code=error.code, message=str(error)))
        if not is_recorded:
            record_refusal(scope, error.status, error.code, caller)

    def _check(self, scope: Scope, headers: Headers, *, has_media: bool) -> None:
        """Raise HttpError if a request is refused before its body is read."""
        # The cheapest check first: this is the answer under overload.
        if self.waiting.is_full:
            raise overload_error()
        if self.running.is_full:
            raise caller_error(self.running.refusal())
        if scope["method"] in READS and is_foreign(headers, self.origins):
            raise cross_site_error()
        if not has_media:
            raise HttpError(
                406, "NOT_ACCEPTABLE", "This API answers JSON.", f"Accept {GRAPHQL} or {JSON}."
            )
        if not self.admits(headers):
            raise admin_error()

    def _may_stream(self, headers: Headers) -> bool:
        return self.streams and accepts_stream(headers.get("accept", ""))

    async def _execute(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: Headers,
        request: GraphQLRequest,
        media: str,
        engine: Executor,
    ) -> tuple[Answer, int, Fields] | None:
        """Return the encoded answer, its status and header fields; None if it was sent while it was made.

        Raises HttpError, ClientDisconnected.
        """
        stream = self._stream(scope, send, headers, media, request)
        if stream is not None:
            request = structs.replace(request, stream=stream)
        watcher = ClientWatch(scope, receive, lambda: engine.changes_data(request))
        try:
            with self.running.holding(request.lane, scope, request.caller):
                answer = await engine.execute(request)
            if is_begun(stream):
                await stream.end(answer)
                return None
            return self._encoded(scope, headers, request, media, answer)
        except Overloaded as error:
            raise caller_error(error) from error
        except asyncio.CancelledError:
            if watcher.has_cancelled:
                raise ClientDisconnected from None
            if not is_stopping(scope):
                raise
            # The server cancels what is left when its grace period is over; this answer is still sent.
            if is_begun(stream):
                return None
            raise shutdown_error(is_write=engine.changes_data(request)) from None
        finally:
            watcher.stop()
            if is_begun(stream):
                await stream.close()

    def _encoded(
        self, scope: Scope, headers: Headers, request: GraphQLRequest, media: str, answer: Answer
    ) -> tuple[Answer, int, Fields]:
        """Return an answer encoded, with its status and header fields."""
        status = status_of(answer, media)
        fields = (*answer.fields, *error_fields(answer.errors))
        if request.trusted is not None and scope["method"] in SAFE:
            fields = (*fields, *cache_fields(request, answer, headers, self.max_age))
        encoded = encode_answer(answer, self.observe)
        # Its status was read while it had its errors; one that could not be encoded has others.
        if encoded.written is None:
            return encoded, status_of(encoded, media), ()
        return encoded, status, fields

    def _stream(
        self, scope: Scope, send: Send, headers: Headers, media: str, request: GraphQLRequest
    ) -> StreamedAnswer | None:
        """Return what may send the answer while it is made; None if more is to be known before its first byte."""
        is_safe = scope["method"] in SAFE
        if not may_stream(scope, is_kept=is_safe and request.trusted is not None):
            return None
        fields = (*_FIELDS[media], _NO_STORE) if is_safe else _FIELDS[media]
        return StreamedAnswer(send, fields, headers, self.compression, self.waiting)


def _require_engine(engine: Executor | HttpError | None) -> Executor:
    """Return what executes operations. Raises HttpError."""
    if engine is None or isinstance(engine, HttpError):
        raise starting()
    return engine


def _runs_later(engine: Executor, request: GraphQLRequest, headers: Headers) -> bool:
    """Return whether a request is a mutation whose client prefers not to wait for it; prices are there at once."""
    return prefers_job(headers) and request.cost != "estimate" and engine.changes_data(request)


def is_foreign(headers: Headers, origins: Sequence[str]) -> bool:
    """Return whether a browser sends a request for a page of another site that is not allowed to call.

    Such a page could not read the answer, but it would cost upstream requests: https://www.w3.org/TR/fetch-metadata/.
    """
    if headers.get("sec-fetch-site", "").strip().lower() != "cross-site" or "*" in origins:
        return False
    return headers.get("origin", "").lower() not in origins


def is_stopping(scope: Scope) -> bool:
    """Return whether the server of a connection stops, or the application that began to serve its request."""
    event: asyncio.Event | None = scope.get("state", {}).get(STOPPING)
    return (event is not None and event.is_set()) or shutdown.is_stopping(scope.get("app"))


_VARY = (
    b"vary",
    b"Accept, Accept-Encoding, Authorization, X-D365-Company, X-D365-Environment",
)
_CACHED = b"cache-control"
_NO_STORE = (_CACHED, b"no-store")
SAFE = READS | {QUERY}
"""Methods that read."""
_RETRY = (b"retry-after", b"5")
_ALLOW = (b"allow", b"GET, HEAD, POST, QUERY, OPTIONS")
_ACCEPT_QUERY = (b"accept-query", JSON.encode())
"""Media types of bodies that QUERY takes (RFC 10008, section 3)."""
_CLOSE = (b"connection", b"close")
_STATUS_FIELDS = {
    405: (_ALLOW, _ACCEPT_QUERY),
    415: (_ACCEPT_QUERY,),
    408: (_CLOSE,),
    413: (_CLOSE,),
    503: (_RETRY,),
}
"""Further fields of responses with a status. A body that was not read to its end makes the connection useless."""
_FIELDS = {
    media: ((b"content-type", f"{media}; charset=utf-8".encode()), _VARY)
    for media in (JSON, GRAPHQL)
}


def _fields_of(status: int, own: Fields) -> Fields:
    """Return the further fields of a response; a request may have a better Retry-After than its status."""
    if status == 200:
        return own
    names = {name for name, _ in own}
    return (*(f for f in _STATUS_FIELDS.get(status, ()) if f[0] not in names), *own)


def status_of(answer: Answer, media: str) -> int:
    """Return the HTTP status of an answer: see the table above, and section 6.4 of the draft."""
    if not answer.errors and (answer.data is not msgspec.UNSET or answer.written is not None):
        return 200
    codes = {e.get("extensions", {}).get("code") for e in answer.errors}
    # The identity provider wants more of the caller: clients sign in again and repeat the request, which a mutation
    # that has changed something does not allow.
    if Unauthenticated.code in codes and not answer.changed:
        return 401
    if answer.data is not msgspec.UNSET or answer.written is not None:
        return 200
    # With either media type: the gateway is at fault, or the HTTP request rather than the operation.
    if "INTERNAL_ERROR" in codes:
        return 500
    for code in codes & _STATUS.keys():
        return _STATUS[code]
    return 400 if media == GRAPHQL else 200


_STATUS: Mapping[object, int] = {
    AuditUnavailable.code: 503,
    Overloaded.code: 503,
    OutOfMemory.code: 503,
    StoreUnavailable.code: 503,
    RateLimited.code: 429,
    IdempotencyMismatch.code: 422,
    IdempotencyInProgress.code: 409,
    "METHOD_NOT_ALLOWED": 405,
    "NOT_ACCEPTABLE": 406,
}
"""Status of operations that did not run, by the code of their error."""


@lru_cache(maxsize=256)
def choose_media_type(accept: str) -> str | None:
    """Choose the response's media type; None if the client accepts neither.

    JSON unless the client names GraphQL's own type: clients that send a wildcard may be older than that type.
    """
    if not accept:
        return JSON
    graphql = media_quality(accept, GRAPHQL, is_named=True)
    plain = media_quality(accept, JSON)
    if max(graphql, plain) <= 0:
        return None
    return GRAPHQL if graphql >= plain else JSON


def accepts_stream(accept: str) -> bool:
    """Return whether the client names event streams among what it accepts."""
    return media_quality(accept, STREAM, is_named=True) > 0


def _is_visit(scope: Scope, headers: Headers) -> bool:
    if scope["method"] not in READS:
        return False
    # A GET with a query is a request to the API, even from a browser's address bar.
    if not media_quality(headers.get("accept", ""), "text/html", is_named=True) > 0:
        return False
    parameters = QueryParams(scope["query_string"])
    return document_in(scope) is None and not any(n in parameters for n in ("query", *NAMES))
