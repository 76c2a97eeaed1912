"""One request and its response on a connection: uvicorn's, with fewer steps if a response comes as one message.

What is special is left to uvicorn: responses in pieces, those that end the connection, clients that read slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gateway.http.exchange import WHOLE

from .uvicorn_parts import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

_BODILESS = frozenset({204, 304})
_MOST_LINES = 256
"""Header fields whose lines are remembered: those that come again in most responses."""
_LASTING = frozenset({b"content-type", b"vary", b"cache-control", b"content-encoding", b"allow"})
"""Names of header fields with few values."""
_LENGTH = b"content-length"
_SPECIAL = frozenset({_LENGTH, b"transfer-encoding", b"connection"})
"""Names of header fields that change how a response is sent."""


class Exchange(RequestResponseCycle):
    """See ``gateway.http.exchange.Exchange``."""

    on_gone: Callable[[], None] | None = None

    async def send(self, message: Any) -> None:
        """Send a message of the response."""
        body: bytes | None = message.get(WHOLE)
        if body is None:
            await super().send(message)
            return
        is_usual = not (self.response_started or self.disconnected or self.flow.write_paused)
        head = self._head(message, body) if is_usual else None
        if head is None:
            start = {name: value for name, value in message.items() if name != WHOLE}
            await super().send(start)  # type: ignore[arg-type] # one of ASGI's messages
            await super().send({"type": "http.response.body", "body": body, "more_body": False})
            return
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(head if self.scope["method"] == "HEAD" else head + body)
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _head(self, start: Mapping[str, Any], body: bytes) -> bytes | None:
        """Return the head of a response; None if there is something special about it."""
        status = start["status"]
        if self.access_log or status in _BODILESS:
            return None
        lines = [STATUS_LINE[status], _common_lines(self.default_headers)]
        length, has_length = b"%d" % len(body), False
        for field in start["headers"]:
            line = _KNOWN.get(field)
            if line is None:
                name, value = field[0].lower(), field[1]
                if name in _SPECIAL:
                    if name != _LENGTH or value != length:
                        return None
                    has_length = True
                    line = b"content-length: %b\r\n" % length
                else:
                    line = _line(name, value)
                    if line is None:
                        return None
            lines.append(line)
        if not has_length:
            return None
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        return b"".join(lines)

    def take_body(self) -> bytes | None:
        """Return the request's body, once; None if it has not arrived completely."""
        if self.more_body or self.disconnected or self.response_complete:
            return None
        self.waiting_for_100_continue = False
        self.flow.resume_reading()
        self.message_event.clear()
        body = bytes(self.body)
        self.body = bytearray()
        return body

    def watch(self, on_gone: Callable[[], None]) -> bool:
        """Call a function when the client leaves, until ``unwatch``; return whether that is noticed now."""
        # What is not read has no end either.
        if self.disconnected or self.more_body or self.flow.read_paused:
            return False
        self.on_gone = on_gone
        return True

    def unwatch(self) -> None:
        """Call nothing any more."""
        self.on_gone = None

    def leave(self) -> None:
        """Note that the client has left."""
        self.disconnected = True
        self.message_event.set()
        on_gone, self.on_gone = self.on_gone, None
        if on_gone is not None and not self.response_complete:
            on_gone()


_KNOWN: dict[tuple[bytes, bytes], bytes] = {}


def _line(name: bytes, value: bytes) -> bytes | None:
    """Return the line of a header field; None if it is none, which uvicorn reports."""
    if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
        return None
    line = b"%b: %b\r\n" % (name, value)
    if name in _LASTING and len(_KNOWN) < _MOST_LINES:
        _KNOWN[name, value] = line
    return line


class _Common:
    """The lines of the fields that all responses have; uvicorn makes them anew each second."""

    fields: Iterable[tuple[bytes, bytes]] = ()
    lines = b""


def _common_lines(fields: list[tuple[bytes, bytes]]) -> bytes:
    if fields is not _Common.fields:
        _Common.lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        _Common.fields = fields
    return _Common.lines
