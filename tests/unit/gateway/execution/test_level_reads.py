"""``gateway.execution.level_reads``: levels that are read the short way are answered as by the whole way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
import pytest

from gateway.engine import Engine
from gateway.errors import UpstreamRejected
from gateway.events import ErrorRaised, Event, OperationServed
from gateway.execution.level_reads import LevelReads
from gateway.odata.key_filters import KeyRequests
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.operations.expectations import Expectation, ListLengths
from gateway.planning.plan import ListRoot, ReadPlan
from gateway.request import GraphQLRequest
from schema.types.build import ODataSchema
from tests.bench.workload import JSON, Service, engine_over, model, schema_of

pytestmark = pytest.mark.anyio
Row = dict[str, Any]
Change = Callable[[list[Row]], Any]
SIBLINGS = """query Levels {
  kind: __typename
  list: orders(first: 3) { nodes {
    total
    customer { name creditLimit }
    lines(first: 2) { totalCount nodes { quantity order { orderNumber tax } } pageInfo { hasNextPage } }
  } }
}"""
CHAIN = """{ orders(first: 3) { nodes { orderNumber
  lines(last: 2) { edges { cursor node { quantity order { total customer { name creditLimit } } } } }
} } }"""
QUERIES = {
    "siblings": SIBLINGS,
    "a chain": CHAIN,
    "one parent": "{ orders(first: 1) { nodes { lines { nodes { quantity } } } } }",
    "one set twice": """{ orders(first: 2) { nodes {
      a: lines(first: 1) { nodes { quantity } } b: lines(first: 2) { nodes { amount } }
    } } }""",
    "totals": "{ orders(first: 2) { nodes { lines { totalCount } } } }",
    "behind a cursor": '{ orders(first: 2) { nodes { lines(first: 2, after: "AAAA") { nodes { amount } } } } }',
}
NOTHING = ("?", None)
SHORT = {"siblings": {True, False}, "a chain": {True, False}, "one set twice": {True}}
"""Query → with and without ``$expand``."""


@cache
def schema() -> ODataSchema:
    return schema_of(model())


@dataclass
class Scripted(Service):
    """The service of the benchmarks, which answers something else for one set at last."""

    name: str = "?"
    change: Change | Exception | None = None
    urls: list[str] = field(default_factory=list)

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        self.urls.append(request.url)
        response = await super().send(request)
        if self.change is None or not request.url.startswith(f"{self.name}?"):
            return response
        if isinstance(self.change, Exception):
            raise self.change
        body = orjson.loads(response.body)
        changed = self.change(body["value"])
        if isinstance(changed, list):
            changed = {**body, "value": changed}
        if not isinstance(changed, bytes):
            changed = orjson.dumps(changed)
        return Response(200, {"content-type": JSON}, changed, response.url)


def first(**values: Any) -> Change:
    """Return what changes values of the first row that has them."""
    return lambda rows: [{**row, **(values if n == 0 else {})} for n, row in enumerate(rows)]


def without(name: str) -> Change:
    return lambda rows: [{k: v for k, v in row.items() if k != name} for row in rows]


LINES: dict[str, Change | Exception] = {
    "no rows": lambda _: [],
    "fewer rows": lambda rows: rows[1:2],
    "rows of nobody": first(OrderNumber="SO-777777"),
    "a null key": first(OrderNumber=None),
    "no key": without("OrderNumber"),
    "a row twice": lambda rows: [*rows, rows[0]],
    "an exponent": first(Quantity=1e30),
    "another type": first(Quantity="many"),
    "not a number": first(Quantity="NaN"),
    "a next link": lambda rows: {"value": rows, "@odata.nextLink": "http://elsewhere.invalid/x"},
    "no page": lambda _: {"value": 7},
    "no JSON": lambda _: b"<html>",
    "nothing": lambda _: b"",
    "an error": UpstreamRejected("No.", hint="Ask otherwise."),
}
OTHERS: dict[str, tuple[str, Change | Exception]] = {
    "customers: none": ("Customers", lambda _: []),
    "customers: twice": ("Customers", lambda rows: [*rows, {**rows[0], "Name": "Other"}]),
    "customers: an error": ("Customers", UpstreamRejected("No.")),
    "orders: equal keys": (
        "Orders",
        lambda rows: [{**r, "CustomerAccount": "C-0001"} for r in rows],
    ),
    "orders: no reference": ("Orders", first(CustomerAccount="")),
    "orders: a star": ("Orders", first(CustomerAccount="C*")),
    "orders: two spellings": ("Orders", first(CustomerAccount="c-0001")),
    "orders: another type": ("Orders", first(Total="many")),
    "orders: a row twice": ("Orders", lambda rows: [rows[0], *rows[:-1]]),
    "orders: too many": ("Orders", lambda rows: rows * 3),
}
ODD = {**{f"lines: {name}": ("Lines", change) for name, change in LINES.items()}, **OTHERS}


async def run(engine: Engine, events: list[Event], query: str) -> tuple[Any, list[Any]]:
    """Return all that is known of an answer but ids and seconds, and what was observed."""
    events.clear()
    answer = await engine.execute(GraphQLRequest(query=query))
    body = answer.to_builtins()
    for error in body.get("errors", ()):
        error["extensions"].pop("errorId", None)
    seen = [
        (event.code, event.message, event.detail)
        if isinstance(event, ErrorRaised)
        else (event.name, event.requests, event.rows, event.errors, event.codes, event.size)
        if isinstance(event, OperationServed)
        else event
        for event in events
    ]
    requests = sorted(request.url for request in answer.requests)
    return (body, list(body.get("data") or ()), requests, answer.rows), seen


Odd = tuple[str, Change | Exception | None]


async def answered(query: str, odd: Odd, *, expand: bool = False) -> tuple[Any, list[str]]:
    """Return the answer of an engine that has answered the operation before, and what it requested for it."""
    service, events = Scripted(), list[Event]()
    engine = engine_over(service, expand=expand, schema=schema(), observe=events.append)
    await engine.execute(GraphQLRequest(query=query))
    service.name, service.change = odd
    service.urls.clear()
    return await run(engine, events, query), service.urls


async def answered_the_whole_way(query: str, odd: Odd, *, expand: bool = False) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.engine.engine.usual_read", lambda *_: None)
        return await answered(query, odd, expand=expand)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each operation that was begun the short way came to its end there."""
    ended: list[bool] = []
    original = LevelReads.data

    async def noted(self: LevelReads, reads: Any) -> Any:
        data = await original(self, reads)
        ended.append(data is not None)
        return data

    monkeypatch.setattr(LevelReads, "data", noted)
    return ended


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_the_short_way_answers_as_the_whole_one(
    short: list[bool], odd: tuple[str, Change]
) -> None:
    made = await answered(SIBLINGS, odd)
    whole = await answered_the_whole_way(SIBLINGS, odd)

    assert len(short) == 2
    assert short[0]
    assert made[0] == whole[0]
    # What the short way does not know is requested when the whole way comes to it.
    assert sorted(made[1]) == sorted(whole[1])


