"""``company_limit`` for sets whose company stands in a property of another name, which need not be part of the key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.config.settings import Settings
from gateway.engine import Engine
from gateway.odata.query import Compare, Literal, Operator, Path
from gateway.planning.company_limit import CompanyLimit
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.runtime.execution_limits import execution_settings
from gateway.sandbox import SandboxSettings, create_sandbox
from gateway.sandbox.faults import FaultRule
from gateway.sandbox.settings import Fault
from tests.support.cases import engine
from tests.support.observers import raise_bugs

pytestmark = pytest.mark.anyio
ERRORS = "userErrors { code field }"


@pytest.fixture(scope="module")
def own_sandbox() -> Starlette:
    return create_sandbox(SandboxSettings(scale=0.1))


@pytest.fixture
async def gateway(own_sandbox: Starlette) -> AsyncIterator[Gateway]:
    transport = httpx.ASGITransport(own_sandbox)
    settings = Settings(cache_dir=None, language="none")
    async with open_gateway(settings, transport=transport, observe=lambda _: None) as opened:
        yield opened


async def ask(found: Engine, query: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await found.execute(GraphQLRequest(query=query))).to_builtins()
    return answer


def by_symbol(gateway: Gateway) -> Engine:
    """An engine for which the "company" of a currency stands in a property that is no part of its key."""
    dialect = replace(gateway.dialect, company_columns={"Currencies": ("Symbol",)})
    limits = execution_settings(Settings(company_limit=("$",)))
    return Engine(gateway.schema, gateway.client, dialect, limits, raise_bugs)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('updateCurrency(key: {currencyCode: "EUR"}, patch: {name: "x"})', "NOT_FOUND"),
        ('updateCurrency(key: {currencyCode: "USD"}, patch: {symbol: "€"})', "FORBIDDEN"),
        ('deleteCurrency(key: {currencyCode: "EUR"})', "NOT_FOUND"),
        ('createCurrency(input: {currencyCode: "ZZ1", symbol: "€", name: "x"})', "FORBIDDEN"),
        # The service might fill in a company of its own.
        ('createCurrency(input: {currencyCode: "ZZ1", name: "x"})', "FORBIDDEN"),
        ('createCurrency(input: {currencyCode: "ZZ1", symbol: "", name: "x"})', None),
        ('upsertCurrency(input: {currencyCode: "EUR", symbol: "€", name: "x"})', "FORBIDDEN"),
    ],
)
async def test_a_row_is_read_first_if_its_key_has_no_company(
    gateway: Gateway, own_sandbox: Starlette, text: str, code: str | None
) -> None:
    store = own_sandbox.state.store
    before = store.rows("Currencies")

    answer = await ask(by_symbol(gateway), f"mutation {{ done: {text} {{ {ERRORS} }} }}")

    codes = [e["code"] for e in answer["data"]["done"]["userErrors"]]
    if code is None:  # a row that names no company is shared data
        assert codes == []
        await ask(
            engine(gateway),
            'mutation { deleteCurrency(key: {currencyCode: "ZZ1"}) { __typename } }',
        )
    else:
        assert codes == [code]
    assert store.rows("Currencies") == before


CONFLICT = FaultRule(
    at="before", path="*/Currencies*", method="POST", answer=Fault(kind="answer", status=409)
)


async def test_a_conflict_with_a_row_outside_tells_nothing_of_it(
    gateway: Gateway, own_sandbox: Starlette
) -> None:
    """What is no row inside is created; the service may then say that the key is taken."""
    own_sandbox.state.faults.add(CONFLICT)
    text = 'upsertCurrency(input: {currencyCode: "EUR", symbol: "$", name: "x"})'
    asked = "currency { name } userErrors { code conflicts { field current } }"
    try:
        answer = await ask(by_symbol(gateway), f"mutation {{ done: {text} {{ {asked} }} }}")
    finally:
        own_sandbox.state.faults.clear()

    assert answer["data"]["done"] == {
        "currency": None,
        "userErrors": [{"code": "CONFLICT", "conflicts": []}],
    }


async def test_rows_with_another_company_column_are_limited_everywhere(
    gateway: Gateway,
) -> None:
    query = """{
      currencies(first: 50) { totalCount nodes { symbol } }
      inside: currency(currencyCode: "USD") { symbol }
      outside: currency(currencyCode: "EUR") { symbol }
    }"""

    data = (await ask(by_symbol(gateway), query))["data"]

    assert {row["symbol"] for row in data["currencies"]["nodes"]} <= {"$", ""}
    assert data["currencies"]["totalCount"] == len(data["currencies"]["nodes"])
    assert (data["inside"], data["outside"]) == ({"symbol": "$"}, None)


def test_a_set_with_one_of_two_company_columns_is_limited_by_it(
    assembled: Gateway,
) -> None:
    """Versions of a product differ; a set that the table names is never taken for shared data as a whole."""
    columns = {"Currencies": ("Symbol", "NoLongerThere")}
    dialect = replace(assembled.dialect, company_columns=columns)
    limit = CompanyLimit(assembled.catalog, dialect, ("$",), shared=False)

    info = assembled.catalog.object(assembled.catalog.model.entity_sets["Currencies"].type)
    assert limit.predicate(info, "Currencies") == Compare(
        Path(("Symbol",)), Operator.EQ, Literal("$", "Edm.String")
    )
    assert limit.counts().by_other == 1
