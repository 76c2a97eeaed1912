"""A customer's own mapping file, end to end: read, filtered, written, exported, followed, explained."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.settings import Settings
from tests.support.app_client import Client, calling, serving

pytestmark = pytest.mark.anyio
FOLDER = Path(__file__).parent / "contoso"


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    settings = Settings.model_validate({"language": None, "unified": {"folder": str(FOLDER)}})
    async with serving(settings) as (app, events), calling(app, events) as client:
        yield client


async def ask(client: Client, query: str, **variables: Any) -> dict[str, Any]:
    body = {"query": query, "variables": variables}
    headers = {"x-d365-company": "usmf"}
    answer = (await client.http.post("/graphql", json=body, headers=headers)).json()
    assert "errors" not in answer, answer
    return dict(answer["data"])


async def test_added_fields_are_filtered_and_show_their_sources(client: Client) -> None:
    data = await ask(
        client,
        """{ accounting {
          gold: customers(where: { tier: { eq: GOLD } }) { totalCount nodes { tier alias paymentTerm } }
          all: customers { totalCount nodes { sources { field columns } } }
        } }""",
    )

    books = data["accounting"]
    assert 0 < books["gold"]["totalCount"] < books["all"]["totalCount"]
    assert {(n["tier"], n["paymentTerm"]) for n in books["gold"]["nodes"]} == {("GOLD", "Net10")}
    sources = {s["field"]: s["columns"] for s in books["all"]["nodes"][0]["sources"]}
    assert sources["alias"] == ["CustomersV3.NameAlias"]
    assert "searchName" not in sources


async def test_what_is_added_can_be_written(client: Client) -> None:
    create = """mutation { createUnifiedCustomerGroup(input: { code: "ZZ", name: "Zoo" }) {
      customerGroup { id code customers { totalCount } } userErrors { message } } }"""
    made = (await ask(client, create))["createUnifiedCustomerGroup"]
    customer = """mutation { createUnifiedCustomer(input: {
        number: "ZZ-1", group: "ZZ", currency: "USD", alias: "Z", tier: GOLD
      }) { customer { alias tier paymentTerm } userErrors { message } } }"""
    written = (await ask(client, customer))["createUnifiedCustomer"]

    assert made["customerGroup"]["code"] == "ZZ"
    assert written["customer"] == {"alias": "Z", "tier": "GOLD", "paymentTerm": "Net10"}
    groups = """{ accounting { customerGroups(where: { code: { eq: "ZZ" } }) {
      nodes { customers(first: 5) { nodes { number } } } } } }"""
    (group,) = (await ask(client, groups))["accounting"]["customerGroups"]["nodes"]
    assert group["customers"]["nodes"] == [{"number": "ZZ-1"}]


async def test_lists_that_are_added_are_exported_and_followed(client: Client) -> None:
    response = await client.http.get(
        "/export/accounting.customerGroups?companies=usmf&fields=code,name"
    )
    follow = """{ changes(set: "accounting.customerGroups", companies: ["usmf"], first: 1) {
      upserts { object { ... on UnifiedCustomerGroup { code } } } } }"""
    (row,) = (await ask(client, follow))["changes"]["upserts"]

    codes = [json.loads(line)["code"] for line in response.text.splitlines()]
    assert row["object"]["code"] in codes


async def test_the_description_names_both_versions(client: Client) -> None:
    query = """{ __type(name: "UnifiedAccounting") { description } customer: __type(name: "UnifiedCustomer") {
      fields { name } } }"""
    data = await ask(client, query)

    assert data["__type"]["description"].endswith("Version 1, contoso-3.")
    names = {field["name"] for field in data["customer"]["fields"]}
    assert {"tier", "alias"} <= names
    assert "searchName" not in names
