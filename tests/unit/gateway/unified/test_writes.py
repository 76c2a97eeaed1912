"""Mutations of unified types: rows are written in the words of the mapping, with what raw mutations have."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.sandbox.app import create_sandbox
from schema.types.build import build_schema
from schema.types.resolvers import NEVER_EXECUTED
from schema.unified.load import product_models
from schema.why.reads import reasons
from tests.support.observers import raise_bugs

pytestmark = pytest.mark.anyio
CREATE = """
mutation($input: ShopOrder) {
  createUnifiedShopOrder(input: $input) {
    shopOrder { id number title shipping raw { salesOrderName } lines { item quantity unit } }
    created
    etag
    userErrors { code field path }
  }
}
""".replace("ShopOrder)", "UnifiedShopOrderCreateInput!)", 1)
UPDATE = """
mutation($id: ID!, $patch: UnifiedShopOrderPatch!, $etag: String) {
  updateUnifiedShopOrder(id: $id, patch: $patch, ifMatch: $etag) {
    shopOrder { reference shipping }
    userErrors { code field conflicts { field current sent } }
  }
}
"""
LINES = [{"item": "D0001", "quantity": "2", "unit": "PIECE"}]


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    folder = tmp_path_factory.mktemp("unified")
    shutil.copy(Path(__file__).parent / "orders.toml", folder)
    settings = Settings.model_validate(
        {"cache_dir": None, "language": "none", "unified": {"folder": str(folder)}}
    )
    transport = httpx.ASGITransport(create_sandbox())
    async with open_gateway(settings, transport=transport, observe=raise_bugs) as gateway:
        yield gateway


async def run(shop: Gateway, query: str, **variables: Any) -> Answer:
    request = GraphQLRequest(query=query, variables=variables, companies=("usmf",))
    return await shop.engine.execute(request)


async def mutate(shop: Gateway, query: str, **variables: Any) -> dict[str, Any]:
    answer = (await run(shop, query, **variables)).to_builtins()
    assert "errors" not in answer
    (payload,) = answer["data"].values()
    return dict(payload)


async def customer(shop: Gateway) -> str:
    query = "{ customersV3(first: 1) { nodes { customerAccount } } }"
    body = (await run(shop, query)).to_builtins()
    return str(body["data"]["customersV3"]["nodes"][0]["customerAccount"])


async def order(shop: Gateway, **values: Any) -> dict[str, Any]:
    start = {"customer": await customer(shop), "currency": "USD"}
    return await mutate(shop, CREATE, input={**start, **values})


async def test_an_order_is_created_with_its_lines(shop: Gateway) -> None:
    payload = await order(shop, shipping="2026-12-24", lines=LINES)

    own = payload["shopOrder"]
    assert payload["userErrors"] == []
    assert payload["created"]
    assert payload["etag"]
    # The mapping sets the name in every new row.
    assert (own["title"], own["raw"]["salesOrderName"]) == ("Shop", "Shop")
    assert own["shipping"] == "2026-12-24"
    assert [(line["item"], line["unit"]) for line in own["lines"]] == [("D0001", "PIECE")]


async def test_a_natural_key_creates_an_order_once(shop: Gateway) -> None:
    first = await order(shop, reference="WEB-1", lines=LINES)
    again = await order(shop, reference="WEB-1", lines=LINES)

    assert (first["created"], again["created"]) == (True, False)
    assert first["shopOrder"]["number"] == again["shopOrder"]["number"]


async def test_unique_by_names_fields_of_the_type(shop: Gateway) -> None:
    query = CREATE.replace("input: $input", 'input: $input, uniqueBy: ["reference", "customer"]')
    values = {"customer": await customer(shop), "currency": "USD", "reference": "WEB-2"}

    payloads = [await mutate(shop, query, input=values) for _ in range(2)]

    assert [payload["created"] for payload in payloads] == [True, False]
    wrong = query.replace('"customer"', '"lines"')
    answer = await run(shop, wrong, input=values)
    assert answer.errors[0]["message"] == "uniqueBy: lines is no plain field of the input."


async def test_errors_name_fields_of_the_type(shop: Gateway) -> None:
    refused = await order(shop, customer="nobody")
    lines = await order(shop, lines=[*LINES, {"item": "nothing", "quantity": "1"}])

    assert refused["shopOrder"] is None
    assert [(e["field"], e["path"]) for e in refused["userErrors"]] == [
        ("customer", ["input", "customer"])
    ]
    assert {tuple(e["path"]) for e in lines["userErrors"]} == {("input", "lines", "1", "item")}


async def test_an_order_is_changed_if_it_is_as_expected(shop: Gateway) -> None:
    made = await order(shop, reference="WEB-3")
    place = {"id": made["shopOrder"]["id"], "etag": made["etag"]}

    changed = await mutate(shop, UPDATE, patch={"reference": "A", "shipping": None}, **place)
    late = await mutate(shop, UPDATE, patch={"reference": "B"}, **place)

    assert changed == {"shopOrder": {"reference": "A", "shipping": None}, "userErrors": []}
    (error,) = late["userErrors"]
    assert error["code"] == "CONFLICT"
    assert error["conflicts"] == [{"field": "reference", "current": "A", "sent": "B"}]


async def test_an_id_of_another_type_is_refused(shop: Gateway) -> None:
    query = "{ directory { users(first: 1) { nodes { id } } } }"
    (user,) = (await run(shop, query)).to_builtins()["data"]["directory"]["users"]["nodes"]

    answer = await run(shop, UPDATE, id=user["id"], patch={"reference": "A"})

    assert answer.errors[0]["extensions"]["code"] == "INVALID_ID"


async def test_a_value_that_stands_for_nothing_is_refused(shop: Gateway) -> None:
    query = "{ directory { users(first: 1) { nodes { id } } } }"
    (user,) = (await run(shop, query)).to_builtins()["data"]["directory"]["users"]["nodes"]
    zone = 'mutation($id: ID!) { updateUnifiedUser(id: $id, patch: { timeZone: "Mars" }) { etag } }'

    answer = await run(shop, zone, id=user["id"])

    assert answer.errors[0]["message"] == "timeZone: there is no value Mars."
    assert answer.errors[0]["extensions"]["code"] == "BAD_ARGUMENT"


def test_inputs_have_what_the_row_takes(shop: Gateway) -> None:
    types = shop.schema.core.type_map
    create = types["UnifiedShopOrderCreateInput"].fields  # type: ignore[attr-defined]
    patch = types["UnifiedShopOrderPatch"].fields  # type: ignore[attr-defined]

    assert set(create) == {
        *("company", "customer", "reference", "title", "currency", "shipping", "lines")
    }
    assert str(create["customer"].type) == "String!"
    assert str(create["lines"].type) == "[UnifiedShopLineNestedInput!]"
    # The key cannot be changed, and lines have mutations of their own.
    assert set(patch) == {"customer", "reference", "title", "currency", "shipping"}


def test_without_writes_there_are_no_mutations(assembled: Gateway) -> None:
    schema = build_schema(assembled.catalog, NEVER_EXECUTED, unified=product_models())

    assert [n for n in schema.unified.entries if n.endswith(("Input", "Patch", "Payload"))] == []


def test_why_explains_the_mutations(shop: Gateway) -> None:
    schema = shop.schema
    details = reasons(shop.catalog, "createUnifiedShopOrder", schema.writes, unified=schema.unified)

    assert any("SalesOrderHeadersV2" in text for _, text in details.details)


@pytest.mark.parametrize(
    ("name", "heading", "text"),
    [
        ("deleteUnifiedShopOrder", "not offered", "(writes.delete of ShopOrder)"),
        ("upsertUnifiedOrders", "not offered", "(writes.upsert of ShopOrder)"),
        ("createUnifiedInvoice", "not offered", "(writes.create of Invoice): posting makes it"),
        ("createUnifiedUser", "not offered", "(writes.create of User): users are imported from Entra ID"),
        ("upsertUnifiedFreeTextInvoiceLine", "type", "UnifiedFreeTextInvoiceLinePayload"),
        ("UnifiedShopOrderPatch.number", "not written", "the mapping leaves it out (writes.without)"),
        ("UnifiedUserPatch.language", "not written", "its text is converted, which cannot be undone"),
        ("UnifiedUserPatch.hireDate", "not written", "Workers.OriginalHireDateTime is in a related row"),
        ("UnifiedUserPatch", "not written", "name: the first of several columns that has a value counts"),
        ("UnifiedUserPatch.status", "values", "ACTIVE → True, INACTIVE → False"),
        ("UnifiedVendorPaymentPatch.amount", "written to", "VendorPaymentJournalLines.DebitAmount"),
        ("UnifiedVendorPaymentPatch.amount", "amounts below zero to", "VendorPaymentJournalLines.CreditAmount"),
        ("UnifiedVendorUpdateInput.patch", "argument", "patch: UnifiedVendorPatch!"),
    ],
)  # fmt: skip
def test_why_tells_what_is_not_written(name: str, heading: str, text: str, shop: Gateway) -> None:
    schema = shop.schema
    details = reasons(shop.catalog, name, schema.writes, unified=schema.unified).details

    assert any(own == heading and text in line for own, line in details)
