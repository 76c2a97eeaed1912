"""The engine at its gate: what is admitted, what is refused before anything is sent, what is settled."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gateway.cost.gate import Price, Priceable
from gateway.errors import BudgetExceeded
from gateway.request import Answer, GraphQLRequest, PlannedQuery
from gateway.runtime.assembly import Gateway
from tests.support.cases import engine

pytestmark = pytest.mark.anyio
CUSTOMERS = "{ customersV3(first: 2) { nodes { customerAccount } } }"


@dataclass
class _Gate:
    """Admits all but what is refused, and records what it sees."""

    refused: bool = False
    admitted: list[Priceable] = field(default_factory=list)
    settled: list[tuple[int, int, bool]] = field(default_factory=list)

    def price(self, operation: Priceable) -> Price:
        self.admitted.append(operation)
        return Price()

    async def admit(self, operation: Priceable) -> _Gate:
        self.price(operation)
        if self.refused:
            raise BudgetExceeded("Too dear.")
        return self

    def settle(self, requests: int, rows: int, answer: Answer | None) -> None:
        self.settled.append((requests, rows, answer is not None))


async def test_a_query_is_admitted_with_its_plan_and_settled(sandboxed: Gateway) -> None:
    by, gate = engine(sandboxed), _Gate()
    by.gate = gate

    answer = await by.execute(GraphQLRequest(query=CUSTOMERS))

    (admitted,) = gate.admitted
    assert isinstance(admitted, PlannedQuery)
    assert answer.errors == []
    assert gate.settled == [(1, 2, True)]


async def test_a_refused_query_sends_nothing(sandboxed: Gateway) -> None:
    by, gate = engine(sandboxed), _Gate(refused=True)
    by.gate = gate

    answer = await by.execute(GraphQLRequest(query=CUSTOMERS))

    assert [error["extensions"]["code"] for error in answer.errors] == ["BUDGET_EXCEEDED"]
    assert (answer.requests, gate.settled) == ((), [])


async def test_an_operation_that_fails_is_settled_too(sandboxed: Gateway) -> None:
    by, gate = engine(sandboxed, operation_timeout=1e-6), _Gate()
    by.gate = gate

    await by.execute(GraphQLRequest(query=CUSTOMERS))

    assert len(gate.settled) == 1


async def test_questions_about_the_schema_pass_no_gate(sandboxed: Gateway) -> None:
    by, gate = engine(sandboxed), _Gate(refused=True)
    by.gate = gate

    answer = await by.execute(GraphQLRequest(query="{ __schema { queryType { name } } }"))

    assert (answer.errors, gate.admitted) == ([], [])


async def test_a_refused_mutation_writes_nothing(sandboxed: Gateway) -> None:
    by, gate = engine(sandboxed), _Gate(refused=True)
    by.gate = gate

    answer = await by.execute(
        GraphQLRequest(
            query='mutation { deleteCustomerGroup(key: {dataAreaId: "usmf", customerGroupId: "ZZ"})'
            " { userErrors { code } } }"
        )
    )

    assert [error["extensions"]["code"] for error in answer.errors] == ["BUDGET_EXCEEDED"]
    assert (answer.requests, gate.settled) == ((), [])
    assert len(gate.admitted) == 1
