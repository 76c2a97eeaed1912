"""Company scope over operations, accounts that see less, paging while rows come and go, and hand-written fields."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import strawberry
from graphql import GraphQLError
from starlette.applications import Starlette

from gateway.config.settings import Settings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_client
from gateway.sandbox import SandboxSettings, create_sandbox
from schema.types.build import build_schema
from tests.support.cases import builtins_of, engine, requests_of

pytestmark = pytest.mark.anyio


async def ask(gateway: Gateway, query: str, **settings: Any) -> dict[str, Any]:
    companies = settings.pop("header", None)
    variables = settings.pop("variables", {})
    request = GraphQLRequest(query=query, variables=variables, companies=companies)
    return builtins_of(await engine(gateway, **settings).execute(request))


@pytest.fixture(scope="module")
def restricted_sandbox() -> Starlette:
    return create_sandbox(SandboxSettings(scale=0.1, accessible_companies=("usmf", "dat")))


@pytest.fixture
async def restricted(assembled: Gateway, restricted_sandbox: Starlette) -> AsyncIterator[Gateway]:
    """A gateway whose account sees two of the companies."""
    transport = httpx.ASGITransport(restricted_sandbox)
    async with open_client(Settings(), transport=transport, observe=lambda _: None) as client:
        yield replace(assembled, client=client)


# --- accounts -------------------------------------------------------------------------------------


async def test_a_company_the_account_may_not_see_is_empty(restricted: Gateway):
    query = """{
      hidden: customersV3(companies: ["demf"]) { totalCount nodes { customerAccount } }
      key: customerV3(dataAreaId: "demf", customerAccount: "DE-001") { customerAccount }
      seen: customersV3(first: 1, companies: ["usmf"]) { nodes { dataAreaId } }
    }"""

    assert await ask(restricted, query) == {
        "data": {
            "hidden": {"totalCount": 0, "nodes": []},
            "key": None,
            "seen": {"nodes": [{"dataAreaId": "usmf"}]},
        }
    }


async def test_without_a_scope_every_company_of_the_account_is_read(restricted: Gateway):
    answer = await ask(restricted, "{ customersV3(first: 1000) { nodes { dataAreaId } } }")

    assert {row["dataAreaId"] for row in answer["data"]["customersV3"]["nodes"]} == {"usmf", "dat"}


# --- scope ----------------------------------------------------------------------------------------


async def test_rows_below_stay_in_the_company_of_their_parents(sandboxed: Gateway):
    query = """{
      salesOrderHeadersV2(first: 60, orderBy: [{ salesOrderNumber: ASC }]) {
        nodes { dataAreaId
          salesOrderLines(first: 3) { nodes { dataAreaId releasedProduct { dataAreaId } } }
          customer { dataAreaId customerGroup { dataAreaId } } }
      }
    }"""
    orders = (await ask(sandboxed, query))["data"]["salesOrderHeadersV2"]["nodes"]

    assert len({row["dataAreaId"] for row in orders}) > 1
    for row in orders:
        lines = row["salesOrderLines"]["nodes"]
        below = [row["customer"], row["customer"]["customerGroup"], *lines]
        below += [line["releasedProduct"] for line in lines]
        assert {b["dataAreaId"] for b in below} == {row["dataAreaId"]}


@pytest.mark.parametrize("expand", ["auto", "never"])
async def test_the_scope_holds_below_rows_without_a_company(sandboxed: Gateway, expand: str):
    query = """{ productsV2(first: 20) { nodes {
      releasedProducts { totalCount nodes { dataAreaId salesUnitSymbol productV2 {
        releasedProducts { nodes { dataAreaId } } } } } } } }"""
    answer = await ask(sandboxed, query, header=("usmf", "dat"), expand=expand)

    seen = set()
    for product in answer["data"]["productsV2"]["nodes"]:
        for released in product["releasedProducts"]["nodes"]:
            seen.add(released["dataAreaId"])
            again = released["productV2"]["releasedProducts"]["nodes"]
            seen |= {row["dataAreaId"] for row in again}
    assert seen == {"usmf", "dat"}


async def test_two_scopes_in_one_operation_do_not_mix(sandboxed: Gateway):
    query = """{
      a: customersV3(first: 3, companies: ["usmf"]) { nodes { dataAreaId customerGroup { dataAreaId } } }
      b: customersV3(first: 3, companies: ["demf"]) { nodes { dataAreaId customerGroup { dataAreaId } } }
      c: unitsOfMeasure(first: 5) { nodes { releasedProductsV2 { nodes { dataAreaId } } } }
    }"""
    data = (await ask(sandboxed, query, header=("dat",)))["data"]

    for name, company in (("a", "usmf"), ("b", "demf")):
        rows = data[name]["nodes"]
        assert {r["dataAreaId"] for r in rows} == {company}
        assert {r["customerGroup"]["dataAreaId"] for r in rows} == {company}
    units = [r for unit in data["c"]["nodes"] for r in unit["releasedProductsV2"]["nodes"]]
    assert {r["dataAreaId"] for r in units} <= {"dat"}


async def test_one_document_serves_every_scope(sandboxed: Gateway):
    """Prepared documents are kept; the scope of one request must not stay in them."""
    query = "{ customersV3(first: 1) { nodes { dataAreaId } } }"
    kept = engine(sandboxed)
    seen = []
    for companies in (("usmf",), ("demf",), None, ("dat",)):
        answer = await kept.execute(GraphQLRequest(query=query, companies=companies))
        seen.append(answer.to_builtins()["data"]["customersV3"]["nodes"][0]["dataAreaId"])

    assert seen == ["usmf", "demf", "dat", "dat"]


# --- paging while rows come and go ----------------------------------------------------------------

PAGE = """query ($after: String, $before: String, $first: Int, $last: Int) {
  customersV3(first: $first, last: $last, after: $after, before: $before, companies: ["usmf"],
      where: { customerAccount: { startsWith: "PG-" } }, orderBy: [{ ORDER }]) {
    nodes { customerAccount }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""


def account(number: int, group: str) -> dict[str, Any]:
    return {"dataAreaId": "usmf", "CustomerAccount": f"PG-{number:03d}", "CustomerGroupId": group}


@pytest.fixture
def paged_rows(sandbox: Starlette):
    store = sandbox.state.store
    store.insert("CustomersV3", [account(n, "10") for n in range(10, 70, 10)])
    yield store
    for n in range(100):
        store.delete("CustomersV3", CustomerAccount=f"PG-{n:03d}")


@pytest.mark.parametrize("order", ["customerAccount: ASC", "customerGroupId: DESC"])
async def test_pages_are_stable_while_rows_come_and_go(
    sandboxed: Gateway, paged_rows: Any, order: str
):
    query, seen, after = PAGE.replace("ORDER", order), [], None
    for number in range(3):
        variables = {"first": 2, "after": after}
        page = (await ask(sandboxed, query, variables=variables))["data"]["customersV3"]
        seen += [row["customerAccount"] for row in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        # A row before what was read, and the very row of the cursor taken away.
        paged_rows.insert("CustomersV3", [account(number + 1, "10")])
        paged_rows.delete("CustomersV3", CustomerAccount=seen[-1])

    assert seen == [f"PG-0{n}0" for n in range(1, 7)]
    assert not page["pageInfo"]["hasNextPage"]


async def test_backward_pages_are_stable_too(sandboxed: Gateway, paged_rows: Any):
    query, before = PAGE.replace("ORDER", "customerGroupId: DESC"), None
    seen: list[str] = []
    for number in range(3):
        variables = {"last": 2, "before": before}
        page = (await ask(sandboxed, query, variables=variables))["data"]["customersV3"]
        seen = [row["customerAccount"] for row in page["nodes"]] + seen
        before = page["pageInfo"]["startCursor"]
        paged_rows.insert("CustomersV3", [account(90 + number, "10")])

    assert seen == [f"PG-0{n}0" for n in range(1, 7)]
    assert not page["pageInfo"]["hasPreviousPage"]


# --- fields by hand -------------------------------------------------------------------------------


@strawberry.type
class Quote:
    text: str

    @strawberry.field
    def shouted(self) -> str:
        return self.text.upper()


@strawberry.type
class Extra:
    @strawberry.field
    async def quote(self, text: str = "hi", times: int = 1) -> list[Quote]:
        return [Quote(text=text)] * times

    @strawberry.field
    def refused(self) -> str | None:
        raise GraphQLError("Not today.", extensions={"code": "CLOSED"})

    @strawberry.field
    def refused_plainly(self) -> str | None:
        raise GraphQLError("Not today.")

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError("a secret")


@pytest.fixture(scope="module")
def extended(assembled: Gateway) -> Any:
    return build_schema(assembled.catalog, LoadedResolvers(assembled.catalog), extra_query=Extra)


async def test_a_field_by_hand_stands_beside_generated_ones(sandboxed: Gateway, extended: Any):
    query = """query ($t: String = "hey", $n: Int!) {
      quote(text: $t, times: $n) { text ...Loud }
      currencies(first: 1) { nodes { __typename currencyCode } }
      purchaseOrderHeadersV2(first: 1) { nodes { vendorV2 { vendorAccountNumber } } }
    }
    fragment Loud on Quote { shouted }"""
    request = GraphQLRequest(query=query, variables={"n": 2})
    answer = await engine(sandboxed, schema=extended).execute(request)

    assert answer.to_builtins() == {
        "data": {
            "quote": [{"text": "hey", "shouted": "HEY"}] * 2,
            "currencies": {"nodes": [{"__typename": "Currency", "currencyCode": "CHF"}]},
            "purchaseOrderHeadersV2": {"nodes": [{"vendorV2": {"vendorAccountNumber": "DAT-R&D"}}]},
        }
    }
    assert len(requests_of(answer)) == 2


async def test_a_field_by_hand_alone_sends_nothing(sandboxed: Gateway, extended: Any):
    answer = await engine(sandboxed, schema=extended).execute(
        GraphQLRequest(query="{ quote { text } }")
    )

    assert answer.to_builtins() == {"data": {"quote": [{"text": "hi"}]}}
    assert answer.requests == ()


@pytest.mark.parametrize(
    ("field", "message", "extensions"),
    [
        ("refused", "Not today.", {"code": "CLOSED"}),
        ("refusedPlainly", "Not today.", {}),
    ],
)
async def test_errors_of_a_field_by_hand_are_its_own(
    sandboxed: Gateway, extended: Any, field: str, message: str, extensions: dict[str, str]
):
    query = f"{{ {field} currencies(first: 1) {{ nodes {{ currencyCode }} }} }}"
    answer = await engine(sandboxed, schema=extended).execute(GraphQLRequest(query=query))
    found = builtins_of(answer)

    assert found["data"] == {field: None, "currencies": {"nodes": [{"currencyCode": "CHF"}]}}
    (error,) = found["errors"]
    assert (error["message"], error["path"]) == (message, [field])
    assert error.get("extensions", {}) == extensions
