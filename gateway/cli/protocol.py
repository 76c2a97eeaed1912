"""uvicorn's HTTP and WebSockets, with bounds on what a client may take its time for, and an end that is told.

uvicorn waits for ever for the rest of a request's head and keeps all of it that comes. What it does bound is the pause
between two requests of a connection (``timeout_keep_alive``); the body's time is bounded where it is read
(``gateway.http``).

A server that stops waits for answers that are under way, and tells the application only after that. Streams would go on
until they are cut: so they are told by an event in their connection's ``state``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.http import STOPPING

from .uvicorn_parts import STATUS_LINE, HttpToolsProtocol

HEAD_SECONDS = 15.0
"""Until a request's head is there, from the connection or from the head's first byte."""
LAST_REQUEST = 0.5
"""Seconds in which a stopping server still takes a request of a connection that has none under way."""
MAX_HEAD = 65_536
"""Bytes of a request's address and headers."""


class _HeadTooLarge(Exception):
    """Ends the parser's work."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection: its requests' heads come in time and are of bounded size, or it is closed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._stopping = asyncio.Event()
        self.app_state = {**self.app_state, STOPPING: self._stopping}
        self._is_ending = False
        self._is_upgraded = False
        self._awaits_head = True
        self._size = 0
        """Bytes of a head that is not all there."""
        self._is_too_large = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless the head is longer than one may be."""
        if self._awaits_head:
            self._size += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self._is_upgraded:
            return
        if self._size > MAX_HEAD:
            self._is_too_large = True
            self.send_400_response("")
        elif self._size or self._is_answered_early:
            self._watch()

    def on_headers_complete(self) -> None:
        """Begin the request. Raises where its head is too large, which the parser passes on as its own error."""
        self._unwatch()
        self._awaits_head, self._size = False, 0
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            self._is_too_large = True
            raise _HeadTooLarge
        super().on_headers_complete()
        if self._is_ending and not self._is_upgraded:
            self.cycle.keep_alive = False

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
        elif self.pipeline:
            self.pipeline[0][0].keep_alive = False
        else:
            self.cycle.keep_alive = False

    @property
    def _is_idle(self) -> bool:
        """Whether no request is under way; its head may be on the way."""
        return self.cycle is None or self.cycle.response_complete

    def _close_idle(self) -> None:
        if self._is_idle and not self._size and not self._is_upgraded:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or too much of it."""
        if self._is_too_large:
            self._refuse(431)
        else:
            super().send_400_response(msg)

    def _refuse(self, status: int) -> None:
        end = b"content-length: 0\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + end)
        self.transport.close()

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
            self._refuse(408)
        else:
            self.transport.close()


def socket_protocol(**options: Any) -> asyncio.Protocol:
    """Make the protocol of a connection that becomes a WebSocket; imported with the first of them."""
    from .sockets import StoppableWebSocket  # noqa: PLC0415

    return StoppableWebSocket(**options)
