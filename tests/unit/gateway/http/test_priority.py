"""Lanes and early refusals, from the door to the upstream request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.admission.work import Lane, current_work
from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.http.graphql_endpoint import GRAPHQL
from gateway.sandbox import SandboxSettings, create_sandbox
from tests.support.observers import raise_defects

pytestmark = pytest.mark.anyio


def currencies(rows: int) -> str:
    """Return a query; equal ones would share one read."""
    return f"{{ currencies(first: {rows}) {{ nodes {{ currencyCode }} }} }}"


CURRENCIES = currencies(1)
ENTITIES = """{
  _entities(representations: [{__typename: "Currency", currencyCode: "USD"}]) { ... on Currency { name } }
}"""


class Upstream(httpx.AsyncBaseTransport):
    """The sandbox; notes for whom requests are sent, and can let them wait."""

    def __init__(self) -> None:
        self._sandbox = httpx.ASGITransport(create_sandbox(SandboxSettings(hostile_rows=False)))
        self.lanes: list[Lane] = []
        self.open = asyncio.Event()
        self.open.set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(("Currencies", "Currencies('USD')")):
            self.lanes.append(current_work().lane)
            await self.open.wait()
        return await self._sandbox.handle_async_request(request)


@asynccontextmanager
async def gateway(**settings: object) -> AsyncIterator[tuple[httpx.AsyncClient, Upstream]]:
    upstream = Upstream()
    values = {"url": "https://fo.example/data", "auth": "none", "dialect": "finops", **settings}
    app = create_app(
        Settings.model_validate(
            {"cache_dir": None, "data_dir": None, "include": ["Curr*"], **values}
        ),
        transport=upstream,
        observe=raise_defects,
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client,
    ):
        client.headers["accept"] = GRAPHQL
        yield client, upstream


def begin(client: httpx.AsyncClient, count: int) -> list[asyncio.Task[httpx.Response]]:
    return [
        asyncio.ensure_future(client.post("/graphql", json={"query": currencies(number)}))
        for number in range(2, count + 2)
    ]


async def settle() -> None:
    for _ in range(300):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("query", "headers", "lane"),
    [
        (CURRENCIES, {}, Lane.INTERACTIVE),
        (CURRENCIES, {"X-D365-Priority": "low"}, Lane.EXPORT),
        (CURRENCIES, {"X-D365-Priority": " Normal"}, Lane.INTERACTIVE),
        (ENTITIES, {}, Lane.FEDERATION),
        (ENTITIES, {"X-D365-Priority": "low"}, Lane.EXPORT),
    ],
)
async def test_an_operation_is_in_the_lane_of_its_door(
    query: str, headers: dict[str, str], lane: Lane
) -> None:
    async with gateway(federation={"enabled": True}) as (client, upstream):
        answer = await client.post("/graphql", json={"query": query}, headers=headers)

    assert "errors" not in answer.json(), answer.text
    assert upstream.lanes == [lane]


async def test_nobody_raises_a_priority() -> None:
    async with gateway() as (client, upstream):
        headers = {"X-D365-Priority": "high"}
        answer = await client.post("/graphql", json={"query": CURRENCIES}, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert upstream.lanes == []


async def test_behind_a_full_lane_an_operation_is_refused_before_it_sends() -> None:
    async with gateway(concurrency=1, admission={"queue": 2}) as (client, upstream):
        upstream.open.clear()
        served = begin(client, 3)
        await settle()
        refused = await client.post("/graphql", json={"query": CURRENCIES})
        upstream.open.set()
        answers = await asyncio.gather(*served)

    error = refused.json()["errors"][0]["extensions"]
    assert (refused.status_code, error["code"]) == (503, "OVERLOADED")
    assert refused.headers["retry-after"] == str(int(error["retryAfter"]))
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len(upstream.lanes) == 3


async def test_an_operation_that_would_be_too_late_is_refused_before_it_sends() -> None:
    async with gateway(concurrency=1) as (client, upstream):
        await client.post("/graphql", json={"query": CURRENCIES})
        upstream.open.clear()
        served = begin(client, 40)
        await settle()
        headers = {"X-D365-Timeout": "0.0001"}
        refused = await client.post("/graphql", json={"query": CURRENCIES}, headers=headers)
        upstream.open.set()
        await asyncio.gather(*served)

    assert refused.status_code == 503, refused.text
    assert refused.json()["errors"][0]["extensions"]["code"] == "OVERLOADED"
    assert len(upstream.lanes) == 1 + 40
