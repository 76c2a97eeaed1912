"""Operations of the administration: each is a route of the second listener, and a part of its OpenAPI description.

    Operation(method, path, answer, …)  ──▶ a route, which reads a JSON body and answers JSON
                                        └─▶ the description of that route

Every answer that is no success is ``{"error": {"code", "message", "hint", "field"}}``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
from starlette.datastructures import QueryParams
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.administration.hook_service import HookExists
from gateway.errors import (
    EnvironmentExists,
    GatewayError,
    NoSuchEnvironment,
    RequestError,
    StoreUnavailable,
    VersionConflict,
    to_gateway_error,
)
from gateway.events import ErrorRaised, Observer
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.store.faults import for_clients

from .refusals import HttpError
from .request_parameters import BODY_TIMEOUT, Headers, headers_of
from .responses import send_body

Schema: TypeAlias = Mapping[str, Any]
"""A schema of OpenAPI 3.1, which is JSON Schema."""
MAX_BODY = 64 * 1024
"""Bytes of a request's body."""
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
"""RFC 7396."""
PREFIX = "/admin/"
"""Below it are operations."""
_CALLER = "d365.administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminRequest:
    """A request to an operation."""

    scope: Scope
    path: Mapping[str, str]
    """Parameters of the path."""
    query: Mapping[str, str]
    headers: Headers
    body: Any
    """The JSON object of the body; None if the operation takes none."""
    caller: Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminAnswer:
    """The answer of an operation."""

    status: int = 200
    content: object = None
    """Encoded as JSON; None: there is no body."""
    headers: Mapping[str, str] = field(default_factory=dict)


Answer: TypeAlias = Callable[[AdminRequest], Awaitable[AdminAnswer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter in the query or in a header."""

    name: str
    place: str
    """``query`` or ``header``."""
    description: str
    schema: Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedOperation:
    """One method of one path. Its errors are those of ``errors``, and what is true of every request."""

    method: str
    path: str
    name: str
    """Of the operation, for generated clients."""
    summary: str
    results: Mapping[int, str | None]
    """Status → name of the schema of its body; None: there is no body."""
    body: str | None = None
    """Name of the schema of the request's body; None: it has none."""
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(DescribedOperation):
    """An operation of the administration, with what answers it."""

    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationGroup:
    """Operations that belong together, with the schemas that they name."""

    operations: tuple[Operation, ...]
    schemas: Callable[[], Mapping[str, Schema]]
    running: Callable[[], AbstractAsyncContextManager[object]] = nullcontext
    """What runs as long as the listener does."""


def routes_of(operations: Iterable[Operation], observe: Observer) -> Iterator[Route]:
    """Yield a route for each path."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    for path, methods in by_path.items():
        yield Route(path, _Resource(methods, observe))


@dataclass(frozen=True, slots=True)
class _Resource:
    """The operations of one path, as an ASGI application."""

    operations: Mapping[str, Operation]
    observe: Observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            operation = self._operation(scope["method"])
            request = await _read(operation, scope, receive)
            answer = await operation.answer(request)
        except HttpError as error:
            await send_error(error, send)
        except Exception as error:
            await self._send_failure(to_gateway_error(error), send)
        else:
            await _send(answer, send, has_body=scope["method"] != "HEAD")

    def _operation(self, method: str) -> Operation:
        operation = self.operations.get("GET" if method == "HEAD" else method)
        if operation is None:
            allowed = ", ".join(self.operations)
            fields = ((b"allow", allowed.encode()),)
            message = f"Accepted methods: {allowed}."
            raise HttpError(405, "METHOD_NOT_ALLOWED", message, fields=fields)
        return operation

    async def _send_failure(self, error: GatewayError, send: Send) -> None:
        status = status_of(error)
        if status >= 500:
            self.observe(_raised(error))
        message, hint = error.message, error.hint
        if isinstance(error, StoreUnavailable):
            # Its own message names the database; that is in the log.
            shown = for_clients(error, "The store cannot be used", hint="The log says why.")
            message, hint = shown.message, shown.hint
        content = error_json(error.code, message, hint, getattr(error, "field", None))
        await _send(AdminAnswer(status=status, content=content), send)


def _raised(error: GatewayError) -> ErrorRaised:
    return ErrorRaised(
        error_id=error.error_id, code=error.code, message=error.message, detail=error.detail
    )


def status_of(error: GatewayError) -> int:
    """Return the status of an answer that is an error."""
    match error:
        case NoSuchEnvironment():
            return 404
        case EnvironmentExists() | HookExists():
            return 409
        case VersionConflict():
            return 412
        case RequestError():
            return 400
        case _:
            return 500 if type(error) is GatewayError else 503


def error_json(
    code: str, message: str, hint: str | None = None, field: str | None = None
) -> Mapping[str, object]:
    """Return the body of an error."""
    facts = {"code": code, "message": message, "hint": hint, "field": field}
    return {"error": {name: fact for name, fact in facts.items() if fact is not None}}


async def send_error(error: HttpError, send: Send) -> None:
    """Answer a request that is refused before its operation begins."""
    (described,) = error.answer.errors
    hint = described["extensions"].get("hint")
    content = error_json(error.code, described["message"], hint)
    await _send(AdminAnswer(status=error.status, content=content), send, error.fields)


def administered_by(scope: Scope, caller: Caller) -> None:
    """Note whose request it is."""
    scope[_CALLER] = caller


async def _read(operation: Operation, scope: Scope, receive: Receive) -> AdminRequest:
    headers = headers_of(scope)
    return AdminRequest(
        scope=scope,
        path=scope["path_params"],
        query=QueryParams(scope["query_string"]),
        headers=headers,
        body=None if operation.body is None else await _body(headers, receive),
        caller=scope.get(_CALLER, ANONYMOUS),
    )


async def _body(headers: Headers, receive: Receive) -> Any:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {JSON, MERGE_PATCH}:
        raise HttpError(415, "UNSUPPORTED_MEDIA_TYPE", f"The body must be {JSON}.")
    text = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            while True:
                message = await receive()
                text += message.get("body", b"")
                if len(text) > MAX_BODY:
                    raise HttpError(
                        413, "BODY_TOO_LARGE", f"A body has at most {MAX_BODY:,} bytes."
                    )
                if not message.get("more_body"):
                    break
    except TimeoutError:
        raise HttpError(408, "REQUEST_TIMEOUT", "The body did not arrive in time.") from None
    try:
        content = msgspec.json.decode(text or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise HttpError(400, "BAD_REQUEST", "The body is no JSON.") from None
    if not isinstance(content, dict):
        raise HttpError(400, "BAD_REQUEST", "The body must be a JSON object.")
    return content


async def _send(
    answer: AdminAnswer,
    send: Send,
    fields: Iterable[tuple[bytes, bytes]] = (),
    *,
    has_body: bool = True,
) -> None:
    header = [(b"cache-control", b"no-store"), *fields]
    header += [(k.encode(), v.encode("latin-1")) for k, v in answer.headers.items()]
    if answer.content is None:
        await send({"type": "http.response.start", "status": answer.status, "headers": header})
        await send({"type": "http.response.body", "body": b""})
        return
    header.append((b"content-type", b"application/json; charset=utf-8"))
    text = msgspec.json.format(msgspec.json.encode(answer.content), indent=2) + b"\n"
    await send_body(send, answer.status, text if has_body else b"", header)