@pytest.mark.parametrize("expand", [True, False], ids=["expanded", "by keys"])
@pytest.mark.parametrize("name", QUERIES)
async def test_usual_queries_go_the_short_way(short: list[bool], name: str, expand: bool) -> None:
    made = await answered(QUERIES[name], NOTHING, expand=expand)
    whole = await answered_the_whole_way(QUERIES[name], NOTHING, expand=expand)

    assert (short == [True, True]) == (expand in SHORT.get(name, ()))
    assert made == whole


FLAT = "{ orders(first: 3) { nodes { lines { nodes { quantity } } } } }"


def spelled(rows: list[Row]) -> list[Row]:
    return [{**row, "OrderNumber": row["OrderNumber"].lower()} for row in rows]


async def test_another_spelling_of_a_key_is_usual(short: list[bool]) -> None:
    made = await answered(FLAT, ("Lines", spelled))

    assert short == [True, True]
    assert made == await answered_the_whole_way(FLAT, ("Lines", spelled))


async def test_what_is_not_as_usual_is_tried_once(short: list[bool]) -> None:
    service = Scripted()
    engine = engine_over(service, expand=False, schema=schema())
    await engine.execute(GraphQLRequest(query=FLAT))
    service.name, service.change = "Lines", LINES["a next link"]
    for _ in range(3):
        await engine.execute(GraphQLRequest(query=FLAT))

    assert short == [True, False]


async def test_an_error_of_the_service_changes_nothing_for_later_operations(
    short: list[bool],
) -> None:
    service = Scripted()
    engine = engine_over(service, expand=False, schema=schema())
    await engine.execute(GraphQLRequest(query=SIBLINGS))
    service.name, service.change = "Lines", UpstreamRejected("No.")
    await engine.execute(GraphQLRequest(query=SIBLINGS))
    service.change = None
    await engine.execute(GraphQLRequest(query=SIBLINGS))

    assert short == [True, False, True]


def expectations(plan: ReadPlan) -> list[tuple[float, ...]]:
    """Return what is expected below the rows of a plan."""
    found: list[tuple[float, ...]] = []
    for child in plan.children:
        known: tuple[Expectation, Expectation, ListLengths]
        known = child.child.keys, child.child.rows, child.child.lengths
        found.append((known[0].most, known[1].most, known[2].average))
        found += expectations(child.plan)
    return found


