"""Cancelling, bounds, closing."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.errors import UpstreamMalformed
from gateway.odata.client import ODataClient
from gateway.odata.query import Request
from gateway.odata.transport import make_transport
from tests.support.sockets import PATIENCE, Connection, answering, listening, ok
from tests.support.transport_client import TINY, ask, hang

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("said", [b"", ok(b"xy")[:-1]], ids=["before the answer", "in the body"])
async def test_a_cancelled_call_closes_its_connection(said: bytes) -> None:
    asked = asyncio.Event()

    async def first_hangs(connection: Connection) -> None:
        await connection.request()
        if len(server.connections) > 1:
            await connection.say(ok())
        else:
            await connection.say(said)
            asked.set()
        await connection.until_closed()

    transport = make_transport(Settings(concurrency=1))
    async with listening(first_hangs) as server:
        call = asyncio.ensure_future(ask(transport, server.url()))
        await asyncio.wait_for(asked.wait(), PATIENCE)
        await asyncio.sleep(TINY)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(server.connections[0].ended.wait(), PATIENCE)
        response = await asyncio.wait_for(ask(transport, server.url()), PATIENCE)
        await transport.aclose()

    assert response.status_code == 200


async def test_a_call_cancelled_while_connecting_leaves_nothing_open() -> None:
    transport = make_transport(Settings(concurrency=1))
    async with listening(hang) as server:
        call = asyncio.ensure_future(ask(transport, server.url(scheme="https")))
        await asyncio.wait_for(server.accepted.wait(), PATIENCE)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(server.connections[0].ended.wait(), PATIENCE)
        await transport.aclose()


async def test_concurrency_limits_the_connections() -> None:
    transport = make_transport(Settings(concurrency=3))
    async with listening(answering(ok())) as server:
        await asyncio.gather(*(ask(transport, server.url()) for _ in range(20)))
        await transport.aclose()

    assert len(server.requests) == 20
    assert len(server.connections) <= 3


async def test_a_large_answer_comes_in_pieces(transport: httpx.AsyncBaseTransport) -> None:
    size = 20_000_000
    async with listening(answering(ok(b"x" * size))) as server:
        timeout = httpx.Timeout(PATIENCE).as_dict()
        request = httpx.Request("GET", server.url(), extensions={"timeout": timeout})
        response = await transport.handle_async_request(request)
        sizes = [len(piece) async for piece in response.aiter_raw()]
        await response.aclose()

    assert sum(sizes) == size
    assert max(sizes) < 2_000_000


async def test_an_answer_over_the_limit_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless(connection: Connection) -> None:
        nonlocal sent
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while not connection.writer.is_closing():
            await connection.say(b" " * 100_000)
            sent += 100_000

    async with (
        listening(endless) as server,
        ODataClient(
            Settings(url=server.url(), max_upstream_bytes=1_000_000), observe=lambda _: None
        ) as client,
    ):
        with pytest.raises(UpstreamMalformed, match="larger than 1,000,000 bytes"):
            await asyncio.wait_for(client.send(Request("GET", "Sets", {})), PATIENCE)
        assert not client._transport._session.connector._acquired  # type: ignore[attr-defined]

    assert sent < 50_000_000


async def test_closing_closes_idle_connections(
    transport: httpx.AsyncBaseTransport,
) -> None:
    async with listening(answering(ok())) as server:
        await ask(transport, server.url())
        await transport.aclose()
        await asyncio.wait_for(server.connections[0].ended.wait(), PATIENCE)
        await ask(transport, server.url())
        await transport.aclose()

    assert len(server.connections) == 2
