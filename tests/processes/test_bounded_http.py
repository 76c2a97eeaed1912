"""Slow clients and oversized requests, over sockets: they get an error, or their connection is closed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from gateway.cli import bounded_http as protocol
from gateway.cli.bounded_http import MAX_HEAD, BoundedProtocol
from tests.support.sockets import PATIENCE

pytestmark = pytest.mark.anyio
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
SHORT = 0.3
"""Seconds for a head, where a test waits for them to pass."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the length of the body; ``/early`` at once, ``/late`` after a while."""
    size = 0
    if scope["path"] == "/late":
        await asyncio.sleep(3 * SHORT)
    while scope["path"] != "/early":
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = b"%d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def connected(
    app: Any = app,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    config = uvicorn.Config(
        app, http=BoundedProtocol, lifespan="off", log_config=None, server_header=False
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.ensure_future(server._serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await asyncio.wait_for(serving, PATIENCE)


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes."""
    return await asyncio.wait_for(reader.read(), PATIENCE)


async def _or_reset(answer: asyncio.Future[bytes]) -> bytes | None:
    """Return the answer; None where the server was gone before it could be read."""
    try:
        return await answer
    except ConnectionError:
        return None


async def one(reader: asyncio.StreamReader) -> bytes:
    """Read an answer of one digit or more."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    return head + await reader.readexactly(length)


def with_headers(size: int) -> bytes:
    """Return a request whose address and headers have so many bytes."""
    return GET + b"x-a: " + b"a" * (size - len(b"/") - len(b"hostxx-a")) + b"\r\n\r\n"


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", SHORT)


@pytest.fixture
def hurrying(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The application; once it is asked, heads have little time."""

    async def asked(scope: Any, receive: Any, send: Any) -> None:
        monkeypatch.setattr(protocol, "HEAD_SECONDS", SHORT)
        await app(scope, receive, send)

    return asked


async def test_a_head_of_the_largest_size_is_served() -> None:
    async with connected() as (reader, writer):
        for _ in range(2):
            writer.write(with_headers(MAX_HEAD - 100))

            assert (await one(reader)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "request_bytes",
    [
        with_headers(MAX_HEAD + 1),
        GET + b"x-a: " + b"a" * 10 * MAX_HEAD,
        GET + b"x: y\r\n" * MAX_HEAD,
        b"GET /" + b"a" * 10 * MAX_HEAD,
    ],
    ids=["complete", "a value without end", "headers without end", "an address without end"],
)
@pytest.mark.parametrize("step", [1_000, 10_000_000], ids=["piece by piece", "at once"])
async def test_a_head_that_is_too_large_is_refused(request_bytes: bytes, step: int) -> None:
    async with connected() as (reader, writer):
        answer = asyncio.ensure_future(rest(reader))
        for at in range(0, len(request_bytes), step):
            if answer.done():
                break
            writer.write(request_bytes[at : at + step])
            await asyncio.sleep(0)

        with_status = await _or_reset(answer)
        assert with_status is None or with_status.startswith(b"HTTP/1.1 431")


async def test_later_heads_that_are_too_large_are_refused() -> None:
    async with connected() as (reader, writer):
        writer.write(GET + b"\r\n")
        assert (await one(reader)).startswith(b"HTTP/1.1 200")
        writer.write(with_headers(MAX_HEAD + 1))

        assert (await rest(reader)).startswith(b"HTTP/1.1 431")


@pytest.mark.usefixtures("hurried")
async def test_an_unfinished_head_times_out() -> None:
    async with connected() as (reader, writer):
        answer = asyncio.ensure_future(rest(reader))
        writer.write(b"GET / HTTP/1.1\r\n")
        while not answer.done():
            writer.write(b"x: y\r\n")
            await asyncio.sleep(SHORT / 10)

        response = await _or_reset(answer)
        assert response is None or response.startswith(b"HTTP/1.1 408")


async def test_the_next_head_of_a_connection_times_out_too(hurrying: Any) -> None:
    async with connected(hurrying) as (reader, writer):
        writer.write(GET + b"\r\n")
        assert (await one(reader)).startswith(b"HTTP/1.1 200")
        writer.write(GET)

        assert (await rest(reader)).startswith(b"HTTP/1.1 408")


@pytest.mark.usefixtures("hurried")
async def test_a_silent_connection_is_closed() -> None:
    async with connected() as (reader, _):
        assert await rest(reader) == b""


async def test_an_answer_may_take_longer_than_a_head(hurrying: Any) -> None:
    async with connected(hurrying) as (reader, writer):
        writer.write(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(SHORT / 2)
        writer.write(GET)
        answers = await rest(reader)

        assert answers.startswith(b"HTTP/1.1 200")
        assert answers.count(b"HTTP/1.1 200") == 1


async def test_a_body_after_its_answer_is_not_waited_for(hurrying: Any) -> None:
    async with connected(hurrying) as (reader, writer):
        writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n")
        assert (await one(reader)).endswith(b"0")
        closed = asyncio.ensure_future(rest(reader))
        while not closed.done():
            writer.write(b" ")
            await asyncio.sleep(SHORT / 10)

        assert await _or_reset(closed) in {b"", None}


async def test_a_large_body_does_not_count_as_head() -> None:
    async with connected() as (reader, writer):
        size = 4 * MAX_HEAD
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
        for _ in range(2):
            writer.write(head + b" " * size)

            assert (await one(reader)).endswith(b"%d" % size)


async def test_anything_but_http_is_a_bad_request() -> None:
    async with connected() as (reader, writer):
        writer.write(b"nonsense\r\n\r\n")

        assert (await rest(reader)).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("path", [b"/", b"/early"], ids=["the body is read", "it is not"])
async def test_a_malformed_body_is_refused_once(
    caplog: pytest.LogCaptureFixture, path: bytes
) -> None:
    async with connected() as (reader, writer):
        head = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % path
        writer.write(head + b"ZZ\r\n")
        answer = await rest(reader)

        assert answer.startswith(b"HTTP/1.1 400")
        assert answer.count(b"HTTP/1.1") == 1
    assert "Exception in ASGI application" not in caplog.text
