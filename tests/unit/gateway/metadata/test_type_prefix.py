"""``type_prefix`` at run time: ids, entities, payloads and subscriptions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.config.setting_models import FederationOptions
from gateway.config.settings import Settings
from gateway.explain.explain import explain
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway

pytestmark = pytest.mark.anyio
LIST = '{ customersV3(first: 1, companies: ["usmf"]) { nodes { __typename id customerAccount } } }'
NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename ... on EuCustomerV3 { customerAccount } } }"
ENTITIES = """query ($of: [_Any!]!) {
  _entities(representations: $of) { __typename ... on EuCustomerV3 { customerAccount } }
}"""
RENAME = """mutation ($account: String!) {
  updateCustomerV3(key: { dataAreaId: "usmf", customerAccount: $account }, patch: { nameAlias: "Eu" }) {
    __typename
    customerV3 { __typename nameAlias }
  }
}"""
CHANGED = """subscription {
  entityChanged(set: "customersV3") { node { ... on EuCustomerV3 { customerAccount } } }
}"""


async def opened(**federation: Any) -> AsyncIterator[Gateway]:
    settings = Settings(
        cache_dir=None,
        language="none",
        include=("CustomersV3",),
        federation=FederationOptions(**federation),
    )
    async with open_gateway(settings, observe=lambda _: None) as gateway:
        yield gateway


@pytest.fixture(scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    async for gateway in opened(type_prefix="Eu"):
        yield gateway


@pytest.fixture(scope="module")
async def plain() -> AsyncIterator[Gateway]:
    async for gateway in opened():
        yield gateway


async def ask(gateway: Gateway, query: str, **variables: Any) -> Any:
    answer = await gateway.engine.execute(GraphQLRequest(query=query, variables=variables))
    return answer.to_builtins()


async def first(gateway: Gateway) -> dict[str, str]:
    row: dict[str, str] = (await ask(gateway, LIST))["data"]["customersV3"]["nodes"][0]
    return row


async def test_rows_are_found_by_id_and_by_representation(gateway: Gateway) -> None:
    row = await first(gateway)
    account = {"__typename": "EuCustomerV3", "customerAccount": row["customerAccount"]}
    by_key = {**account, "dataAreaId": "usmf"}
    by_id = {"__typename": "EuCustomerV3", "id": row["id"]}

    assert row["__typename"] == "EuCustomerV3"
    assert await ask(gateway, NODES, ids=[row["id"]]) == {"data": {"nodes": [account]}}
    assert await ask(gateway, ENTITIES, of=[by_key, by_id]) == {
        "data": {"_entities": [account, account]}
    }


async def test_ids_of_other_gateways_are_recognised(gateway: Gateway, plain: Gateway) -> None:
    foreign = await ask(gateway, NODES, ids=[(await first(plain))["id"]])

    assert foreign["data"] == {"nodes": [None]}
    assert foreign["errors"][0]["extensions"]["code"] == "INVALID_ID"


async def test_payload_fields_have_no_prefix(gateway: Gateway) -> None:
    done = await ask(gateway, RENAME, account=(await first(gateway))["customerAccount"])

    row = {"__typename": "EuCustomerV3", "nameAlias": "Eu"}
    assert done["data"]["updateCustomerV3"] == {
        "__typename": "EuCustomerV3Payload",
        "customerV3": row,
    }


async def test_a_subscription_reads_rows_of_such_types(gateway: Gateway) -> None:
    explanation = await explain(gateway, GraphQLRequest(query=CHANGED))

    (node,) = explanation.steps[0].below
    assert node.how.startswith("CustomersV3 by key")
