"""GraphQL over WebSocket: the protocol graphql-transport-ws, server side.

    client                          here
    connection_init {X-D365-…}  ▶   admission; company scope and timeout as in HTTP ◀ connection_ack
    subscribe id …              ▶   query, mutation: one result; subscription: many ◀ next…, complete | error
    complete id                 ▶   the operation is cancelled; a mutation goes on to its end
    ping, pong                  ◀▶  in both directions; a client that is silent for two heartbeats is gone
    ping {Authorization}        ▶   the same caller's next token, before the one of the connection ends

    closed with   4400 invalid message           4401 an operation before connection_ack    4403 not admitted (any more)
                  4406 another subprotocol       4408 no connection_init, or no pong, in time
                  1013 results are not read
                  4409 two operations of one id  4429 a second connection_init              1001 the gateway stops
    refused with  403 a page of another origin (cross-site hijacking)                       503 too many connections

Errors of an operation alone are an ``error`` message with its id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import UnsetType, structs
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from gateway.errors import BudgetExceeded, Unauthenticated
from gateway.events.streams import SocketClosed
from gateway.failures import failure_answer
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.request import GraphQLRequest
from gateway.runtime.generations import GenerationManager
from gateway.subscriptions.hub import FeedEnded, Hub
from gateway.subscriptions.polling import error_json
from gateway.subscriptions.streams import Streams
from gateway.telemetry.request_context import current_request, in_request

from .caller_watch import until_refused
from .graphql_endpoint import is_stopping
from .refusals import HttpError
from .request_audit import record_refusal
from .request_parameters import Headers, client_of, headers_of, request_of
from .running_operations import RunningOperations
from .transport_ws_messages import (
    ACK,
    PING,
    PONG,
    SUBPROTOCOL,
    Complete,
    ConnectionInit,
    Message,
    Ping,
    Pong,
    Subscribe,
    complete_message,
    error_message,
    next_message,
    read_message,
)
from .trusted_documents import UNTRUSTED, DocumentAccess
from .waiting_bytes import SHARE, WaitingBytes

_GONE = (WebSocketDisconnect, RuntimeError)
"""What Starlette raises for a message to a client that has disconnected."""
GOODBYE = 1.0
"""Timeout in seconds for sending the close frame."""
MAX_REASON = 120
"""Maximum bytes of the reason in a close frame (RFC 6455, section 5.5: 125 with the code)."""


class _Gone(Exception):
    """The client has disconnected."""


class ConnectionRefused(Exception):
    """The connection is to be closed with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketOptions:
    """Who may connect, and the limits of connections."""

    admit: Callable[[Headers], Awaitable[tuple[Caller, GenerationManager | None]]]
    """Returns the caller of a connection by its headers, and what serves it. Raises HttpError."""
    max_message: int
    """Maximum characters of a client's message."""
    origins: Sequence[str] = ()
    """Origins whose pages may connect, besides the gateway's own; ``*``: all."""
    waiting: WaitingBytes = field(default_factory=lambda: WaitingBytes(256_000_000))
    """Counts the answers that clients have not read yet."""
    running: RunningOperations = field(default_factory=lambda: RunningOperations(1_000))
    """Counts the operations that run."""
    hub: Callable[[], Hub | None] = lambda: None
    """Returns the subscriptions of the environment of the connection, once that is known; None: those of ``serve``."""
    documents: DocumentAccess = UNTRUSTED
    """Which documents may run, unless roles of the caller say otherwise."""


async def serve(websocket: WebSocket, hub: Hub | None, terms: SocketOptions) -> None:
    """Serve one connection to its end. ``hub`` is None while the gateway starts."""
    if not is_own(websocket.headers, terms.origins):
        record_refusal(websocket.scope, 403, "FOREIGN_ORIGIN")
        await websocket.send_denial_response(PlainTextResponse("Foreign origin", 403))
        return
    if hub is None:
        await websocket.send_denial_response(PlainTextResponse("Starting", 503))
        return
    with hub.connection() as is_admitted:
        if not is_admitted:
            await websocket.send_denial_response(PlainTextResponse("Too many connections", 503))
            return
        if SUBPROTOCOL not in websocket.scope["subprotocols"]:
            await websocket.accept()
            await websocket.close(4406, "Subprotocol not acceptable")
            return
        await websocket.accept(SUBPROTOCOL)
        await Connection(websocket, hub, terms).run()


