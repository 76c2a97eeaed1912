"""Filters by what a related row decides that the service cannot filter through: its key is looked up first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.explain.explain import explain
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.sandbox.app import create_sandbox
from schema.why.reads import reasons
from tests.support.followed import followed

pytestmark = pytest.mark.anyio
ACCOUNTS = [
    ("999001", "PROFIT_AND_LOSS", "SGA"),
    ("999002", "PROFIT_AND_LOSS", "SALES"),
    ("999003", "BALANCE_SHEET", "CASH"),
    ("999004", "BALANCE_SHEET", ""),
    ("999005", "EXPENSE", "CASH"),
]
QUERY = """query($where: UnifiedAccountWhere!) {
  accounting { accounts(where: { and: [{ number: { startsWith: "99900" } }, $where] }) { nodes { number } } } }"""


@pytest.fixture(scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    async with followed(create_sandbox()) as gateway:
        for number, kind, category in ACCOUNTS:
            values = (
                f'chartOfAccounts: "Shared", mainAccountId: "{number}", name: "x",'
                f' mainAccountType: {kind}, mainAccountCategory: "{category}"'
            )
            mutation = f"mutation {{ createMainAccount(input: {{ {values} }}) {{ created userErrors {{ message }} }} }}"
            made = await run(gateway, mutation)
            assert made.to_builtins()["data"]["createMainAccount"]["created"], made
        yield gateway


async def run(gateway: Gateway, query: str, **variables: Any) -> Answer:
    return await gateway.engine.execute(GraphQLRequest(query=query, variables=variables))


@pytest.mark.parametrize(
    ("where", "ends"),
    [
        ({"classification": {"eq": "EXPENSE"}}, "15"),
        ({"classification": {"in": ["EXPENSE", "REVENUE"]}}, "125"),
        ({"classification": {"ne": "EXPENSE"}}, "234"),
        ({"classification": {"nin": ["ASSET", "EXPENSE"]}}, "24"),
        ({"classification": {"eq": "EQUITY"}}, ""),
        ({"classification": {"in": []}}, ""),
        ({"not": {"classification": {"eq": "ASSET"}}}, "1245"),
        ({"or": [{"classification": {"eq": "ASSET"}}, {"number": {"eq": "999004"}}]}, "34"),
    ],
)
async def test_the_category_decides_where_the_type_does_not(
    where: dict[str, Any], ends: str, gateway: Gateway
) -> None:
    answer = await run(gateway, QUERY, where=where)

    nodes = answer.to_builtins()["data"]["accounting"]["accounts"]["nodes"]
    assert [node["number"][-1] for node in nodes] == list(ends)
    sets = [request.url.partition("?")[0] for request in answer.requests]
    # What no operand stands for needs no category, and no row can match.
    assert sets in (["MainAccountCategories", "MainAccounts"], [])


async def test_equal_filters_are_looked_up_once(gateway: Gateway) -> None:
    query = """{ accounting { a: accounts(where: { classification: { eq: ASSET } }) { totalCount }
      b: accounts(first: 1, where: { classification: { eq: ASSET } }) { nodes { number } } } }"""

    answer = await run(gateway, query)

    looked_up = [r for r in answer.requests if r.url.startswith("MainAccountCategories")]
    assert len(looked_up) == 1


async def test_explain_and_estimates_tell_of_look_ups(gateway: Gateway) -> None:
    where = {"classification": {"eq": "ASSET"}}
    request = GraphQLRequest(query=QUERY, variables={"where": where})

    explanation = await explain(gateway, request)

    first, second = explanation.steps
    assert (
        first.how
        == "looked up first: mainAccountCategory of the rows whose mainAccountType is ASSET"
    )
    assert "{mainAccountCategories.mainAccountCategory}" in explanation.requests[0].text
    assert second.field == "accounting.accounts"
    assert explanation.cost is not None
    assert explanation.cost.requests == 2
    name = "UnifiedAccount.classification"
    why = reasons(gateway.catalog, name, unified=gateway.schema.unified).details
    assert (
        "where",
        "mainAccountType of the rows, else mainAccountType of mainAccountCategories, which are looked up first",
    ) in why


async def test_a_look_up_that_fails_is_the_error_of_the_operation(gateway: Gateway) -> None:
    """A null among the operands is refused before anything is sent."""
    answer = await run(gateway, QUERY, where={"classification": {"eq": None}})

    assert answer.errors[0]["extensions"]["code"] == "BAD_ARGUMENT"
    assert answer.requests == ()


async def test_changes_cannot_be_followed_by_it(gateway: Gateway) -> None:
    query = '{ changes(set: "accounting.accounts", where: { classification: { eq: ASSET } }) { cursor } }'

    answer = await run(gateway, query)

    assert answer.errors[0]["extensions"]["code"] == "UNSUPPORTED_QUERY"
