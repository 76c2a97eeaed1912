"""Reads over aiohttp's connections, without its client: a head is written, and its answer is read.

``ClientSession.request`` takes 75 µs of CPU for what is the same in each of our reads: it builds an address, a request,
merged headers, cookies, timers, writers and a response. Its connection pool, TLS, name lookup, parser and flow control
stay as they are; this module does what is between them. The classes of aiohttp that it calls are documented in part
only: the dependency is pinned to a minor version, and the tests of the transport go through all of this.
"""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage
from aiohttp.streams import StreamReader
from yarl import URL

from .aiohttp_errors import ERRORS, translate_error
from .decoding import PieceStream
from .lazy_request import LazyRequest, LazyResponse


class Origin:
    """A scheme, host and port to which reads go."""

    __slots__ = ("host", "request")

    def __init__(self, address: str, session: aiohttp.ClientSession, *, tls: object) -> None:
        """``tls``: aiohttp's ``ssl``."""
        self.request = aiohttp.ClientRequest(
            "GET",
            URL(address, encoded=True),
            loop=asyncio.get_running_loop(),
            session=session,
            ssl=tls,  # type: ignore[arg-type] # its own union of types
        )
        """What the connection pool is asked with: it looks at the address, TLS and proxy of a request."""
        self.host = self.request.headers["Host"]


def split_address(address: str) -> tuple[str, str] | None:
    """``https://fo.example/data/Set?$top=1`` → origin and target; None for one with a user, or of another scheme."""
    end = address.find("/", 8)
    if end < 0 or "@" in address[:end] or not address.startswith(("https://", "http://")):
        return None
    return address[:end], address[end:]


def head_of(request: LazyRequest, target: str, origin: Origin) -> bytes | None:
    """Return the head of a request; None if a header holds a line break, which aiohttp refuses."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in request.own_headers.items()])
    lines = len(request.own_headers)
    if fields.count("\n") != lines or fields.count("\r") != lines or "\0" in fields:
        return None
    return f"{request.method} {target} HTTP/1.1\r\nHost: {origin.host}\r\n{fields}\r\n".encode()


async def read(
    session: aiohttp.ClientSession,
    origin: Origin,
    head: bytes,
    request: LazyRequest,
    limits: aiohttp.ClientTimeout,
    longest_line: int,
) -> LazyResponse:
    """Send a head and return the answer, whose body is still to be read. Raises what aiohttp raises.

    A connection that breaks before the answer is a stale one, or as good as that: the head is sent once more.
    """
    try:
        return await _once(session, origin, head, request, limits, longest_line)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        return await _once(session, origin, head, request, limits, longest_line)


async def _once(
    session: aiohttp.ClientSession,
    origin: Origin,
    head: bytes,
    request: LazyRequest,
    limits: aiohttp.ClientTimeout,
    longest_line: int,
) -> LazyResponse:
    assert session.connector is not None
    try:
        connection = await session.connector.connect(origin.request, [], limits)
    except TimeoutError as error:
        raise aiohttp.ConnectionTimeoutError(
            f"Connection timeout to host {origin.request.url}"
        ) from error
    try:
        message, payload = await _answer(connection, head, limits, longest_line)
    except BaseException:
        connection.close()
        raise
    body = _Body(connection, payload)
    reason = {"reason_phrase": (message.reason or "").encode("ascii", "replace")}
    return LazyResponse(message.code, message.raw_headers, body, request, reason)


async def _answer(
    connection: Connection, head: bytes, limits: aiohttp.ClientTimeout, longest_line: int
) -> tuple[RawResponseMessage, StreamReader]:
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or transport.is_closing():
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(
        read_timeout=limits.sock_read,
        auto_decompress=False,
        read_until_eof=True,
        max_line_size=longest_line,
        max_field_size=longest_line,
    )
    transport.write(head)
    protocol.start_timeout()
    while True:
        message, payload = await _next(protocol)
        if not 100 <= message.code <= 199 or message.code == 101:
            return message, payload


async def _next(protocol: ResponseHandler) -> tuple[RawResponseMessage, StreamReader]:
    try:
        return await protocol.read()
    except HttpProcessingError as error:
        raise aiohttp.ClientPayloadError(f"{error.code}, message={error.message!r}") from error


class _Body(PieceStream):
    """The body as it arrives; closing it early closes the connection."""

    def __init__(self, connection: Connection, payload: StreamReader) -> None:
        self._connection = connection
        self._payload = payload

    async def read(self) -> bytes:
        """Return the next piece; empty: there is no other."""
        try:
            return await self._payload.readany()
        except ERRORS as error:
            raise translate_error(error) from error

    async def aclose(self) -> None:
        self._connection.release()