def is_own(headers: Mapping[str, str], allowed: Sequence[str]) -> bool:
    """Return whether a connection comes from no web page, or from one of this host or an allowed origin.

    The same-origin policy does not apply to WebSockets, so the server has to check (RFC 6455, section 10.2).
    """
    origin = headers.get("origin")
    if origin is None or "*" in allowed or origin.lower() in allowed:
        return True
    return origin.lower().partition("://")[2] == headers.get("host", "").lower()


def _headers_in(payload: Mapping[str, Any] | UnsetType | None) -> dict[str, str]:
    """Return what a payload has in the place of headers: those that clients send, and none that only proxies may."""
    values = (
        (n.lower(), v) for n, v in (payload or {}).items() if isinstance(v, str | int | float)
    )
    return {n: str(v) for n, v in values if n == "authorization" or n.startswith("x-d365-")}


def _has_two_tokens(handshake: Headers, payload: Headers) -> bool:
    """Return whether both have a token, and not the same; a browser adds the page's password by itself (Basic)."""
    first, second = (headers.get("authorization") for headers in (handshake, payload))
    return None not in (first, second) and first != second and "bearer" in (first or "").lower()


class Connection:
    """One accepted WebSocket."""

    def __init__(self, websocket: WebSocket, hub: Hub, terms: SocketOptions) -> None:
        self._websocket = websocket
        self._terms = terms
        self._hub = hub
        self._headers: Mapping[str, str] | None = None
        """Headers of the handshake with those of connection_init; None before that."""
        self._caller = ANONYMOUS
        self._streams: Streams | None = None
        """What serves the caller; None before connection_init."""
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._writing: set[asyncio.Task[None]] = set()
        self._subscribing: set[asyncio.Task[None]] = set()
        self._is_admitted = asyncio.Event()
        self._is_heard = True
        self._held = 0
        """Characters of messages that the client has not read yet."""
        self._overflow = asyncio.Event()

    async def run(self) -> None:
        """Serve until either side closes."""
        tasks = [
            asyncio.create_task(part())
            for part in (
                self._listen,
                self._await_init,
                self._beat,
                self._await_end,
                self._await_environment,
                self._await_overflow,
                self._await_refusal,
            )
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        except ConnectionRefused as refused:
            self._hub.observe(SocketClosed(code=refused.code, reason=refused.reason))
            await self._end(tasks)
            await self._close(refused.code, refused.reason)
        except _GONE:
            pass
        finally:
            await self._end(tasks)

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Cancel all operations but mutations."""
        for task in self._writing:
            self._hub.finish_in_background(task)
        cancelled = [t for t in (*tasks, *self._operations.values()) if t not in self._writing]
        for task in cancelled:
            task.cancel()
        await asyncio.gather(*cancelled, return_exceptions=True)

    async def _close(self, code: int, reason: str) -> None:
        if self._websocket.client_state is WebSocketState.CONNECTED:
            with suppress(*_GONE, TimeoutError):
                async with asyncio.timeout(GOODBYE):
                    cut = reason.encode()[:MAX_REASON].decode("utf-8", "ignore")
                    await self._websocket.close(code, cut)

    async def _await_init(self) -> None:
        await asyncio.sleep(self._hub.options.init_timeout)
        if self._headers is None:
            raise ConnectionRefused(4408, "Connection initialisation timeout")

    async def _beat(self) -> None:
        """Ping a silent client; close if it does not react in time, or does not read its messages."""
        pause = self._hub.options.heartbeat
        is_pinged = False
        while True:
            await self._hub.clock.sleep(pause)
            if self._is_heard:
                self._is_heard = is_pinged = False
                continue
            if is_pinged:
                raise ConnectionRefused(4408, "No pong in time")
            is_pinged = True
            try:
                async with asyncio.timeout(pause):
                    await self._websocket.send_text(PING)
            except TimeoutError as error:
                raise ConnectionRefused(4408, "Messages are not read") from error

    async def _await_end(self) -> None:
        await self._hub.until_stopped(self._websocket.scope)
        await self._finish_operations()
        if not is_stopping(self._websocket.scope):
            raise ConnectionRefused(1012, "The settings have changed")
        raise ConnectionRefused(1001, "The gateway stops")

    async def _await_environment(self) -> None:
        """Close when the environment of the connection is no longer served as it was; clients then connect again."""
        await self._is_admitted.wait()
        hub = self._terms.hub()
        if hub is None or hub is self._hub:
            return
        await hub.closing.wait()
        await self._finish_operations()
        raise ConnectionRefused(1012, "The environment has changed")

    async def _finish_operations(self) -> None:
        """Wait until operations have sent their results; subscriptions end with the connection, without a message."""
        under_way = [t for t in self._operations.values() if t not in self._subscribing]
        if under_way:
            # In bounded time (``gateway.shutdown``), and clients must know how writes end.
            await asyncio.wait(under_way)

    async def _await_overflow(self) -> None:
        await self._overflow.wait()
        raise ConnectionRefused(1013, "Messages are not read")

    async def _listen(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code") or 1005)
            self._is_heard = True
            text = message.get("text")
            if text is None:
                raise ConnectionRefused(4400, "Messages must be text")
            if len(text) > self._terms.max_message:
                raise ConnectionRefused(1009, "Message too big")
            try:
                parsed = read_message(text)
            except RecursionError as error:
                raise ConnectionRefused(4400, "Invalid message: nested too deeply") from error
            except msgspec.DecodeError as error:
                raise ConnectionRefused(4400, f"Invalid message: {error}") from error
            await self._take(parsed)

    async def _take(self, message: Message) -> None:
        match message:
            case ConnectionInit():
                await self._begin(message)
            case Ping():
                authorization = _headers_in(message.payload).get("authorization")
                if self._headers is not None and authorization is not None:
                    await self._renew(authorization)
                await self._websocket.send_text(PONG)
            case Pong():
                pass
            case Subscribe():
                await self._subscribe(message)
            case Complete():
                self._cancel(message.id)

    async def _begin(self, message: ConnectionInit) -> None:
        """Use the payload as headers, because a web page cannot set headers of a WebSocket."""
        if self._headers is not None:
            raise ConnectionRefused(4429, "Too many initialisation requests")
        handshake, own = headers_of(self._websocket.scope), _headers_in(message.payload)
        if _has_two_tokens(handshake, own):
            raise ConnectionRefused(4400, "The handshake and connection_init have different tokens")
        headers = {**handshake, **own}
        self._caller, self._streams = await self._admit(headers)
        try:
            # Invalid headers are an error of the connection, not of its first operation.
            request_of({"query": "{__typename}"}, headers, may_mutate=False)
        except HttpError as error:
            raise ConnectionRefused(4400, str(error)) from error
        self._headers = headers
        self._is_admitted.set()
        await self._websocket.send_text(ACK)

    async def _admit(self, headers: Headers) -> tuple[Caller, Streams]:
        """Return the caller that headers name, and what serves it. Raises ConnectionRefused."""
        try:
            caller, live = await self._terms.admit(headers)
        except HttpError as error:
            # Not 4401, at which clients give up: with another token they may connect again.
            raise ConnectionRefused(1013 if error.status == 503 else 4403, str(error)) from error
        if live is None:
            raise ConnectionRefused(1013, "The gateway is starting")
        return caller, Streams(live, self._terms.hub() or self._hub)

    async def _await_refusal(self) -> None:
        """Close when the caller's credentials end, unless pings have brought the next ones."""
        await self._is_admitted.wait()
        if self._caller is not ANONYMOUS:
            reason = await until_refused(
                lambda: self._caller, lambda: self._terms.admit(self._headers or {})
            )
            raise ConnectionRefused(4403, reason)

    async def _renew(self, authorization: str) -> None:
        """Take the next token of the connection's caller. Raises ConnectionRefused."""
        headers = {**(self._headers or {}), "authorization": authorization}
        caller, streams = await self._admit(headers)
        if not caller.is_same(self._caller):
            raise ConnectionRefused(4403, "The token is of another caller")
        before, self._caller = self._caller, caller
        self._headers, self._streams = headers, streams
        if caller.has_rights_of(before):
            with streams.live.serving() as gateway:
                gateway.engine.reads.note_renewal(caller)
            return
        changed = Unauthenticated("The rights of the caller have changed.", hint="Subscribe again.")
        for name, task in tuple(self._operations.items()):
            if task in self._subscribing:
                self._cancel(name)
                await self._websocket.send_text(error_message(name, [error_json(changed)]))

    async def _subscribe(self, message: Subscribe) -> None:
        if self._headers is None:
            raise ConnectionRefused(4401, "Unauthorized")
        # The client's own name for its operation, unique on this connection.
        name = message.id
        if not name:
            raise ConnectionRefused(4400, "An operation needs an id")
        if name in self._operations:
            raise ConnectionRefused(4409, f"Subscriber for {name} already exists")
        try:
            client = client_of(self._websocket.scope)
            request = request_of(
                message.payload,
                self._headers,
                may_mutate=True,
                client=client,
                documents=self._documents(),
            )
            if self._caller is not ANONYMOUS:
                request = structs.replace(request, caller=self._caller)
        except HttpError as error:
            await self._websocket.send_text(error_message(name, error.answer.errors))
            return
        except Exception as error:
            errors = failure_answer(error, self._hub.observe).errors
            await self._websocket.send_text(error_message(name, errors))
            return
        most = self._hub.options.max_per_connection
        if len(self._operations) >= most:
            excess = BudgetExceeded(
                f"{most} operations run on this connection, which is the maximum.",
                hint="Complete one of them first, or open another connection.",
            )
            await self._websocket.send_text(error_message(name, [error_json(excess)]))
            return
        self._operations[name] = asyncio.create_task(self._operate(name, request))

    def _documents(self) -> DocumentAccess:
        if self._terms.documents.store is None:
            return self._terms.documents
        assert self._streams is not None  # there is no operation before connection_init
        with self._streams.live.serving() as gateway:
            return self._terms.documents.of_caller(self._caller, gateway.view)

    def _cancel(self, name: str) -> None:
        """Cancel an operation whose client sent ``complete``; no message follows."""
        task = self._operations.pop(name, None)
        if task is not None and task not in self._writing:
            task.cancel()

    async def _operate(self, name: str, request: GraphQLRequest) -> None:
        """Run an operation and send its results; an unexpected error becomes an error message."""
        connection = current_request()
        message = None if connection is None else connection.message()
        try:
            with in_request(message):
                await self._run_operation(name, request)
        except _Gone:
            pass  # the listening task notices it, too
        except Exception as error:
            await self._fail(name, error)

    async def _fail(self, name: str, error: Exception) -> None:
        with suppress(_Gone):
            errors = failure_answer(error, self._hub.observe).errors
            await self._send_for(name, error_message(name, errors), last=True)

    async def _run_operation(self, name: str, request: GraphQLRequest) -> None:
        assert self._streams is not None  # there is no operation before connection_init
        with self._streams.live.serving() as gateway:
            engine = gateway.engine
            subscribes = engine.subscribes(request)
            task = asyncio.current_task()
            assert task is not None
            for applies, tasks in (
                (subscribes, self._subscribing),
                (engine.changes_data(request), self._writing),
            ):
                if applies:
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
            if not subscribes:
                scope = self._websocket.scope
                with self._terms.running.holding(request.lane, scope, request.caller):
                    answer = await engine.execute(request)
        if subscribes:
            await self._stream(self._streams, name, request)
        elif answer.data is msgspec.UNSET and answer.written is None:
            await self._send_for(name, error_message(name, answer.errors), last=True)
        else:
            await self._send_for(name, next_message(name, answer.encode()))
            await self._send_for(name, complete_message(name), last=True)

    async def _stream(self, streams: Streams, name: str, request: GraphQLRequest) -> None:
        async with aclosing(streams.results(request)) as results:
            try:
                async for result in results:
                    await self._send_for(name, next_message(name, result))
            except FeedEnded as ended:
                # Without errors the gateway stops, and the connection ends; a client that was sent ``complete`` would
                # not subscribe again where it connects next.
                if ended.errors:
                    last = error_message(name, ended.errors)
                    await self._send_for(name, last, last=True)

    async def _send_for(self, name: str, message: str, *, last: bool = False) -> None:
        """Send a message of an operation, unless its client has completed it."""
        # After complete, the id may already belong to another operation.
        if self._operations.get(name) is not asyncio.current_task():
            return
        if last:
            # From now on the client may use the id again.
            del self._operations[name]
        await self._send(message)

    async def _send(self, message: str) -> None:
        """Send a message; close the connection if the client leaves too much unread."""
        waiting, size = self._terms.waiting, len(message)
        holds_more = self._held and self._held + size > waiting.most // SHARE
        if holds_more or not waiting.fits(size):
            self._overflow.set()
            return
        self._held += size
        try:
            with waiting.holding(size):
                await self._websocket.send_text(message)
        except _GONE as error:
            raise _Gone from error
        finally:
            self._held -= size
