"""What becomes of a call that takes too long, and what does not count as long."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from gateway.odata.retry import Failure
from gateway.odata.transport_errors import FAULTS
from tests.support.sockets import PATIENCE, Connection, answering, listening, ok
from tests.support.transport_client import TINY, ask, error, hang

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SHORT = 1.0
"""Seconds that no piece takes, on a busy machine neither."""


async def test_a_tls_handshake_without_end_is_a_connect_timeout(
    transport: httpx.AsyncBaseTransport,
) -> None:
    async with listening(hang) as server:
        assert await error(transport, server.url(scheme="https"), connect=TINY) is (
            httpx.ConnectTimeout
        )
        await asyncio.wait_for(server.accepted.wait(), PATIENCE)
        await asyncio.wait_for(server.connections[0].ended.wait(), PATIENCE)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", ok(b"xy")[:-1]])
async def test_a_silent_server_is_a_read_timeout(
    transport: httpx.AsyncBaseTransport, said: bytes
) -> None:
    async def stop(connection: Connection) -> None:
        await connection.request()
        await connection.say(said)
        await connection.until_closed()

    async with listening(stop) as server:
        assert await error(transport, server.url(), read=TINY) is httpx.ReadTimeout
        await asyncio.wait_for(server.accepted.wait(), PATIENCE)
        await asyncio.wait_for(server.connections[0].ended.wait(), PATIENCE)


async def test_the_read_timeout_limits_each_piece(
    transport: httpx.AsyncBaseTransport,
) -> None:
    async def slowly(connection: Connection) -> None:
        await connection.request()
        await connection.say(ok(b"x" * 10)[:-10])
        for _ in range(10):
            await asyncio.sleep(1.2 * SHORT / 10)
            await connection.say(b"x")
        await connection.until_closed()

    async with listening(slowly) as server:
        response = await ask(transport, server.url(), read=SHORT)

    assert response.content == b"x" * 10


async def test_a_long_body_arrives_whole(transport: httpx.AsyncBaseTransport) -> None:
    body = b"x" * 3_000_000
    async with listening(answering(ok())) as server:
        await ask(transport, server.url(), "POST", content=body)

    assert server.requests[0].endswith(b"\r\n\r\n" + body)


async def test_a_server_that_reads_no_request_is_a_timeout(
    transport: httpx.AsyncBaseTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = asyncio.Event()

    async def deaf(connection: Connection) -> None:
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined] # asyncio's own
        await gone.wait()

    async with listening(deaf) as server:
        body = b"x" * 20_000_000
        monkeypatch.setattr("gateway.odata.transport.SLOWEST_UPLOAD", 1e9)
        call = error(transport, server.url(), "POST", content=body, connect=SHORT / 2, read=TINY)
        failed = await asyncio.wait_for(call, PATIENCE)
        gone.set()

    assert failed is httpx.WriteTimeout
    assert FAULTS[failed].failure is Failure.SLOW
