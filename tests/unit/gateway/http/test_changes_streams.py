"""``Subscription.changes`` over sockets: answers as they come, from a cursor on, by one poll for all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette

from gateway.events import Event
from tests.support.event_stream import Stream, asked
from tests.support.streaming import Served, serving, subscribe

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
FOLLOW = """subscription($since: String = "now", $with: Boolean = true) {
  mine: changes(set: "CustomersV3", companies: ["usmf"], since: $since) {
    upserts { kind node { ...Named } } deletes { id } cursor hasMore @include(if: $with) source } }
fragment Named on CustomerV3 { customerAccount creditLimit }"""


@pytest.fixture(scope="module")
async def served(sandbox: Starlette) -> AsyncIterator[Served]:
    events: list[Event] = []
    async with serving(sandbox, events) as opened:
        yield opened


async def answer_of(stream: Stream) -> dict[str, Any]:
    _, data = (await stream.event()).strip().split("\n")
    answer: dict[str, Any] = json.loads(data.removeprefix("data: "))["data"]["mine"]
    return answer


async def change(served: Served, limit: int) -> None:
    mutation = f"""mutation {{ updateCustomerV3(key: {{ dataAreaId: "usmf", customerAccount: "US-009" }},
      patch: {{ creditLimit: "{limit}" }}) {{ userErrors {{ message }} }} }}"""
    async with asked(served, mutation) as stream:
        assert "userErrors" in await stream.event()


async def test_event_streams_bring_changes_and_continue_from_a_cursor(served: Served) -> None:
    async with asked(served, FOLLOW) as one, asked(served, FOLLOW) as other:
        first = await answer_of(one)
        assert (await answer_of(other))["upserts"] == first["upserts"] == []
        assert served.hub.watches == 1
        await change(served, 901)

        for stream in (one, other):
            found = await answer_of(stream)
            assert [row["node"] for row in found["upserts"]] == [
                {"customerAccount": "US-009", "creditLimit": "901"}
            ]
            assert set(found) == {"upserts", "deletes", "cursor", "hasMore", "source"}

    async with asked(served, FOLLOW, variables={"since": first["cursor"], "with": False}) as late:
        missed = await answer_of(late)
    assert [row["node"]["creditLimit"] for row in missed["upserts"]] == ["901"]
    assert "hasMore" not in missed


async def test_a_stream_brings_unified_objects(served: Served) -> None:
    query = """subscription { mine: changes(set: "accounting.customers", companies: ["usmf"], since: "now") {
      upserts { object { ... on UnifiedCustomer { number creditLimit } } } } }"""
    async with asked(served, query) as stream:
        await answer_of(stream)
        await change(served, 903)
        found = await answer_of(stream)

    assert [row["object"] for row in found["upserts"]] == [
        {"number": "US-009", "creditLimit": "903"}
    ]


async def test_a_websocket_brings_the_whole_list_first(served: Served) -> None:
    query = """subscription { changes(set: "CustomerGroups", companies: ["usmf"], first: 3) {
      upserts { id } hasMore } }"""
    async with served.begun() as client:
        await client.say(subscribe(query))
        sizes = []
        while True:
            answer = (await client.hear())["payload"]["data"]["changes"]
            sizes.append(len(answer["upserts"]))
            if not answer["hasMore"]:
                break
    assert max(sizes) == 3


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('set: "nothing"', "BAD_ARGUMENT"),
        ('set: "CustomersV3", since: "nothing"', "INVALID_CURSOR"),
        ('set: "CustomersV3", first: 0', "BAD_ARGUMENT"),
    ],
)
async def test_a_stream_that_cannot_begin_says_why(
    served: Served, arguments: str, code: str
) -> None:
    async with asked(served, f"subscription {{ changes({arguments}) {{ cursor }} }}") as stream:
        assert code in (await stream.rest())[0]
