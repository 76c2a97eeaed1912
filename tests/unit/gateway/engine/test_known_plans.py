"""``gateway.engine.known_plans``: an operation that comes again is planned once, if its plan would be the same."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.admission.work import Lane
from gateway.engine import Engine
from gateway.engine.known_plans import LONGEST
from gateway.identity.caller import Caller
from gateway.planning.plan import BoundRoot, ListRoot, ReadPlan
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from tests.bench.workload import Service, engine_over

LIST = """query List($first: Int, $where: OrderWhere) {
  orders(first: $first, where: $where) { nodes { orderNumber total } } }"""
KEY = '{ order(dataAreaId: "usmf", orderNumber: "SO-000001") { orderName } }'
TO_ONE = "{ orders { nodes { orderNumber customer { name } } } }"
LISTS = "{ orders { nodes { orderNumber lines(first: 2) { nodes { itemNumber } } } } }"
USER = Caller(kind="token", subject="ann", user={"company": "demf"})


@pytest.fixture(scope="module")
def engine() -> Engine:
    return engine_over(Service())


def roots(engine: Engine, query: str = LIST, **fields: Any) -> tuple[BoundRoot, ...]:
    return engine.plan(engine.read(GraphQLRequest(query=query, **fields))).roots


def variables(**values: Any) -> dict[str, Any]:
    return {"variables": values}


@pytest.mark.parametrize(
    ("one", "other", "is_known"),
    [
        ({}, {}, True),
        (variables(first=5), variables(first=5), True),
        (variables(first=5), variables(first=6), False),
        (variables(first=1), {}, False),
        (variables(where={"priority": {"eq": 1}}), variables(where={"priority": {"eq": 1}}), True),
        (variables(where={"priority": {"eq": 1}}), variables(where={"priority": {"ne": 1}}), False),
        (variables(where={"total": {"eq": "1"}}), variables(where={"total": {"eq": 1}}), False),
        ({"companies": ("usmf",)}, {"companies": ("usmf",)}, True),
        ({"companies": ("usmf",)}, {"companies": ("demf",)}, False),
        ({"max_page": 10}, {}, False),
        ({"caller": USER}, {"caller": USER}, True),
        ({"caller": USER}, {}, False),
        ({"query": KEY}, {"query": KEY}, True),
        ({"query": TO_ONE}, {"query": TO_ONE}, True),
        ({"query": LISTS}, {"query": LISTS}, True),
        ({"query": LIST, "operation_name": "List"}, {"query": LIST}, False),
    ],
)
def test_equal_operations_of_equal_callers_share_a_plan(
    engine: Engine, one: dict[str, Any], other: dict[str, Any], is_known: bool
) -> None:
    first, second = roots(engine, **one), roots(engine, **other)

    assert (first is second) == is_known
    assert (first == second) >= is_known


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("{ orders(first: -1) { nodes { orderNumber } } }", {}),
        (LIST, variables(first=Lane.AGENT)),
        (LIST, variables(where={"orderName": {"eq": "x" * LONGEST}})),
    ],
    ids=["a failure", "values that no JSON has", "long values"],
)
def test_other_plans_are_made_each_time(engine: Engine, query: str, fields: dict[str, Any]) -> None:
    assert roots(engine, query, **fields) is not roots(engine, query, **fields)


def test_a_plan_is_made_anew_when_lists_prove_to_be_long() -> None:
    engine = engine_over(Service())

    def plan() -> ReadPlan:
        (root,) = roots(engine, LISTS)
        assert isinstance(root, ListRoot)
        return root.plan

    before = plan()
    before.children[0].child.lengths.are_too_long()
    after = plan()

    assert [before.children[0].own_pages, after.children[0].own_pages] == [False, True]
    assert plan() is after


@pytest.mark.anyio
async def test_a_known_plan_sends_what_a_new_one_sends() -> None:
    engine = engine_over(Service())
    request = GraphQLRequest(
        query="{ orders(first: 3) { nodes { orderNumber total } } }", trace=True
    )

    first, second = [await engine.execute(request) for _ in range(2)]
    kept = roots(engine, request.query)[0].plan.derived  # type: ignore[union-attr] # a list

    assert kept.request is not None
    assert second.requests == first.requests == (kept.request,)
    assert second.to_builtins()["data"] == first.to_builtins()["data"]


def test_a_document_is_read_again_by_the_name_in_the_request(engine: Engine) -> None:
    query = "query A { orders { nodes { total } } } query B { orders { nodes { version } } }"

    names = [
        engine.read(GraphQLRequest(query=query, operation_name=name)).name
        for name in ("A", "B", "A", "B")
    ]

    assert names == ["A", "B", "A", "B"]


@pytest.mark.parametrize(
    ("query", "lasts"),
    [
        ("{ accounting { vendors(first: 2) { nodes { number name } } } }", True),
        ("query($id: ID!) { accounting { vendor(id: $id) { number } } }", False),
        ("{ accounting { taxRates(first: 2) { nodes { code } } } }", True),
        ("{ accounting { taxRates(first: 2) { nodes { code rates } } } }", False),
    ],
    ids=["unified", "a bad id", "without a date", "rates of today"],
)
@pytest.mark.anyio
async def test_unified_plans_last_unless_they_hold_a_date(
    sandboxed: Gateway, query: str, lasts: bool
) -> None:
    fields = variables(id="x") if "$id" in query else {}
    one, other = (roots(sandboxed.engine, query, **fields) for _ in range(2))

    assert (one is other) == lasts
