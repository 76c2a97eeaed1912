"""Callers that send too much, and sockets that misbehave."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.odata.client import ODataClient
from gateway.odata.dialect import ODATA
from gateway.odata.retry import Clock
from gateway.planning.limits import PlanLimits
from gateway.request import GraphQLRequest
from tests.support.hostile import (
    GOOD,
    JSON,
    SCHEMAS,
    SECRETS,
    codes,
    encode,
    hostile,
)
from tests.support.memory_odata import ROOT
from tests.support.observers import raise_bugs
from tests.support.sockets import PATIENCE
from tests.support.zoo_model import FO

pytestmark = pytest.mark.anyio

ORDER = {"Area": "A", "OrderId": 1}


async def test_a_filter_of_a_million_characters_is_a_bad_argument() -> None:
    zoo = hostile()
    sent: list[str] = []
    zoo.tables.requests = sent

    answer = await zoo.ask(
        "query($t: String) { orders(where: {text: {eq: $t}}) { nodes { area } } }",
        lambda _request: None,
        t="x" * 1_000_000,
    )

    assert codes(answer) == [(["orders"], "BAD_ARGUMENT")]
    assert len(str(answer)) < 1_000
    assert not any("xxx" in url for url in sent)


@pytest.mark.heavy
async def test_a_list_of_100_000_values_is_the_callers_mistake() -> None:
    answer = await hostile().ask(
        "query($t: [Int!]) { orders(where: {number: {in: $t}}) { nodes { area } } }",
        lambda _request: None,
        t=list(range(100_000)),
    )

    assert codes(answer) == [(["orders"], "BAD_ARGUMENT")]


@pytest.mark.parametrize("depth", [100, 5_000])
async def test_a_filter_nested_deeply_is_no_accident(depth: int) -> None:
    where: dict[str, Any] = {"number": {"eq": 1}}
    for _ in range(depth):
        where = {"not": where}

    answer = await hostile().ask(
        "query($w: OrderWhere) { orders(where: $w) { nodes { area } } }",
        lambda _request: None,
        w=where,
    )

    assert {code for _, code in codes(answer)} <= {"BAD_ARGUMENT", "BAD_USER_INPUT"}
    assert depth < 1_000 or codes(answer)


@pytest.mark.parametrize("depth", [100, 1_000, 3_000])
async def test_a_literal_nested_deeply_is_no_accident(depth: int) -> None:
    where = "{not: " * depth + "{number: {eq: 1}}" + "}" * depth

    answer = await hostile().ask(
        f"{{ orders(where: {where}) {{ nodes {{ area }} }} }}", lambda _request: None
    )

    assert {code for _, code in codes(answer)} <= {
        "BAD_ARGUMENT",
        "GRAPHQL_PARSE_FAILED",
        "BUDGET_EXCEEDED",
    }


# -- over a real socket

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[str]:
    """Listen on loopback; ``talk`` has a connection."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/data"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        listening.close()
        await listening.wait_closed()


async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def hang_in_the_middle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"value":'
    )
    await writer.drain()
    await asyncio.sleep(30)


async def cut(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"value":'
    )
    await writer.drain()


async def close(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Say nothing."""


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"S3CRET is not HTTP\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("talk", "code"),
    [
        (hang, "UPSTREAM_TIMEOUT"),
        (hang_in_the_middle, "UPSTREAM_TIMEOUT"),
        (cut, "UPSTREAM_UNAVAILABLE"),
        (close, "UPSTREAM_UNAVAILABLE"),
        (reset, "UPSTREAM_UNAVAILABLE"),
        (garbage, "UPSTREAM_UNAVAILABLE"),
    ],
)
async def test_a_socket_that_misbehaves(talk: Talk, code: str) -> None:
    good = encode({"value": [ORDER]})
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    is_good = False

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not is_good:
            return await talk(reader, writer)
        writer.write(head % len(good) + good)
        return await writer.drain()

    async def no_sleep(_seconds: float) -> None:
        """Nobody waits."""

    async with server(answer) as url:
        # Long enough for the answer that comes in the end, on a busy machine too.
        patience = 0.25 if code == "UPSTREAM_TIMEOUT" else PATIENCE
        settings = Settings(url=url, read_timeout=patience)
        client = ODataClient(settings, observe=lambda _event: None, clock=Clock(sleep=no_sleep))
        async with client:
            engine = Engine(
                SCHEMAS["odata"],
                client,
                ODATA,
                ExecutionSettings(plans=PlanLimits()),
                raise_bugs,
            )
            request = GraphQLRequest(query="{ orders { nodes { orderId } } }")
            bad = (await engine.execute(request)).to_builtins()
            is_good = True
            after = (await engine.execute(request)).to_builtins()

    assert codes(bad) == [(["orders"], code)]
    assert [s for s in (*SECRETS, "127.0.0.1") if s in str(bad)] == []
    assert after == {"data": {"orders": {"nodes": [{"orderId": 1}]}}}


async def test_an_answer_larger_than_the_settings_allow() -> None:
    body = gzip.compress(b'{"value":[' + b" " * 300_000 + b"]}")
    settings = Settings(url=ROOT, max_upstream_bytes=100_000)
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, content=body, headers={**JSON, "Content-Encoding": "gzip"})
    )
    async with ODataClient(settings, transport=transport, observe=lambda _event: None) as client:
        limits = ExecutionSettings(plans=replace(PlanLimits()))
        engine = Engine(SCHEMAS["finops"], client, FO, limits, raise_bugs)
        answer = await engine.execute(GraphQLRequest(query=GOOD))

    assert codes(answer.to_builtins()) == [(["orders"], "UPSTREAM_MALFORMED")]
