"""A gateway that has more to do than it can: what runs, what is refused, what stays quick. Counted, not timed."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import pytest
from starlette.types import Message

from tests.support.busy_gateway import begin, currencies, gateway, settle
from tests.support.issuer import AUDIENCE, ISS, jwk, token
from tests.support.manual_clock import pass_time

pytestmark = pytest.mark.anyio
INBOUND = {
    "anonymous": True,
    "issuers": [{"issuer": ISS, "audiences": [AUDIENCE], "jwks": {"keys": [jwk("k1")]}}],
}
FEW_TURNS = 60
"""Turns of the event loop in which something small is answered."""


async def answered(task: asyncio.Task[httpx.Response], turns: int) -> httpx.Response:
    """Return the answer of a task that takes no more than so many turns of the event loop."""
    for _ in range(turns):
        if task.done():
            return task.result()
        await asyncio.sleep(0)
    raise AssertionError(f"no answer in {turns} turns")


def refused(tasks: list[asyncio.Task[httpx.Response]]) -> list[httpx.Response]:
    return [task.result() for task in tasks if task.done()]


async def test_of_a_thousand_slow_operations_as_many_run_as_may() -> None:
    async with gateway(concurrency=4, max_operations=100, max_page_size=2_000) as (
        client,
        upstream,
    ):
        upstream.open.clear()
        tasks = begin(client, 1_000)
        await settle()
        answers = refused(tasks)
        assert len(upstream.lanes) == 4
        assert len(answers) == 900
        assert {a.status_code for a in answers} == {503}
        assert {a.json()["errors"][0]["extensions"]["code"] for a in answers} == {"OVERLOADED"}
        assert {a.headers["retry-after"] for a in answers} == {"1"}

        # What is refused leaves nothing behind.
        held = len(asyncio.all_tasks())
        more = begin(client, 500)
        await settle()
        assert len(refused(more)) == 500
        assert len(asyncio.all_tasks()) == held

        upstream.open.set()
        served = await asyncio.gather(*tasks)
    assert sum(answer.status_code == 200 for answer in served) == 100


async def test_of_a_cold_flood_what_only_waited_is_told_to_come_again() -> None:
    """Nothing was answered yet, so that nobody knows how long the wait will be."""
    async with gateway(concurrency=2, operation_timeout=30) as (client, upstream):
        upstream.open.clear()
        tasks = begin(client, 40)
        await settle()
        pass_time(28)
        await settle()
        answers = refused(tasks)
        assert len(upstream.lanes) == 2
        upstream.open.set()
        served = await asyncio.gather(*tasks)

    assert len(answers) == 38
    assert {answer.status_code for answer in answers} == {503}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    assert {a.json()["errors"][0]["extensions"]["code"] for a in answers} == {"OVERLOADED"}
    assert not any("data" in answer.json() for answer in answers)
    assert sum(answer.status_code == 200 for answer in served) == 2


async def test_health_is_answered_while_everything_waits() -> None:
    async with gateway(concurrency=1, max_operations=50) as (client, upstream):
        upstream.open.clear()
        tasks = begin(client, 60)
        await settle()
        health = asyncio.ensure_future(client.get("/healthz"))
        schema = asyncio.ensure_future(client.get("/readyz"))

        assert (await answered(health, FEW_TURNS)).status_code == 200
        assert (await answered(schema, FEW_TURNS)).status_code == 200
        upstream.open.set()
        await asyncio.gather(*tasks)


async def test_exports_leave_half_of_the_operations_to_others() -> None:
    async with gateway(concurrency=4, max_operations=20) as (client, upstream):
        upstream.open.clear()
        exports = begin(client, 30, **{"X-D365-Priority": "low"})
        await settle()
        assert len(refused(exports)) == 20
        people = begin(client, 10)
        await settle()
        assert refused(people) == []
        upstream.open.set()
        answers = await asyncio.gather(*people)
        await asyncio.gather(*exports)

    assert {answer.status_code for answer in answers} == {200}


async def test_an_environment_that_hangs_leaves_half_of_the_operations_to_others() -> None:
    async with gateway(
        concurrency=4, max_operations=20, environments={"other": {"sandbox": {}}}
    ) as (client, upstream):
        upstream.open.clear()
        hanging = begin(client, 30)
        await settle()
        assert len(refused(hanging)) == 20
        other = await client.post("/e/other/graphql", json={"query": currencies(1)})
        upstream.open.set()
        await asyncio.gather(*hanging)

    assert other.status_code == 200
    assert "errors" not in other.json()


async def test_a_caller_with_all_operations_leaves_what_ends_to_others() -> None:
    async with gateway(concurrency=4, max_operations=20, inbound=INBOUND) as (client, upstream):
        upstream.open.clear()
        bearer = {"Authorization": f"Bearer {token(exp=int(time.time() + 600))}"}
        greedy = begin(client, 20)
        await settle()
        assert refused(greedy) == []
        (first,) = begin(client, 1, **bearer)
        await settle()
        assert (await first).status_code == 503

        for task in greedy[10:]:
            task.cancel()
        await settle()
        more = begin(client, 5)
        others = begin(client, 10, **bearer)
        await settle()
        upstream.open.set()
        answers = await asyncio.gather(*others, *more, *greedy[:10])

    assert [answer.status_code for answer in answers[:10]] == [200] * 10
    assert [answer.status_code for answer in answers[10:15]] == [503] * 5
    assert [answer.status_code for answer in answers[15:]] == [200] * 10


async def test_an_operation_over_a_websocket_is_refused_likewise() -> None:
    async with gateway(concurrency=1, max_operations=2) as (client, upstream):
        upstream.open.clear()
        tasks = begin(client, 2)
        await settle()
        message = await over_websocket(client, currencies(50))
        upstream.open.set()
        await asyncio.gather(*tasks)

    assert message["type"] == "error"
    assert message["payload"][0]["extensions"]["code"] == "OVERLOADED"
    assert message["payload"][0]["extensions"]["retryAfter"] == 1.0


async def over_websocket(client: httpx.AsyncClient, query: str) -> Any:
    """Return the first message that an operation over a WebSocket is answered with."""
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    said: asyncio.Queue[Message] = asyncio.Queue()
    heard: asyncio.Queue[Message] = asyncio.Queue()
    scope = {
        "type": "websocket",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "query_string": b"",
        "root_path": "",
        "scheme": "ws",
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 5),
        "headers": [(b"host", b"localhost")],
        "subprotocols": ["graphql-transport-ws"],
    }
    running = asyncio.ensure_future(transport.app(scope, said.get, heard.put))

    async def say(**message: object) -> None:
        await said.put({"type": "websocket.receive", "text": json.dumps(message)})

    await said.put({"type": "websocket.connect"})
    assert (await heard.get())["type"] == "websocket.accept"
    await say(type="connection_init")
    assert json.loads((await heard.get())["text"])["type"] == "connection_ack"
    await say(type="subscribe", id="1", payload={"query": query})
    message = json.loads((await heard.get())["text"])
    await said.put({"type": "websocket.disconnect", "code": 1000})
    await running
    return message
