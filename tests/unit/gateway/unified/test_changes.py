"""Changes of unified lists: those of their rows, in the words of the model; and objects by their ids."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.explain.explain import explain
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.sandbox.app import create_sandbox
from tests.support.followed import Follower, followed

pytestmark = pytest.mark.anyio
VENDORS: dict[str, Any] = {
    "set": "accounting.vendors",
    "node": "node: object",
    "row": "... on UnifiedVendor { number name status paymentTerms { days } }",
}
GROUPS: dict[str, Any] = {
    "set": "directory.groups",
    "node": "node: object",
    "row": "... on UnifiedGroup { groupId name }",
    "companies": None,
}


@pytest.fixture(scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    async with followed(create_sandbox(), changes={"sweep_interval": 0.0}) as gateway:
        yield gateway


async def run(gateway: Gateway, query: str, **variables: Any) -> dict[str, Any]:
    request = GraphQLRequest(query=query, variables=variables, companies=("usmf",))
    answer = (await gateway.engine.execute(request)).to_builtins()
    assert "errors" not in answer, answer
    return dict(answer["data"])


async def test_a_filtered_list_comes_whole_and_then_what_changes(gateway: Gateway) -> None:
    client = Follower(gateway, **VENDORS, where={"status": {"eq": "ACTIVE"}}, first=40)
    await client.catch_up()
    whole = list(client.rows.values())
    numbers = "{ accounting { vendors(where: { status: { eq: ACTIVE } }) { totalCount } } }"
    assert len(whole) == (await run(gateway, numbers))["accounting"]["vendors"]["totalCount"]
    assert {row["status"] for row in whole} == {"ACTIVE"}

    create = 'createUnifiedVendor(input: { number: "ZZ-1", name: "Zoo", group: "10", paymentTerm: "Net30" })'
    await run(gateway, f"mutation {{ {create} {{ created }} }}")
    answer = await client.take()

    assert [row["node"] for row in answer["upserts"]] == [
        {"number": "ZZ-1", "name": "Zoo", "status": "ACTIVE", "paymentTerms": {"days": 30}}
    ]
    assert answer["source"] == "TWIN"
    # The stamps, the row, the object, and what it is joined with.
    assert len(client.requests) == 4


async def test_deleted_objects_are_told_where_rows_are_swept(gateway: Gateway) -> None:
    client = Follower(gateway, **GROUPS)
    await client.catch_up()
    create = 'createUnifiedGroup(input: { groupId: "ZZ", name: "Zoo" })'
    made = await run(gateway, f"mutation {{ {create} {{ group {{ id }} }} }}")
    id_ = made["createUnifiedGroup"]["group"]["id"]
    created = await client.take()
    await run(gateway, "mutation($id: ID!) { deleteUnifiedGroup(id: $id) { etag } }", id=id_)

    answer = await client.take()

    assert [(r["kind"], r["node"]) for r in created["upserts"]] == [
        ("CREATED", {"groupId": "ZZ", "name": "Zoo"})
    ]
    assert answer["deletes"] == [{"id": id_, "reason": "DELETED"}]


async def test_conditions_of_the_mapping_hold(gateway: Gateway) -> None:
    """Groups of Active Directory are in the set, and no users."""
    group = 'createSystemUser(input: { userID: "Group", accountType: AD_GROUP }) { created userErrors { message } }'
    made = await run(gateway, f"mutation {{ {group} }}")
    assert made["createSystemUser"]["created"], made
    row = "... on UnifiedUser { userId }"
    client = Follower(gateway, "directory.users", row, node="node: object", companies=None)
    await client.catch_up()

    data = await run(gateway, "{ directory { users { totalCount } } systemUsers { totalCount } }")
    assert len(client.rows) == data["directory"]["users"]["totalCount"]
    assert len(client.rows) < data["systemUsers"]["totalCount"]


async def test_rows_and_objects_stand_beside_each_other(gateway: Gateway) -> None:
    fields = """upserts { node { ... on VendorV3 { vendorAccountNumber } } object { __typename ... on UnifiedVendor
      { number } ... on UnifiedCustomer { name } ... on UnifiedObject { sources { field } } } }"""
    both = f'{{ a: changes(set: "accounting.vendors", first: 1) {{ {fields} }}'
    data = await run(gateway, f'{both} b: changes(set: "VendorsV3", first: 1) {{ {fields} }} }}')

    (row,), (raw,) = data["a"]["upserts"], data["b"]["upserts"]
    number = row["node"]["vendorAccountNumber"]
    assert {"field": "number"} in row["object"].pop("sources")
    assert row["object"] == {"__typename": "UnifiedVendor", "number": number}
    assert raw == {"node": row["node"], "object": None}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"set": "accounting.nothing"}, "BAD_ARGUMENT"),
        ({"set": "accounting.vendor"}, "BAD_ARGUMENT"),
        ({"where": {"status": {"eq": "HAPPY"}}}, "BAD_ARGUMENT"),
        ({"where": {"onHoldStatus": {"eq": "NO"}}}, "BAD_ARGUMENT"),
        ({"where": [1]}, "BAD_ARGUMENT"),
        ({"first": 0}, "BAD_ARGUMENT"),
    ],
)
async def test_what_cannot_be_followed_is_refused(
    arguments: dict[str, Any], code: str, gateway: Gateway
) -> None:
    client = Follower(gateway, **{**VENDORS, **arguments})
    await client.ask()

    assert client.code() == code


async def test_explain_tells_what_an_answer_reads(gateway: Gateway) -> None:
    query = '{ changes(set: "accounting.vendors", since: "now", companies: ["usmf"]) { cursor } }'

    (step,) = (await explain(gateway, GraphQLRequest(query=query))).steps

    assert step.how == "vendorsV3, by sysModifiedDateTime of vendTableBiEntities"
    assert step.notes[-1] == "unified objects are then read by id"


@pytest.mark.parametrize("compiled", [True, False])
async def test_objects_are_read_by_their_ids(compiled: bool, gateway: Gateway) -> None:
    data = await run(gateway, "{ accounting { vendors(first: 3) { nodes { id number } } } }")
    nodes = data["accounting"]["vendors"]["nodes"]
    # What the compiled functions do not answer is completed by graphql-core.
    more = "" if compiled else ' x: __type(name: "Nothing") { name }'
    query = f"query($ids: [ID!]!) {{ accounting {{ vendorsById(ids: $ids) {{ number }} }}{more} }}"
    ids = [nodes[2]["id"], "nothing", nodes[0]["id"]]

    answer = await gateway.engine.execute(GraphQLRequest(query=query, variables={"ids": ids}))

    body = answer.to_builtins()
    expected = [{"number": nodes[2]["number"]}, None, {"number": nodes[0]["number"]}]
    assert body["data"]["accounting"]["vendorsById"] == expected
    assert [e["path"] for e in body["errors"]] == [["accounting", "vendorsById", 1]]
    assert len(answer.requests) == 1