@pytest.mark.parametrize("expand", [True, False], ids=["expanded", "by keys"])
async def test_the_short_way_learns_what_the_whole_one_learns(
    short: list[bool], monkeypatch: pytest.MonkeyPatch, expand: bool
) -> None:
    async def whole_way(_self: LevelReads, _reads: object) -> None:
        return None

    learned: list[object] = []
    for _ in range(2):
        engine = engine_over(Scripted(), expand=expand, schema=schema())
        for _ in range(2):
            await engine.execute(GraphQLRequest(query=CHAIN))
        (root,) = engine.plan(engine.read(GraphQLRequest(query=CHAIN))).roots
        assert isinstance(root, ListRoot)
        learned.append((root.shape.rows.most, expectations(root.plan)))
        monkeypatch.setattr(LevelReads, "data", whole_way)

    assert short == [True, True]
    assert learned[0] == learned[1]


@dataclass
class Referring(Service):
    """Orders that refer to these customers, none of which exists."""

    accounts: tuple[str, ...] = ()
    urls: list[str] = field(default_factory=list)

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        self.urls.append(request.url)
        rows: list[Row] = []
        if request.url.startswith("Orders?"):
            rows = [
                {"dataAreaId": "usmf", "OrderNumber": f"{n}", "CustomerAccount": account}
                for n, account in enumerate(self.accounts)
            ]
        body = orjson.dumps({"value": rows})
        return Response(200, {"content-type": JSON}, body, request.url)


async def test_keys_are_printed_anew_only_if_they_differ(
    short: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[int] = []
    original = KeyRequests.of

    def noted(self: KeyRequests, keys: Any, values: Any = None) -> Any:
        printed.append(len(keys))
        return original(self, keys, values)

    monkeypatch.setattr(KeyRequests, "of", noted)
    query = "{ orders(first: 4) { nodes { orderNumber customer { name } } } }"
    references = [
        *[("A", "B")] * 2,
        ("A", "C"),
        ("A", "B"),
        ("A", "B", "C"),
        # Equal if they are joined.
        *[("A\0B", "C"), ("A", "B\0C")] * 2,
    ]
    urls: list[list[str]] = []
    for is_whole_way in (False, True):
        service = Referring()
        engine = engine_over(service, expand=False, schema=schema())
        for service.accounts in references:
            await engine.execute(GraphQLRequest(query=query))
        urls.append(service.urls)
        if not is_whole_way:
            assert short == [True] * len(references)
            assert printed == [2, 2, 2, 3, 2, 2, 2, 2]
            monkeypatch.setattr("gateway.engine.engine.usual_read", lambda *_: None)

    assert urls[0] == urls[1]


async def test_a_list_without_rows_is_usual(short: list[bool]) -> None:
    query = "{ orders(first: 4) { nodes { orderNumber lines { nodes { order { tax } } } } } }"
    engine = engine_over(Referring(), expand=False, schema=schema())
    answers = [await engine.execute(GraphQLRequest(query=query)) for _ in range(2)]

    assert short == [True] * len(short)
    assert [answer.to_builtins() for answer in answers] == [{"data": {"orders": {"nodes": []}}}] * 2


async def test_plans_of_one_row_are_not_tried_in_vain(short: list[bool]) -> None:
    query = """query One($account: String) {
      orders(first: 4, where: { orderNumber: { ne: $account } }) { nodes { customer { name } } }
    }"""
    service = Referring(accounts=("A",))
    engine = engine_over(service, expand=False, schema=schema())
    for number in range(3):
        variables = {"account": f"{number}"}
        await engine.execute(GraphQLRequest(query=query, variables=variables))
    assert short == [False]

    service.accounts = ("A", "B", "C", "D")
    for number in range(3, 5):
        variables = {"account": f"{number}"}
        await engine.execute(GraphQLRequest(query=query, variables=variables))

    assert short == [False, True]


async def test_a_cancelled_operation_leaves_nothing_behind() -> None:
    service, begun = Scripted(), asyncio.Event()
    engine = engine_over(service, expand=False, schema=schema())
    await engine.execute(GraphQLRequest(query=SIBLINGS))
    before = asyncio.all_tasks()
    original = service.send

    async def held(request: Request, *, safe: bool | None = None) -> Response:
        if request.url.startswith("Lines?"):
            begun.set()
            await asyncio.Event().wait()
        return await original(request)

    service.send = held  # type: ignore[method-assign]
    asked = asyncio.ensure_future(engine.execute(GraphQLRequest(query=SIBLINGS)))
    await begun.wait()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)

    assert asked.cancelled()
    assert asyncio.all_tasks() == before
