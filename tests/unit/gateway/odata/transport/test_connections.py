"""Connections that go away."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from gateway.odata.retry import Failure
from gateway.odata.transport_errors import FAULTS
from tests.support.sockets import PATIENCE, Connection, closing, listening, ok
from tests.support.transport_client import TINY, ask, error

pytestmark = pytest.mark.anyio


async def once(connection: Connection) -> None:
    """Answer one request of each connection, read a second one, and close instead of answering."""
    if await connection.request():
        await connection.say(ok(b""))
        await connection.request()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_read_over_a_stale_connection_uses_a_new_one(
    transport: httpx.AsyncBaseTransport, method: str
) -> None:
    async with listening(once) as server:
        await ask(transport, server.url())
        response = await ask(transport, server.url(), method)

    assert response.status_code == 200
    assert (len(server.connections), len(server.requests)) == (2, 3)


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_a_write_over_a_stale_connection_is_sent_once(
    transport: httpx.AsyncBaseTransport, method: str
) -> None:
    async with listening(once) as server:
        await ask(transport, server.url())
        failed = await error(transport, server.url(), method, content=b"{}")

    assert FAULTS[failed].failure is Failure.TRANSIENT
    assert (len(server.connections), len(server.requests)) == (1, 2)


async def test_a_connection_closed_while_idle_is_not_used(
    transport: httpx.AsyncBaseTransport,
) -> None:
    async with listening(closing(ok())) as server:
        await ask(transport, server.url())
        await asyncio.wait_for(server.connections[0].writer.wait_closed(), PATIENCE)
        await asyncio.sleep(TINY)
        response = await ask(transport, server.url(), "POST", content=b"{}")

    assert response.status_code == 200
    assert len(server.connections) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a length\r\n{\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"220 mail ready\r\n",
        b"",
    ],
    ids=[
        "length",
        "in a chunk",
        "chunks",
        "chunk size",
        "head",
        "bad length",
        "no HTTP",
        "nothing",
    ],
)
async def test_a_broken_answer_is_a_protocol_error(
    transport: httpx.AsyncBaseTransport, answer: bytes
) -> None:
    async with listening(closing(answer)) as server:
        assert await error(transport, server.url()) is httpx.RemoteProtocolError


async def test_a_reset_connection_is_transient(transport: httpx.AsyncBaseTransport) -> None:
    async def reset(connection: Connection) -> None:
        await connection.request()
        connection.writer.transport.abort()

    async with listening(reset) as server:
        assert FAULTS[await error(transport, server.url())].failure is Failure.TRANSIENT
