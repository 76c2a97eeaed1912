"""The engine at its gate: what is admitted, what is refused before anything is sent, what is settled."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gateway.cost.gate import Price, Priceable
from gateway.engine import Engine
from gateway.errors import CostExceeded
from gateway.request import Answer, GraphQLRequest, PlannedQuery
from gateway.runtime.assembly import Gateway
from tests.support.cases import engine

pytestmark = pytest.mark.anyio
CUSTOMERS = "{ customersV3(first: 2) { nodes { customerAccount } } }"
DELETE = (
    'mutation { deleteCustomerGroup(key: {dataAreaId: "usmf", customerGroupId: "ZZ"})'
    " { userErrors { code } } }"
)


@dataclass
class _Gate:
    """Admits all but what is refused, and records what it sees."""

    refused: bool = False
    has_limits: bool = True
    has_sent: bool = True
    admitted: list[Priceable] = field(default_factory=list)
    settled: list[tuple[int, int, bool]] = field(default_factory=list)

    def price(self, operation: Priceable) -> Price:
        self.admitted.append(operation)
        return Price()

    async def admit(self, operation: Priceable) -> _Gate:
        self.charge(operation, self.price(operation))
        return self

    def charge(self, operation: Priceable, price: Price) -> None:
        if self.refused:
            raise CostExceeded(f"Too dear: {price.requests}, {operation}")

    def estimate(self, operation: Priceable) -> Answer:
        self.price(operation)
        return Answer(None)

    def fields(self) -> tuple[tuple[bytes, bytes], ...]:
        return ()

    def settle(self, requests: int, rows: int, answer: Answer | None) -> None:
        self.settled.append((requests, rows, answer is not None))


def gated(
    gateway: Gateway, *, refused: bool = False, timeout: float = 120.0
) -> tuple[Engine, _Gate]:
    by, gate = engine(gateway, operation_timeout=timeout), _Gate(refused)
    by.gate = gate
    return by, gate


def codes(answer: Answer) -> list[str]:
    return [error["extensions"]["code"] for error in answer.errors]


async def test_a_query_is_admitted_with_its_plan_and_settled(sandboxed: Gateway) -> None:
    by, gate = gated(sandboxed)

    answer = await by.execute(GraphQLRequest(query=CUSTOMERS))

    (admitted,) = gate.admitted
    assert isinstance(admitted, PlannedQuery)
    assert answer.errors == []
    assert gate.settled == [(1, 2, True)]


@pytest.mark.parametrize("query", [CUSTOMERS, DELETE], ids=["query", "mutation"])
async def test_a_refused_operation_sends_nothing(sandboxed: Gateway, query: str) -> None:
    by, gate = gated(sandboxed, refused=True)

    answer = await by.execute(GraphQLRequest(query=query))

    assert codes(answer) == ["COST_EXCEEDED"]
    assert (answer.requests, gate.settled, len(gate.admitted)) == ((), [], 1)


async def test_an_operation_that_fails_is_settled_too(sandboxed: Gateway) -> None:
    by, gate = gated(sandboxed, timeout=1e-6)

    answer = await by.execute(GraphQLRequest(query=CUSTOMERS))

    assert codes(answer) == ["DEADLINE_EXCEEDED"]
    assert len(gate.settled) == 1


async def test_questions_about_the_schema_pass_no_gate(sandboxed: Gateway) -> None:
    by, gate = gated(sandboxed, refused=True)

    answer = await by.execute(GraphQLRequest(query="{ __schema { queryType { name } } }"))

    assert (answer.errors, gate.admitted) == ([], [])


@pytest.mark.parametrize("query", [CUSTOMERS, DELETE], ids=["query", "mutation"])
async def test_an_operation_that_is_only_priced_is_not_run(sandboxed: Gateway, query: str) -> None:
    by, gate = gated(sandboxed, refused=True)

    answer = await by.execute(GraphQLRequest(query=query, cost="estimate"))

    assert (answer.errors, answer.requests, gate.settled) == ([], (), [])
    assert len(gate.admitted) == 1


@pytest.mark.parametrize("query", [CUSTOMERS, DELETE], ids=["query", "mutation"])
async def test_an_engine_without_gate_estimates_nothing(sandboxed: Gateway, query: str) -> None:
    by = engine(sandboxed)

    answer = await by.execute(GraphQLRequest(query=query, cost="estimate"))

    assert (codes(answer), answer.requests) == (["UNSUPPORTED_QUERY"], ())
