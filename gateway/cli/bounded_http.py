"""uvicorn's HTTP and WebSockets, with bounds on what a client may take its time for, and an end that is told.

uvicorn waits for ever for the rest of a request's head and keeps all of it that comes. What it does bound is the pause
between two requests of a connection (``timeout_keep_alive``); the body's time is bounded where it is read
(``gateway.http.graphql_endpoint``), that of answers, and the number of connections, in ``connections``.

A server that stops waits for answers that are under way, and tells the application only after that. Streams would go on
until they are cut: so they are told by an event in their connection's ``state``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.events import ConnectionCut
from gateway.http.edge import HEALTH
from gateway.request import Answer
from gateway.shutdown import STOPPING

from .connections import Admission, ConnectionLimits, Outlet, connections_of
from .uvicorn_parts import STATUS_LINE, HttpToolsProtocol

HEAD_SECONDS = 15.0
"""Until a request's head is there, from the connection or from the head's first byte."""
LAST_REQUEST = 0.5
"""Seconds in which a stopping server still takes a request of a connection that has none under way."""
LINGER = 1.0
"""Seconds in which what a refused client still sends is read and dropped: else it never sees the answer."""
MAX_HEAD = 65_536
"""Bytes of a request's address and headers."""
MAX_PIPELINED = 64
"""Requests that may wait behind one whose answer is made."""
_HEALTH = frozenset(path.encode() for path in HEALTH)


def _refusal(status: int, code: str, message: str, hint: str | None = None) -> bytes:
    """Return a whole response that ends its connection."""
    extensions = {"code": code} if hint is None else {"code": code, "hint": hint}
    body = Answer(errors=[{"message": message, "extensions": extensions}]).encode()
    fields = [
        b"content-type: application/json; charset=utf-8",
        b"cache-control: no-store",
        b"content-length: %d" % len(body),
        b"connection: close",
    ]
    if status == 503:
        fields.append(b"retry-after: 1")
    return STATUS_LINE[status] + b"\r\n".join(fields) + b"\r\n\r\n" + body


BAD = _refusal(400, "BAD_REQUEST", "This is no HTTP request.")
LATE = _refusal(408, "REQUEST_TIMEOUT", f"The head did not come within {HEAD_SECONDS:g} seconds.")
TOO_LARGE = _refusal(
    431, "HEADERS_TOO_LARGE", f"Address and headers are larger than {MAX_HEAD:,} bytes."
)
TOO_MANY = _refusal(
    503,
    "TOO_MANY_CONNECTIONS",
    "There are too many connections, in all or of this client.",
    "Use fewer, and keep them open. Settings: max_connections, max_connections_per_peer; behind a proxy"
    " trusted_proxies, so that its clients are counted and not the proxy.",
)


class _Refused(Exception):
    """Ends the parser's work; ``answer`` is what the client is told."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer


class BoundedProtocol(HttpToolsProtocol):
    """One connection: its requests' heads come in time and are of bounded size, or it is closed."""

    def __init__(self, *args: Any, limits: ConnectionLimits | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connections = connections_of(self.server_state, limits or ConnectionLimits())
        self._stopping = asyncio.Event()
        self.app_state = {**self.app_state, STOPPING: self._stopping}
        self._is_ending = False
        self._is_upgraded = False
        self._is_excess = False
        self._drops_input = False
        """Whether what still comes is of no interest."""
        self._awaits_head = True
        self._size = 0
        """Bytes of a head that is not all there."""
        self._refused_with: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._outlet: Outlet

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._outlet = Outlet(transport, self._connections)
        super().connection_made(self._outlet)  # type: ignore[arg-type] # it has all that is used of one
        admission = self._connections.add(self._outlet)
        if admission is Admission.REFUSED:
            self._refuse(TOO_MANY)
            return
        self._is_excess = admission is Admission.EXCESS
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self._outlet.left()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless the head is longer than one may be."""
        if self._drops_input:
            return
        if self._awaits_head:
            self._size += len(data)
        super().data_received(data)
        if self._drops_input or self.transport.is_closing() or self._is_upgraded:
            return
        if self._size > MAX_HEAD:
            self._refuse(TOO_LARGE)
        elif self._size or self._is_answered_early:
            self._watch()

    def eof_received(self) -> None:
        """Close a refused connection, whose client has seen the end; others may still want their answer."""
        if self._drops_input and self._is_idle:
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Begin the request. Raises where it is refused, which the parser passes on as its own error."""
        self._unwatch()
        refused = self._checked_head()
        if refused is not None:
            self._refused_with = refused
            raise _Refused(refused)
        self._awaits_head, self._size = False, 0
        super().on_headers_complete()
        if (self._is_ending or self._is_excess) and not self._is_upgraded and self.cycle:
            self.cycle.keep_alive = False

    def _checked_head(self) -> bytes | None:
        """Return what a request is refused with for its head; None where it is served."""
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            return TOO_LARGE
        if len(self.pipeline) >= MAX_PIPELINED:
            return BAD
        is_health = self.url.partition(b"?")[0] in _HEALTH
        if self._is_excess and not is_health:
            return TOO_MANY
        proxies = self._connections.proxies
        if proxies and not is_health and proxies.trusts(self._outlet.peer):
            client = proxies.client(self._outlet.peer, self.headers)
            if client != self._outlet.peer and not self._outlet.serves(client):
                return TOO_MANY
        return None

    def on_message_complete(self) -> None:
        self._awaits_head = True
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over."""
        self._is_upgraded = True
        self._unwatch()
        super().handle_websocket_upgrade()

    def shutdown(self) -> None:
        """Let the answer under way come to its end, and streams to theirs; without one, take a last request."""
        self._stopping.set()
        self._is_ending = True
        if self._is_idle:
            self.loop.call_later(LAST_REQUEST, self._close_idle)
        else:
            self._end_after_answers()

    @property
    def _is_idle(self) -> bool:
        """Whether no request is under way; its head may be on the way."""
        return self.cycle is None or self.cycle.response_complete

    def _close_idle(self) -> None:
        if self._is_idle and not self._size and not self._is_upgraded:
            self.transport.close()

    def _end_after_answers(self) -> None:
        """Close the connection after the answers to what came before."""
        last = self.pipeline[0][0] if self.pipeline else self.cycle
        last.keep_alive = False

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """Refuse what is no HTTP, or what ``on_headers_complete`` has refused."""
        self._refuse(self._refused_with or BAD)

    def _refuse(self, answer: bytes) -> None:
        """Answer once, and read on for a moment: a reset would take the answer away from the client."""
        self._unwatch()
        self._drops_input = True
        if answer is TOO_MANY:
            self._connections.limits.observe(ConnectionCut(reason="too many connections"))
        if self._awaits_head and not self._is_idle:
            self._end_after_answers()
            return
        if self._is_idle or not self.cycle.response_started:
            if not self._is_idle:
                # The application has nobody to answer any more.
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            self.transport.write(answer)
            self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(LINGER, self.transport.close)

    # Time

    @property
    def _is_answered_early(self) -> bool:
        """Whether a body still comes of a request that is answered."""
        return not self._awaits_head and self.cycle.response_complete

    def _watch(self) -> None:
        """Bound the time until the next head is there."""
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._late)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # An earlier request of this connection is still being answered.
            self._watch()
        elif self._size:
            self._refuse(LATE)
        else:
            self.transport.close()


def socket_protocol(**options: Any) -> asyncio.Protocol:
    """Make the protocol of a connection that becomes a WebSocket; imported with the first of them."""
    from .sockets import StoppableWebSocket  # noqa: PLC0415

    return StoppableWebSocket(**options)
