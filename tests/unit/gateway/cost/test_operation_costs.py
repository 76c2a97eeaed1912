"""The gate of an engine: limits, budgets, what is given back, what is learned and told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.cost_models import CostOptions
from gateway.config.settings import Settings
from gateway.cost.learned import USUAL
from gateway.cost.operation_costs import CostGate, Costs
from gateway.cost.price import Pricing
from gateway.engine import Engine
from gateway.events import CostRefused, CostSettled, Event
from gateway.explain.explain import explain
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.odata.query import Request
from gateway.request import Answer, CostWish, GraphQLRequest
from gateway.runtime.assembly import Gateway, open_client
from tests.support.cases import engine

pytestmark = pytest.mark.anyio
LIST = "{ customersV3(first: 5) { nodes { customerAccount } } }"
NESTED = """query ($first: Int) { customersV3(first: $first, companies: ["usmf"]) {
  nodes { customerAccount salesOrders(first: 2) { nodes { salesOrderNumber } } }
} }"""
DELETE = (
    'mutation { deleteCustomerGroup(key: {dataAreaId: "usmf", customerGroupId: "ZZ"})'
    " { userErrors { code } } }"
)
ANN, BOB = (Caller(kind="token", issuer="https://x", subject=name) for name in ("ann", "bob"))


@dataclass
class _World:
    """An engine with a gate, and a clock that stands still."""

    gateway: Gateway
    options: CostOptions = field(default_factory=CostOptions)
    now: float = 0.0
    events: list[Event] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.costs = Costs(clock=lambda: self.now)

    def engine(self) -> Engine:
        by = engine(self.gateway, **self.settings)
        length = self.settings.get("max_url_length", 2_000)
        seconds = self.costs.learned.seconds
        pricing = Pricing(dialect=by.dialect, max_url_length=length, seconds=seconds)
        by.gate = CostGate(self.costs, pricing, self.options, by.mutations, self.events.append)
        return by


async def run(
    by: Engine,
    query: str = LIST,
    caller: Caller = ANN,
    cost: CostWish | None = "include",
    **variables: Any,
) -> Answer:
    return await by.execute(
        GraphQLRequest(query=query, variables=variables, caller=caller, cost=cost)
    )


def codes(answer: Answer) -> list[str]:
    return [error["extensions"]["code"] for error in answer.errors]


async def test_the_answer_tells_estimate_and_actual_cost(sandboxed: Gateway) -> None:
    by = _World(sandboxed).engine()

    cost = (await run(by)).extensions["cost"]

    assert cost["estimated"] == {
        "points": 3.0,
        "requests": 1,
        "pages": 1,
        "rows": 5,
        "seconds": 0.3,
    }
    assert (cost["actual"]["requests"], cost["actual"]["rows"]) == (1, 5)
    assert "budget" not in cost


async def test_the_cost_is_told_on_wish_only(sandboxed: Gateway) -> None:
    answer = await run(_World(sandboxed).engine(), cost=None)

    assert b"extensions" not in answer.encode()


async def test_an_estimate_sends_nothing_and_takes_nothing(sandboxed: Gateway) -> None:
    world = _World(sandboxed, CostOptions(points_per_minute=60))

    answer = await run(world.engine(), cost="estimate")

    assert (answer.data, answer.errors, answer.requests) == (None, [], ())
    assert answer.extensions["cost"]["estimated"]["requests"] == 1
    assert answer.extensions["cost"]["budget"]["remaining"] == 60.0
    assert dict(answer.fields)[b"ratelimit"] == b'"caller";r=60;t=0'


@pytest.mark.parametrize(
    ("rows", "unique", "requests"),
    [(1, "[]", 1), (1, '"integrationKey"', 2), (60, '"integrationKey"', 2), (1, '"unknown"', 1)],
)
async def test_the_look_for_natural_keys_is_priced(
    sandboxed: Gateway, rows: int, unique: str, requests: int
) -> None:
    query = f"""mutation ($input: [LedgerJournalHeaderCreateInput!]!) {{
      createLedgerJournalHeaders(input: $input, uniqueBy: {unique}) {{ userErrors {{ code }} }} }}"""
    row = {"dataAreaId": "usmf", "journalName": "GenJrn", "integrationKey": "K"}

    answer = await run(
        _World(sandboxed).engine(), query, cost="estimate", input=[row for _ in range(rows)]
    )

    assert answer.extensions["cost"]["estimated"]["requests"] == requests


async def test_an_operation_above_the_limit_is_refused(sandboxed: Gateway) -> None:
    world = _World(sandboxed, CostOptions(max_cost=2.9))

    answer = await run(world.engine())

    assert (codes(answer), answer.requests) == (["COST_EXCEEDED"], ())
    assert "3.0 points; it may cost 2.9" in answer.errors[0]["message"]
    assert world.events == [CostRefused(code="COST_EXCEEDED", points=3.0)]


async def test_an_operation_at_the_limit_runs(sandboxed: Gateway) -> None:
    assert codes(await run(_World(sandboxed, CostOptions(max_cost=3.0)).engine())) == []


async def test_variables_are_priced_with_their_values(sandboxed: Gateway) -> None:
    by = _World(sandboxed, settings={"max_url_length": 400, "expand": "never"}).engine()

    few, many = [await run(by, NESTED, cost="estimate", first=n) for n in (1, 900)]

    requests = [answer.extensions["cost"]["estimated"]["requests"] for answer in (few, many)]
    assert requests[0] < requests[1]


async def test_callers_wait_when_their_points_are_spent(sandboxed: Gateway) -> None:
    world = _World(sandboxed, CostOptions(points_per_minute=6, burst=60))
    by = world.engine()
    world.costs.budgets.spend(ANN.log_id, 4.0, by.gate._terms, 0.0)  # type: ignore[union-attr]

    refused, other = await run(by), await run(by, caller=BOB)
    world.now += 10
    later = await run(by)

    assert (codes(refused), codes(other), codes(later)) == (["RATE_LIMITED"], [], [])
    assert refused.errors[0]["extensions"]["retryAfter"] == 10
    assert dict(refused.fields)[b"ratelimit"] == b'"caller";r=2;t=40'
    assert dict(refused.fields)[b"ratelimit-policy"] == b'"caller";q=6;w=60;qu="points"'


async def test_what_was_not_spent_is_given_back(sandboxed: Gateway) -> None:
    world = _World(sandboxed, CostOptions(points_per_minute=60))
    by = world.engine()

    # By their first estimates they would cost 75 points.
    answers = [await run(by) for _ in range(25)]

    assert [codes(answer) for answer in answers] == [[]] * 25


@pytest.mark.parametrize(("sent", "left"), [(0, 60.0), (1, 57.0), (4, 57.0)])
@pytest.mark.parametrize("is_late", [False, True], ids=["left", "late"])
async def test_who_leaves_early_pays_for_what_was_begun(
    sandboxed: Gateway, sent: int, left: float, *, is_late: bool
) -> None:
    world = _World(sandboxed, CostOptions(points_per_minute=60))
    by = world.engine()
    gate, terms = by.gate, by.gate._terms  # type: ignore[union-attr]
    late = Answer(None, [{"message": "late", "extensions": {"code": "DEADLINE_EXCEEDED"}}])
    assert gate is not None
    assert terms is not None

    ticket = await gate.admit(by.plan(by.read(GraphQLRequest(query=LIST, caller=ANN))))
    meter = ticket._meter  # type: ignore[attr-defined]
    for _ in range(sent):
        meter.add(0.01)
    ticket.settle(sent, 0, late if is_late else None)

    assert world.costs.budgets.balance(ANN.log_id, terms, 0.0).points == pytest.approx(left)
    # Another operation has joined its read, which ends now.
    meter.add(2.0)
    after = world.costs.budgets.balance(ANN.log_id, terms, 0.0).points
    assert after == pytest.approx(left - 20)


async def test_no_budget_holds_an_operation_that_is_too_dear(sandboxed: Gateway) -> None:
    world = _World(sandboxed, CostOptions(points_per_minute=2))

    assert codes(await run(world.engine())) == ["COST_EXCEEDED"]


async def test_anonymous_callers_share_a_budget(sandboxed: Gateway) -> None:
    world = _World(sandboxed, CostOptions(points_per_minute=6))
    by = world.engine()
    world.costs.budgets.spend("", 6.0, by.gate._terms, 0.0)  # type: ignore[union-attr]

    assert codes(await run(by, caller=ANONYMOUS)) == ["RATE_LIMITED"]


async def test_reads_for_many_callers_are_free(sandboxed: Gateway) -> None:
    by = _World(sandboxed, CostOptions(max_cost=0.1, points_per_minute=1)).engine()

    answer = await by.execute(GraphQLRequest(query=LIST, is_charged=False))

    assert (answer.errors, answer.fields) == ([], ())


async def test_prices_follow_what_operations_alike_have_brought(sandboxed: Gateway) -> None:
    world = _World(sandboxed, settings={"max_url_length": 1_500, "expand": "never"})
    by = world.engine()

    answers = [await run(by, NESTED, first=900) for _ in range(2)]

    told = [answer.extensions["cost"] for answer in answers]
    sent = len(answers[0].requests)
    assert told[0]["estimated"]["requests"] > 2 * sent
    assert told[1]["estimated"]["requests"] == pytest.approx(sent, rel=0.2)
    settled = [event for event in world.events if isinstance(event, CostSettled)]
    assert [event.requests for event in settled] == [sent] * 2


async def test_explaining_teaches_nothing(sandboxed: Gateway) -> None:
    by = _World(sandboxed).engine()
    request = GraphQLRequest(query=LIST)

    await explain(replace(sandboxed, engine=by), request)

    (root,) = by.plan(by.read(request)).roots
    assert root.shape.rows.of(5) == 5


async def test_mutations_are_priced_by_their_rows(sandboxed: Gateway) -> None:
    by = _World(sandboxed).engine()
    query = """mutation ($rows: [CustomerGroupCreateInput!]!) @atomic {
      createCustomerGroups(input: $rows) { results { userErrors { code } } }
    }"""
    rows = [
        {"dataAreaId": "usmf", "customerGroupId": f"Z{n}", "description": "x"} for n in range(7)
    ]

    answer = await run(by, query, cost="estimate", rows=rows)

    assert answer.errors == []
    estimated = answer.extensions["cost"]["estimated"]
    assert (estimated["requests"], estimated["seconds"]) == (1, 2.1)


@pytest.mark.parametrize("query", [LIST, DELETE], ids=["query", "mutation"])
async def test_explain_shows_the_same_estimate(sandboxed: Gateway, query: str) -> None:
    by = _World(sandboxed).engine()

    explained = await explain(replace(sandboxed, engine=by), GraphQLRequest(query=query))
    estimated = await run(by, query, cost="estimate")

    assert explained.to_json(None)["cost"] == estimated.extensions["cost"]["estimated"]


@pytest.mark.parametrize("has_rules", [False, True])
async def test_callers_with_rules_learn_nothing_of_each_other(
    sandboxed: Gateway, has_rules: bool
) -> None:
    by = _World(sandboxed).engine()
    by.reads.shows_sizes = not has_rules
    request = GraphQLRequest(query="{ customerGroups(first: 900) { nodes { customerGroupId } } }")

    await by.execute(request)

    (root,) = by.plan(by.read(request)).roots
    assert (root.shape.rows.of(900) == 900) is has_rules


CREATE_TWICE = """mutation ($rows: [CustomerGroupCreateInput!]! = [ROW, ROW, ROW]) {
  a: createCustomerGroup(input: ROW) { customerGroup { customers(PAGE) { totalCount } } }
  b: createCustomerGroups(input: $rows) { results { userErrors { code } } } }""".replace(
    "ROW", '{dataAreaId: "usmf", customerGroupId: "ZZ", description: "x"}'
)


@pytest.mark.parametrize(
    "page", ["first: -1", 'first: 1, after: "no cursor"', "first: 100000000", "first: 1"]
)
async def test_a_wrong_payload_makes_no_write_cheaper(sandboxed: Gateway, page: str) -> None:
    by = _World(sandboxed, CostOptions(max_cost=11)).engine()

    answer = await run(by, CREATE_TWICE.replace("PAGE", page))

    assert codes(answer) == ["COST_EXCEEDED"]


async def test_rows_in_the_default_of_a_variable_are_priced(sandboxed: Gateway) -> None:
    by = _World(sandboxed).engine()
    query = CREATE_TWICE.replace("PAGE", "first: -1")

    rows = [{"dataAreaId": "usmf", "customerGroupId": "ZZ", "description": "x"}]
    default = await run(by, query, cost="estimate")
    sent = await run(by, query, cost="estimate", rows=rows)

    seconds = [a.extensions["cost"]["estimated"]["seconds"] for a in (default, sent)]
    assert seconds == [1.2, 0.6]


async def test_a_wrong_payload_says_itself_what_is_wrong(sandboxed: Gateway) -> None:
    by = _World(sandboxed, CostOptions(max_cost=4)).engine()
    query = """mutation ($first: Int = 1) {
      updateCustomerGroup(key: {dataAreaId: "usmf", customerGroupId: "ZZ"}, patch: {description: "x"}) {
        customerGroup { customers(first: $first, after: "no cursor") { totalCount } }
        userErrors { code } } }"""

    answer = await run(by, query, first=None)

    assert "COST_EXCEEDED" not in codes(answer)
    assert "INTERNAL_ERROR" not in codes(answer)


async def test_what_was_learned_is_there_for_the_next_client(tmp_path: Path) -> None:
    settings = Settings(url="https://fo.example/data", auth="none", cache_dir=tmp_path)

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"value": []})

    async with open_client(settings, transport=httpx.MockTransport(answer)) as client:
        await client.send(Request("GET", "CustomersV3", {}))
    async with open_client(settings, transport=httpx.MockTransport(answer)) as client:
        costs = client.costs
        assert isinstance(costs, Costs)
        assert costs.learned.seconds("CustomersV3", "page") < USUAL["page"]


TOGETHER = """{
  a: customersV3(where: {customerGroupId: {eq: "10"}}) { nodes { customerAccount } }
  b: customersV3(where: {customerGroupId: {eq: "20"}}) { nodes { customerAccount } }
  c: customersV3(where: {customerGroupId: {eq: "30"}}) { nodes { customerAccount } } }"""
GROUPS = """mutation { createCustomerGroups(input: [
  {dataAreaId: "usmf", customerGroupId: "ZX", description: "a"}
  {dataAreaId: "usmf", customerGroupId: "ZY", description: "b"}]) { userErrors { code message } } }"""
GONE = """mutation { deleteCustomerGroups(input: [
  {key: {dataAreaId: "usmf", customerGroupId: "ZX"}}
  {key: {dataAreaId: "usmf", customerGroupId: "ZY"}}]) { userErrors { code message } } }"""


async def test_the_parts_of_a_batch_teach_their_set(sandboxed: Gateway) -> None:
    """Each its share of the batch, if all are requests of one kind to one set."""
    costs = sandboxed.client.costs
    assert isinstance(costs, Costs)
    learned = costs.learned
    for name, kind, alone in (("CustomersV3", "page", 50.0), ("CustomerGroups", "write", 50.0)):
        learned.add(name, kind, alone)  # type: ignore[arg-type]
    assert learned.seconds("CustomersV3", "part") == 50.0

    for query in (TOGETHER, GROUPS, GONE):
        answer = await engine(sandboxed).execute(GraphQLRequest(query=query))
        assert not answer.errors, answer.errors

    assert learned.seconds("CustomersV3", "part") < 10.0
    assert learned.seconds("CustomerGroups", "row") < 10.0
    # Of requests by themselves nothing was learned.
    assert learned.seconds("CustomersV3", "page") == 50.0
    assert learned.seconds("CustomerGroups", "write") == 50.0
