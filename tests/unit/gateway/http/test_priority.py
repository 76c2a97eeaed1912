"""Lanes and early refusals, from the door to the upstream request."""

from __future__ import annotations

import asyncio

import pytest

from gateway.admission.work import Lane
from tests.support.busy_gateway import begin, currencies, gateway, settle

pytestmark = pytest.mark.anyio
CURRENCIES = currencies(1)
ENTITIES = """{
  _entities(representations: [{__typename: "Currency", currencyCode: "USD"}]) { ... on Currency { name } }
}"""


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
