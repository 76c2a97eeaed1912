"""The directory under roles: what a caller may not see is null, cannot be filtered by, and is named nowhere."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.config.settings import Settings
from tests.support.app_client import Client, calling, serving
from tests.support.role_doors import ISSUER, bearer, send

pytestmark = pytest.mark.anyio
_USERS: dict[str, Any] = {"where": {"userName": {"ne": "Administrator"}}}
ROLES: dict[str, Any] = {
    "full": {"sets": {"*": {}}},
    "desk": {
        "sets": {
            "SystemUsers": {**_USERS, "deny_columns": ["Alias"], "masks": {"Email": "null"}},
            "SecurityUserRoles": {"where": {"userId": {"eq": "user01"}}},
            "SecurityRoles": {},
        }
    },
    "blind": {"sets": {"SystemUsers": {"deny_columns": ["AccountType"]}, "UserGroups": {}}},
    "keeper": {"sets": {"UserGroups": {"create": True}}},
    "sales": {"sets": {"CustomerGroups": {}}},
    "watcher": {
        "sets": {
            "CustomerGroups": {"subscribe": True},
            "UserGroups": {"create": True, "deny_columns": ["name"]},
            "SecurityRoles": {"subscribe": True, "deny_columns": ["Description"]},
        }
    },
}
QUERY = """
{
  directory {
    users(first: 3) {
      totalCount
      nodes { userId username name employeeId emails { value } roles { name } groups { name } department { name } }
    }
  }
}
"""


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    settings = Settings.model_validate(
        {"language": None, "roles": ROLES, "inbound": {"issuers": [ISSUER]}}
    )
    async with serving(settings) as (app, events), calling(app, events) as client:
        yield client


async def test_hidden_columns_rows_and_sets_are_null_or_absent(client: Client) -> None:
    full = (await send(client, QUERY, "full")).json()["data"]["directory"]["users"]
    desk = (await send(client, QUERY, "desk")).json()["data"]["directory"]["users"]

    assert full["totalCount"] == desk["totalCount"] + 1
    first = desk["nodes"][0]
    assert first["userId"] == "user01"
    assert (first["username"], first["employeeId"], first["groups"]) == (None, None, None)
    assert (first["emails"], first["department"]) == ([], None)
    assert [len(user["roles"]) for user in desk["nodes"]] == [2, 0, 0]
    assert first["name"] == full["nodes"][1]["name"]


@pytest.mark.parametrize(
    ("role", "selection", "message"),
    [
        ("desk", 'users(where: { username: { eq: "x" } }) { totalCount }', "username"),
        ("desk", "users(orderBy: [{ username: ASC }]) { totalCount }", "username"),
        ("desk", "groups { totalCount }", "groups"),
        ("blind", "users { totalCount }", "users"),
    ],
)
async def test_what_is_hidden_cannot_be_asked_for(
    role: str, selection: str, message: str, client: Client
) -> None:
    answer = (await send(client, f"{{ directory {{ {selection} }} }}", role)).json()

    assert f'"{message}"' in answer["errors"][0]["message"].replace("'", '"')


async def test_introspection_tells_what_a_role_lacks_and_no_more(client: Client) -> None:
    query = '{ __type(name: "UnifiedUser") { fields { name description } } }'
    fields = (await send(client, query, "desk")).json()["data"]["__type"]["fields"]
    texts = {field["name"]: field["description"] for field in fields}

    lacking = "Not available here: the environment lacks it, or your roles do not show it."
    assert lacking in texts["username"]
    assert "Alias" not in json.dumps(texts)
    assert "sources" in texts
    assert "Not available here" not in texts["userId"]
    answer = await send(client, "{ __schema { types { name } } }", "sales")
    assert "Unified" not in json.dumps(answer.json())


async def test_writes_need_the_right_of_the_set(client: Client) -> None:
    query = 'mutation { createUnifiedGroup(input: { groupId: "X" }) { created } }'
    refused = (await send(client, query, "full")).json()
    done = (await send(client, query.replace('"X"', '"X", name: "X"'), "keeper")).json()

    assert "mutation" in refused["errors"][0]["message"]
    assert done["data"]["createUnifiedGroup"]["created"]


@pytest.mark.parametrize(
    ("role", "row", "status", "text"),
    [
        ("full", {"groupId": "X1", "name": "X"}, 403, "cannot be written by create"),
        ("sales", {"groupId": "X1", "name": "X"}, 404, "There is no list called directory.groups"),
        ("watcher", {"groupId": "X1", "name": "X"}, 200, "have no field name that can be written"),
        ("keeper", {"groupId": "X1", "name": "X"}, 200, '"created"'),
    ],
)
async def test_imports_need_the_right_of_the_set(
    role: str, row: dict[str, str], status: int, text: str, client: Client
) -> None:
    headers = {**bearer(role), "content-type": "application/x-ndjson"}
    body = json.dumps(row).encode()
    answer = await client.http.post("/import/directory.groups", content=body, headers=headers)

    assert (answer.status_code, text in answer.text) == (status, True), answer.text
    assert "UserGroups" not in answer.text


@pytest.mark.parametrize(
    ("role", "arguments", "text"),
    [
        ("watcher", 'set: "directory.groups"', "there is no list called directory.groups"),
        ("watcher", 'set: "directory.users"', "there is no list called directory.users"),
        ("watcher", 'set: "directory.roles", where: { description: { eq: "x" } }', "description"),
    ],
)
async def test_watching_needs_the_right_of_the_set(
    role: str, arguments: str, text: str, client: Client
) -> None:
    query = f"subscription {{ entityChanged({arguments}) {{ id object {{ __typename }} }} }}"
    headers = {**bearer(role), "accept": "text/event-stream"}
    answer = await client.http.post("/graphql", json={"query": query}, headers=headers)

    assert text in answer.text
    assert "UserGroups" not in answer.text


async def test_the_directory_is_absent_without_its_sets(client: Client) -> None:
    answer = (await send(client, "{ directory { __typename } }", "sales")).json()

    assert "directory" in answer["errors"][0]["message"]
    answer = (await send(client, "{ directory { groups { totalCount } } }", "blind")).json()
    assert answer["data"]["directory"]["groups"]["totalCount"] >= 4
