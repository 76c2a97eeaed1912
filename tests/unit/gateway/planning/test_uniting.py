"""Root lists that differ in values of ``eq``: one request for all of them, and each page as if it had come alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from gateway.explain.explain import explain
from gateway.request import GraphQLRequest
from tests.support import random_rows as worlds
from tests.support.hostile import SCHEMAS, hostile, on
from tests.support.zoo_model import DIALECTS, Zoo
from tests.unit.gateway.execution.test_addresses import batch

pytestmark = pytest.mark.anyio

BELOW = "area orderId lines(first: 1) { totalCount nodes { lineNo } } party { name }"
PAGE = f"totalCount nodes {{ {BELOW} }} pageInfo {{ hasNextPage hasPreviousPage endCursor }}"


def world(dialect: str, *, can_expand: bool = True) -> Zoo:
    zoo = Zoo(DIALECTS[dialect], can_expand=can_expand, schema=SCHEMAS[dialect])
    zoo.tables = worlds.tables(7, 6, insensitive=dialect == "finops")
    return zoo


def keyed(number: int, more: str = "", arguments: str = "") -> str:
    where = f'area: {{ eq: "A1" }}, orderId: {{ eq: {number} }} {more}'
    return f"orders(where: {{ {where} }} {arguments}) {{ {PAGE} }}"


KEYED = {
    "rows": [keyed(1), keyed(4), keyed(5)],
    "a row that is not there": [keyed(1), keyed(999)],
    "equal lists": [keyed(1), keyed(1)],
    "pages": [keyed(1, arguments="first: 0"), keyed(4, arguments="last: 1"), keyed(5)],
    "another filter beside": [keyed(n, 'text: { ne: "x" }') for n in (1, 4)],
    "an order": [keyed(n, arguments="orderBy: [{ text: DESC }]") for n in (1, 4)],
    "counts": [keyed(n).replace(PAGE, "totalCount") for n in (1, 4)],
}


async def alone(zoo: Zoo, fields: list[str]) -> dict[str, Any]:
    answers = [(await zoo.execute(f"{{ {field} }}")).to_builtins() for field in fields]
    assert all("errors" not in answer for answer in answers)
    return {f"f{n}": answer["data"]["orders"] for n, answer in enumerate(answers)}


def aliased(fields: list[str]) -> str:
    return "{ " + " ".join(f"f{n}: {field}" for n, field in enumerate(fields)) + " }"


@pytest.mark.parametrize("can_expand", [True, False])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", KEYED)
async def test_lists_of_one_key_are_one_request(case: str, dialect: str, can_expand: bool) -> None:
    zoo = world(dialect, can_expand=can_expand)

    answer = await zoo.execute(aliased(KEYED[case]))

    assert answer.to_builtins() == {"data": await alone(zoo, KEYED[case])}
    assert len([r for r in answer.requests if r.url.startswith("Orders")]) == 1


async def test_a_cursor_of_a_united_list_is_that_of_the_list() -> None:
    zoo = world("odata")
    first = await zoo.execute(aliased([keyed(1), keyed(4)]))
    assert len(first.to_builtins()["data"]["f0"]["nodes"]) == 1
    cursor = first.to_builtins()["data"]["f0"]["pageInfo"]["endCursor"]

    fields = [keyed(1, arguments=f'after: "{cursor}"'), keyed(4)]
    answer = await zoo.execute(aliased(fields))

    assert answer.to_builtins() == {"data": await alone(zoo, fields)}
    assert answer.to_builtins()["data"]["f0"]["nodes"] == []


def coloured(colour: str, arguments: str = "") -> str:
    return f"orders(where: {{ colourMust: {{ eq: {colour} }} }} {arguments}) {{ {PAGE} }}"


@pytest.mark.parametrize(("dialect", "methods"), [("finops", {"POST"}), ("odata", {"GET"})])
async def test_other_lists_share_a_batch_if_the_service_supports_it(
    dialect: str, methods: set[str]
) -> None:
    fields = [coloured("RED", "first: 1"), coloured("DARK_GREEN", "last: 2"), coloured("BLUE")]
    zoo = world(dialect)

    answer = await zoo.execute(aliased(fields))

    assert answer.to_builtins() == {"data": await alone(zoo, fields)}
    roots = [r for r in answer.requests if r.method == "POST" or r.url.startswith("Orders?")]
    assert {r.method for r in roots} == methods
    assert dialect == "odata" or len(roots) == 1


async def test_a_list_that_fails_in_a_shared_batch_fails_alone() -> None:
    error = '{"error":{"code":"","message":"No."}}'
    rows = '{"value":[{"Area":"A","OrderId":1}]}'
    lists = [
        f"orders(where: {{ number: {{ eq: {n} }} }}) {{ nodes {{ orderId }} }}" for n in (0, 1)
    ]

    answer = await hostile("finops").ask(
        aliased(lists), on("$batch", lambda _: batch((400, error), (200, rows)))
    )

    assert [e["path"] for e in answer["errors"]] == [["f0"]]


async def test_a_failed_request_for_united_keys_fails_all_their_lists() -> None:
    refused = on("Orders", lambda _: httpx.Response(400, json={"error": {"message": "No."}}))

    lists = [keyed(n).replace(PAGE, "nodes { orderId }") for n in (1, 4)]
    answer = await hostile().ask(aliased(lists), refused)

    assert answer["data"] is None
    assert {e["extensions"]["code"] for e in answer["errors"]} == {"UPSTREAM_REJECTED"}


async def test_explain_says_which_lists_go_together() -> None:
    gateway: Any = SimpleNamespace(engine=world("finops").engine)
    query = aliased([keyed(1), keyed(4), coloured("RED"), coloured("BLUE")])

    text = (await explain(gateway, GraphQLRequest(query=query))).text()

    assert text.count("note: merged with lists that name other keys") == 2
    assert text.count("note: shares a $batch with lists that differ only") == 2
    assert "note: in a $batch: lists that differ in a value of eq only share one" in text
