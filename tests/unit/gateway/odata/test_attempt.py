"""The bound in time of a whole answer, whatever comes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.errors import OutcomeUnknown, UpstreamMalformed, UpstreamTimeout
from gateway.odata.query import Request
from gateway.odata.retry import operation_ends_at
from tests.support.scripted_upstream import Upstream, rows, upstream

pytestmark = pytest.mark.anyio
GET = Request("GET", "Sets?$top=1", {})
WRITE = Request("PATCH", "Sets(1)", {}, b"{}")
SHORT = 0.02
"""Seconds: a bound that a dripping answer surely meets."""


def drips() -> Upstream:
    """An upstream whose answer never ends, and is never silent for long."""

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0)

    return upstream(lambda _: httpx.Response(200, content=body()))


async def test_a_dripping_answer_to_a_read_is_a_timeout() -> None:
    fo = drips()

    async with fo.client(answer_timeout=SHORT, retries=1) as client:
        with pytest.raises(UpstreamTimeout, match="did not answer in time"):
            await client.send(GET)

    assert len(fo.requests) == 2


async def test_a_dripping_answer_to_a_write_is_unknown_and_frees_its_slot() -> None:
    fo = drips()

    async with fo.client(answer_timeout=SHORT, concurrency=1) as client:
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                await client.write(WRITE)

    assert len(fo.requests) == 2


async def test_the_limit_ends_with_the_answer() -> None:
    fo = upstream(rows())

    async with fo.client(answer_timeout=SHORT) as client:
        for _ in range(3):
            assert (await client.send(GET)).status == 200
        await asyncio.sleep(2 * SHORT)  # no timer of an answer is left that would cancel this


async def test_two_codings_are_malformed_and_not_retried() -> None:
    fo = upstream(
        lambda _: httpx.Response(200, headers={"content-encoding": "gzip, gzip"}, stream=Empty())
    )

    async with fo.client() as client:
        with pytest.raises(UpstreamMalformed, match="badly compressed"):
            await client.send(GET)

    assert len(fo.requests) == 1


class Empty(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b""


async def test_the_operation_ends_a_read_before_answer_timeout() -> None:
    fo = drips()
    loop = asyncio.get_running_loop()

    async with fo.client(answer_timeout=60) as client:
        with pytest.raises(TimeoutError), operation_ends_at(loop.time() + SHORT):
            async with asyncio.timeout(SHORT):
                await client.send(GET)

    assert len(fo.requests) == 1


async def test_a_write_has_a_limit_of_its_own() -> None:
    fo = drips()

    async with fo.client(answer_timeout=SHORT) as client:
        with (
            pytest.raises(OutcomeUnknown),
            operation_ends_at(asyncio.get_running_loop().time() - 1),
        ):
            await client.write(WRITE)
