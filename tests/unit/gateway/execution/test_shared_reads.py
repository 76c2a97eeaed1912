"""Operations that share their upstream reads: each has the answer it would have alone, with fewer requests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from gateway.events import OperationServed
from gateway.operations.global_ids import node_id
from gateway.request import Answer, GraphQLRequest
from tests.support import random_rows as worlds
from tests.support.holds import without_holds
from tests.support.hostile import SCHEMAS, always, codes, hostile
from tests.support.manual_clock import pass_time, until
from tests.support.zoo_model import DIALECTS, KINDS, LISTS, Zoo

pytestmark = pytest.mark.anyio

FLAT = [
    f"{name[0].lower()}{name[1:]}"
    for name in (*KINDS, *LISTS)
    if name not in ("Home", "Places", "Any", "Things")
]
ROWS = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Order { %s } } }"
CHILDREN = """query ($ids: [ID!]!, $first: Int, $with: Boolean = true) {
  rows: nodes(ids: $ids) { ... on Order { orderId lines(first: $first) { nodes { lineNo note @include(if: $with) } } } }
}"""
QUERIES: dict[str, tuple[str, dict[str, Any]]] = {
    "one property": (ROWS % "text", {}),
    "other properties": (ROWS % "number amount textMust", {}),
    "all": (ROWS % " ".join(FLAT), {}),
    "ids and names of types": ("query ($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }", {}),
    "aliases": (
        (
            "query ($ids: [ID!]!) { a: nodes(ids: $ids) { id } a: nodes(ids: $ids) { ... on Order { t: text } }"
            " b: nodes(ids: $ids) { ... on Order { t: number } } }"
        ),
        {},
    ),
    "fragments": (
        (
            "query Mine($ids: [ID!]!) { nodes(ids: $ids) { ...A } } fragment A on Order { ...B colour }"
            " fragment B on Order { home { city spot { north } } }"
        ),
        {},
    ),
    "other fragments of the same names": (
        "query ($ids: [ID!]!) { nodes(ids: $ids) { ...A } } fragment A on Order { flag }",
        {},
    ),
    "no child": (CHILDREN, {"first": 0}),
    "a child": (CHILDREN, {"first": 1}),
    "more children": (CHILDREN, {"first": 2, "with": False}),
    "a relation": (ROWS % "party { name ... on Person { friend { name } } }", {}),
    "the relation with more": (ROWS % "party { since } lines { totalCount }", {}),
    "an invalid query": (ROWS % "nothing", {}),
    "a variable of a wrong type": (CHILDREN, {"first": "x"}),
    "an unknown cursor": (ROWS % 'lines(after: "x") { totalCount }', {}),
}


def order_id(row: dict[str, Any]) -> str:
    return node_id("Order", row["Area"], row["OrderId"])


def ids_of(zoo: Zoo) -> list[str]:
    return [order_id(row) for row in zoo.tables.rows["Orders"]]


def requests_for(names: Sequence[str], ids: Sequence[str]) -> list[GraphQLRequest]:
    return [
        GraphQLRequest(query=QUERIES[name][0], variables={"ids": ids, **QUERIES[name][1]})
        for name in names
    ]


async def together(zoo: Zoo, requests: Sequence[GraphQLRequest]) -> list[Answer]:
    shared = zoo.engine.reads.side_by_side(requests)
    return await asyncio.gather(*(zoo.engine.execute(request, shared) for request in requests))


async def alone(zoo: Zoo, requests: Sequence[GraphQLRequest]) -> list[Answer]:
    return [await zoo.engine.execute(request) for request in requests]


def errors(answers: Sequence[Answer]) -> list[Any]:
    """Return the answers without the ids of their errors."""
    result = [answer.to_builtins() for answer in answers]
    for answer in result:
        for error in answer.get("errors", ()):
            error.get("extensions", {}).pop("errorId", None)
    return result


def sent(answers: Sequence[Answer]) -> list[str]:
    return [request.url for answer in answers for request in answer.requests]


def world(dialect: str, *, seed: int = 7, rows: int = 6, **settings: Any) -> Zoo:
    zoo = Zoo(DIALECTS[dialect], schema=SCHEMAS[dialect], **settings)
    zoo.tables = worlds.tables(seed, rows, insensitive=dialect == "finops")
    return zoo


@pytest.mark.parametrize("can_expand", [True, False])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("rows", [1, 6])
async def test_each_gets_the_answer_that_it_would_get_alone(
    rows: int, dialect: str, can_expand: bool
) -> None:
    zoo = world(dialect, rows=rows, can_expand=can_expand)
    requests = requests_for(list(QUERIES), [*ids_of(zoo), node_id("Order", "A1", 999), "x"])

    assert errors(await together(zoo, requests)) == errors(await alone(zoo, requests))


@pytest.mark.heavy
@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(st.sampled_from(list(QUERIES)), min_size=2, max_size=6),
    dialect=st.sampled_from(list(DIALECTS)),
    can_expand=st.booleans(),
    seed=st.integers(0, 1_000),
    rows=st.integers(1, 4),
    places=worlds.SPOILINGS,
)
async def test_spoilt_rows_are_each_operations_own_errors(
    names: list[str],
    dialect: str,
    can_expand: bool,
    seed: int,
    rows: int,
    places: list[tuple[int, int, int, int]],
) -> None:
    zoo = world(dialect, seed=seed, rows=rows, can_expand=can_expand)
    worlds.spoil(zoo.tables, places, " ".join(QUERIES[name][0] for name in names))
    requests = requests_for(names, ids_of(zoo))

    assert errors(await together(zoo, requests)) == errors(await alone(zoo, requests))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("rows", [1, 12])
async def test_selections_of_the_same_rows_are_united(rows: int, dialect: str) -> None:
    zoo = world(dialect, rows=rows, max_url_length=60_000)
    queries = [ROWS % f"{one} {other}" for one in FLAT[:7] for other in FLAT[7:10]]
    requests = [GraphQLRequest(query=q, variables={"ids": ids_of(zoo)}) for q in queries]

    answers = await together(zoo, requests)

    assert len(queries) == 21
    assert len(sent(answers)) == 1
    assert errors(answers) == errors(await alone(zoo, requests))


@pytest.mark.parametrize("can_expand", [True, False])
async def test_children_that_differ_in_arguments_do_not_mix(can_expand: bool) -> None:
    zoo = world("odata", can_expand=can_expand)
    names = ["no child", "a child", "more children"]
    requests = requests_for(names, ids_of(zoo))

    answers = errors(await together(zoo, requests))

    lines = [[len(r["lines"]["nodes"]) for r in answer["data"]["rows"]] for answer in answers]
    assert [max(counts) for counts in lines] == [0, 1, 2]
    assert answers == errors(await alone(zoo, requests))


async def test_a_refused_selection_fails_for_its_own_operation() -> None:
    zoo = hostile()
    zoo.script = lambda request: (
        always({"error": {"code": "", "message": "no"}}, 400)(request)
        if "Colour" in request.url.query.decode()
        else None
    )
    names = FLAT[:10]
    bad = names.index("colour")
    ids = ids_of(zoo)
    requests = [GraphQLRequest(query=ROWS % name, variables={"ids": ids}) for name in names]

    answers = await together(zoo, requests)

    result = errors(answers)
    assert [number for number, one in enumerate(result) if "errors" in one] == [bad]
    assert {code for _, code in codes(result[bad])} == {"UPSTREAM_REJECTED"}
    assert len(sent(answers)) <= 1 + 2 * 4  # halves, not one by one
    assert result == errors(await alone(zoo, requests))


@pytest.mark.parametrize(("status", "requests"), [(503, 1), (429, 1), (400, 3)])
async def test_a_failure_of_another_cause_is_not_tried_again(status: int, requests: int) -> None:
    zoo = hostile()
    zoo.script = always({"error": {"code": "", "message": "no"}}, status)
    requested = [GraphQLRequest(query=ROWS % n, variables={"ids": ids_of(zoo)}) for n in FLAT[:2]]

    with without_holds():
        answers = await together(zoo, requested)
        by_themselves = await alone(zoo, requested)

    assert len(sent(answers)) == requests
    assert errors(answers) == errors(by_themselves)


async def test_shared_reads_leave_each_operation_its_own_budget() -> None:
    zoo = world("finops")
    zoo.engine.reads.settings = structs.replace(zoo.engine.reads.settings, max_filtered_rows=8)
    starred = 'lines(where: { note: { ne: "*" }, lineNo: { gte: "%s" } }) { totalCount }'
    requested = [
        GraphQLRequest(query=ROWS % (starred % n), variables={"ids": ids_of(zoo)})
        for n in (0, "0.1", "0.2")
    ]

    assert errors(await together(zoo, requested)) == errors(await alone(zoo, requested))


async def test_each_request_is_counted_once_in_the_log() -> None:
    zoo = world("odata")
    requests = requests_for(
        ["one property", "other properties", "ids and names of types"], ids_of(zoo)
    )

    await together(zoo, requests)

    served = [event for event in zoo.events if isinstance(event, OperationServed)]
    assert [sum(e.requests for e in served), sum(e.rows for e in served)] == [1, 6]
    assert len(served) == 3


class Held(Zoo):
    """Requests that match wait for a gate."""

    def __init__(self, match: str) -> None:
        self.gate = asyncio.Event()
        self.match = match
        self.waiting: list[str] = []
        super().__init__(DIALECTS["odata"], schema=SCHEMAS["odata"])
        self.tables = worlds.tables(7, 3, insensitive=False)

    async def _answer(self, request: httpx.Request) -> httpx.Response:  # type: ignore[override]
        if self.match in str(request.url):
            self.waiting.append(str(request.url))
            await self.gate.wait()
        return self.tables.answer(request)


async def test_an_operation_that_times_out_cancels_no_shared_read() -> None:
    zoo = Held("Orders")
    short, long = requests_for(["one property", "other properties"], ids_of(zoo))
    short = structs.replace(short, timeout=5.0)
    shared = zoo.engine.reads.side_by_side([short, long])
    first, second = (asyncio.create_task(zoo.engine.execute(r, shared)) for r in (short, long))
    await until(lambda: zoo.waiting)

    pass_time(6)
    assert codes((await first).to_builtins()) == [([], "DEADLINE_EXCEEDED")]
    zoo.gate.set()
    answer = await second

    assert len(zoo.waiting) == 1
    zoo.match = "nothing"
    assert errors([answer]) == errors(await alone(zoo, [long]))


async def test_who_reads_slowly_delays_nobody_else() -> None:
    zoo = Held("$expand")
    slow, quick = requests_for(["a relation", "one property"], ids_of(zoo))
    shared = zoo.engine.reads.side_by_side([slow, quick])
    first, second = (asyncio.create_task(zoo.engine.execute(r, shared)) for r in (slow, quick))

    assert "errors" not in (await second).to_builtins()
    await until(lambda: zoo.waiting)
    assert not first.done()
    zoo.gate.set()
    assert "errors" not in (await first).to_builtins()


async def test_a_shared_request_is_retried_while_any_has_time() -> None:
    zoo = hostile()
    answers = [always({}, 429, {"Retry-After": "10"})]
    zoo.script = lambda request: answers.pop()(request) if answers else None
    short, long = requests_for(["one property", "other properties"], ids_of(zoo))

    result = await together(zoo, [structs.replace(short, timeout=5.0), long])

    assert "errors" not in result[1].to_builtins()
    assert len(sent(result)) == 1
