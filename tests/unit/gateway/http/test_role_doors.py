"""What callers with roles see at each address: their own view of the API, or nothing of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from starlette.applications import Starlette

from gateway.events import Event
from gateway.http.graphql_endpoint import GRAPHQL
from tests.support.app_client import Client, calling, serving
from tests.support.issuer import token
from tests.support.role_doors import (
    ORIGIN,
    ROLES,
    bearer,
    root_fields,
    send,
    settings,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[tuple[Starlette, list[Event]]]:
    async with serving(settings()) as app:
        yield app


@pytest.fixture
async def client(served: tuple[Starlette, list[Event]]) -> AsyncIterator[Client]:
    async with calling(*served) as client:
        yield client


async def test_introspection_shows_what_the_roles_grant(client: Client) -> None:
    shared = {"node", "nodes", "_service", "_entities", "accounting"}
    viewer = {"customersV3", "customerV3", "customerGroups", "customerGroup"}
    viewer |= {"customersV3Aggregate", "customerGroupsAggregate"}
    vendors = {"vendorsV2", "vendorV2", "vendorsV2Aggregate"}

    assert await root_fields(client, "viewer") == viewer | shared
    vendors.add("changes")
    assert await root_fields(client, "clerk") == viewer | shared | vendors
    assert await root_fields(client, "clerk", path="/graphql/ap") == shared | vendors


async def test_a_hidden_column_is_as_unknown_by_its_upstream_name(client: Client) -> None:
    query = '{ customersV3(first: 1) { nodes { customFields(names: ["CreditLimit", "NoSuch", "NameAlias"]) } } }'

    (hidden,) = (await send(client, query, "viewer")).json()["data"]["customersV3"]["nodes"]

    assert hidden["customFields"].pop("NameAlias") is not None
    assert hidden["customFields"] == {"CreditLimit": None, "NoSuch": None}


async def test_rows_of_granted_sets_are_read(client: Client) -> None:
    query = "{ customersV3(first: 2) { nodes { customerAccount } } }"

    data = (await send(client, query, "viewer")).json()["data"]

    assert len(data["customersV3"]["nodes"]) == 2


@pytest.mark.parametrize(
    ("query", "like"),
    [
        ("{ vendorsV2 { nodes { id } } }", "{ vendorsVX { nodes { id } } }"),
        ("{ customersV3 { nodes { creditLimit } } }", "{ customersV3 { nodes { creditLimix } } }"),
        (
            "{ node(id: 1) { ... on VendorV2 { id } } }",
            "{ node(id: 1) { ... on VendorVX { id } } }",
        ),
        (
            "{ customersV3(where: { creditLimit: { gt: 1 } }) { nodes { id } } }",
            "{ customersV3(where: { creditLimix: { gt: 1 } }) { nodes { id } } }",
        ),
        (
            "mutation { deleteVendorV2(key: {}) { etag } }",
            "mutation { deleteVendorVX(key: {}) { etag } }",
        ),
    ],
)
async def test_what_is_hidden_is_as_unknown_as_what_is_not_there(
    client: Client, query: str, like: str
) -> None:
    hidden, unknown = await send(client, query, "viewer"), await send(client, like, "viewer")

    names = {"creditLimix": "creditLimit", "VendorVX": "VendorV2", "vendorsVX": "vendorsV2"}
    text = unknown.text
    for wrong, name in names.items():
        text = text.replace(wrong, name)
    assert (hidden.status_code, hidden.text) == (unknown.status_code, text)


async def test_mutations_follow_rights(client: Client) -> None:
    query = "{ __schema { mutationType { fields { name } } subscriptionType { name } } }"

    clerk = (await send(client, query, "clerk")).json()["data"]["__schema"]
    viewer = (await send(client, query, "viewer")).json()["data"]["__schema"]

    assert {f["name"] for f in clerk["mutationType"]["fields"]} == {
        "createVendorV2",
        "createVendorsV2",
        "createUnifiedVendor",
        "createUnifiedVendors",
    }
    assert clerk["subscriptionType"] == {"name": "Subscription"}
    assert viewer == {"mutationType": None, "subscriptionType": None}


@pytest.mark.parametrize("set_name", ["CustomersV3", "customersV3", "Nothing"])
async def test_subscriptions_need_the_right_of_the_set(client: Client, set_name: str) -> None:
    query = f'subscription {{ entityChanged(set: "{set_name}") {{ kind }} }}'

    response = await send(client, query, "clerk", accept="text/event-stream")

    assert f"set: there is no list called {set_name}." in response.text


@pytest.mark.parametrize(("roles", "names"), [(("viewer",), False), (("clerk",), True)])
async def test_the_subgraph_has_the_types_of_the_roles(
    client: Client, roles: tuple[str, ...], names: bool
) -> None:
    sdl = (await send(client, "{ _service { sdl } }", *roles)).json()["data"]["_service"]["sdl"]

    assert ("VendorV2" in sdl) is names
    assert ("CSDL: `CreditLimit`" in sdl) is names  # vendors have one, too


@pytest.mark.parametrize(("roles", "found"), [(("viewer",), False), (("clerk",), True)])
async def test_search_and_slices_are_of_the_view(
    client: Client, roles: tuple[str, ...], found: bool
) -> None:
    fields = bearer(*roles)
    hits = await client.http.get("/graphql/search?q=VendorsV2", headers=fields)
    names = await client.http.get("/graphql/search?q=vendors&in=query", headers=fields)
    credit = await client.http.get("/graphql/search?q=creditLimit", headers=fields)

    assert ("VendorsV2" in hits.text) is found
    assert ("vendorsV2" in names.text) is found
    assert bool(credit.json()["hits"]) is found  # vendors have one, too


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/graphql", "POST"),
        ("/graphql", "GET"),
        ("/graphql/all", "POST"),
        ("/graphql/explain", "POST"),
        ("/graphql/search?q=a", "GET"),
        ("/graphql/slice?query=a", "GET"),
    ],
)
@pytest.mark.parametrize("roles", [("stranger",), (), ("empty",)])
async def test_without_a_role_that_grants_anything_there_is_nothing(
    client: Client, path: str, method: str, roles: tuple[str, ...]
) -> None:
    body = json.dumps({"query": "{ __typename }"}) if method == "POST" else None
    params = {"query": "{ __typename }"} if method == "GET" and "?" not in path else None
    headers = {"accept": GRAPHQL, "content-type": "application/json", **bearer(*roles)}

    response = await client.http.request(method, path, content=body, params=params, headers=headers)

    assert response.status_code == 403
    (error,) = response.json()["errors"]
    assert error["message"] == "None of your roles grants anything here."
    assert error["extensions"]["code"] == "FORBIDDEN"


async def test_a_stranger_gets_the_requested_media_type(client: Client) -> None:
    response = await send(client, "{ __typename }", "stranger", accept="application/json")

    assert response.status_code == 403
    assert response.headers["content-type"].startswith("application/json")


PATHS = ["", "/explain", "/search?q=a", "/slice?query=a"]


@pytest.mark.parametrize("below", PATHS)
@pytest.mark.parametrize("roles", [("viewer",), (), ("stranger",)])
async def test_a_bound_profile_does_not_exist_for_others(
    client: Client, below: str, roles: tuple[str, ...]
) -> None:
    answers = []
    for profile in ("ap", "xx"):
        method = "POST" if below in ("", "/explain") else "GET"
        headers = {"accept": GRAPHQL, **bearer(*roles)}
        path = f"/graphql/{profile}{below}"
        body = {"json": {"query": "{ __typename }"}} if method == "POST" else {}
        response = await client.http.request(method, path, headers=headers, **body)  # type: ignore[arg-type]
        answers.append((response.status_code, response.headers.get("content-type"), response.text))

    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert "/graphql/ap" not in answers[0][2]


BELOW = ["/graphql", *(f"/graphql{path}" for path in PATHS), "/graphiql", "/graphiql/config.json"]
ADDRESSES = [
    p.replace("ql", "ql/ap", 1) for p in (*BELOW, *(f"{p.partition('?')[0]}/" for p in BELOW))
]
MANNERS: list[dict[str, str]] = [
    {},
    {"accept": "text/html"},
    {"accept": "image/png"},
    {"origin": ORIGIN},
    {"origin": ORIGIN, "access-control-request-method": "POST"},
    {"sec-fetch-site": "cross-site"},
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PUT"])
@pytest.mark.parametrize("roles", [("viewer",), ()])
async def test_nothing_tells_a_bound_profile_from_none(
    client: Client, method: str, roles: tuple[str, ...]
) -> None:
    for address in ADDRESSES:
        for manner in MANNERS:
            answers = []
            for name in ("ap", "xx"):
                response = await client.http.request(
                    method,
                    address.replace("/ap", f"/{name}"),
                    headers={"X-Request-Id": "one", **bearer(*roles), **manner},
                    json={"query": "{ __typename }"} if method == "POST" else None,
                )
                fields = sorted(response.headers.items())
                text = f"{response.status_code} {fields} {response.text}"
                answers.append(text.replace(f"/{name}", "/ap").replace(f'"{name}"', '"ap"'))
            assert answers[0] == answers[1], (address, manner)


ADMIN = {"authorization": "Bearer 0123456789abcdef"}


@pytest.mark.parametrize(
    ("method", "address", "fields", "statuses"),
    [
        ("POST", "/graphql/ap/explain", ADMIN, (200, 404)),
        ("POST", "/graphql/ap/explain", {}, (404, 404)),
        ("POST", "/graphql/ap/explain", bearer("viewer"), (404, 404)),
        ("GET", "/graphiql/ap", {}, (401, 401)),
        ("GET", "/graphiql/ap/config.json", {}, (401, 401)),
    ],
)
async def test_what_is_for_administrators_tells_nobody_else_of_profiles(
    method: str, address: str, fields: dict[str, str], statuses: tuple[int, int]
) -> None:
    limited = settings(explain="admin", graphiql="admin", admin_token="0123456789abcdef")
    body = {"query": "{ __typename }"} if method == "POST" else None
    async with serving(limited) as app, calling(*app) as client:
        answers = [
            await client.http.request(
                method, address.replace("/ap", name), headers=fields, json=body
            )
            for name in ("/ap", "/xx")
        ]

    assert tuple(answer.status_code for answer in answers) == statuses


async def test_strangers_are_not_told_of_bound_profiles(client: Client) -> None:
    ready = await client.http.get("/readyz")

    assert list(ready.json()["profiles"]) == ["all"]


@pytest.mark.parametrize("page", ["/graphiql/ap", "/graphiql/ap/config.json"])
async def test_the_page_of_a_bound_profile_is_hidden(client: Client, page: str) -> None:
    hidden = await client.http.get(page, headers=bearer("viewer"))
    unknown = await client.http.get(page.replace("ap", "xx"), headers=bearer("viewer"))
    shown = await client.http.get(page, headers=bearer("clerk"))

    assert (hidden.status_code, hidden.text) == (unknown.status_code, unknown.text)
    assert shown.status_code == 200


async def test_an_etag_is_of_one_view(client: Client) -> None:
    query = "{ __schema { types { name fields { name } } } }"
    etag = (await send(client, query, "clerk")).headers["etag"]
    condition = {"if-none-match": etag}

    statuses = [
        (await send(client, query, *roles, **condition)).status_code
        for roles in (("clerk",), ("viewer",), ("stranger",))
    ]
    cached = await client.http.get(
        "/graphql", params={"query": query}, headers={"accept": GRAPHQL, **bearer("viewer")}
    )

    assert statuses == [304, 200, 403]
    assert cached.headers["cache-control"] == "private, no-cache"
    assert "Authorization" in cached.headers["vary"]


async def test_introspection_is_a_right(client: Client) -> None:
    answer = (await send(client, "{ __schema { queryType { name } } }", "silent")).json()
    search = await client.http.get("/graphql/search?q=a", headers=bearer("silent"))
    typo = (await send(client, "{ vendorsV { nodes { id } } }", "silent")).json()

    assert answer["errors"][0]["extensions"]["code"] == "INTROSPECTION_DISABLED"
    assert search.status_code == 403
    assert "Did you mean" not in typo["errors"][0]["message"]


async def test_graphiql_is_a_right(client: Client) -> None:
    silent = await client.http.get("/graphiql/config.json", headers=bearer("silent"))
    viewer = await client.http.get("/graphiql/config.json", headers=bearer("viewer"))
    anonymous = await client.http.get("/graphiql/config.json")

    assert silent.status_code == 403
    assert viewer.json()["examples"]
    assert all("vendor" not in e["query"] for e in viewer.json()["examples"])
    assert (anonymous.status_code, anonymous.json()["examples"]) == (200, [])
    assert [api["page"] for api in viewer.json()["apis"]] == ["/graphiql", "/graphiql/all"]


@pytest.mark.parametrize(("role", "status"), [("viewer", 200), ("silent", 200)])
async def test_explain_is_a_right_in_the_sandbox_by_default(
    client: Client, role: str, status: int
) -> None:
    query = "{ __typename }"

    assert (await send(client, query, role, path="/graphql/explain")).status_code == status


async def test_explain_and_traces_need_the_right() -> None:
    roles = {"r": {"sets": {"CustomerGroups": {}}, "explain": False}}
    query = "{ customerGroups(first: 1) { nodes { id } } }"
    async with serving(settings(roles=roles, profiles={})) as app, calling(*app) as client:
        explained = await send(client, query, "r", path="/graphql/explain")
        traced = await send(client, query, "r", **{"X-D365-Trace": "true"})
        page = await client.http.get("/graphiql/config.json", headers=bearer("r"))

    assert explained.status_code == 403
    assert "extensions" not in traced.json()
    assert page.json()["explain"] is False


async def test_limits_of_roles_lower_those_of_the_settings(client: Client) -> None:
    query = "{ customersV3(first: 3) { nodes { id } } }"

    answer = (await send(client, query, "viewer")).json()

    assert answer["errors"][0]["extensions"]["code"] == "PAGE_LIMIT_EXCEEDED"
    assert "errors" not in (await send(client, "{ customersV3 { nodes { id } } }", "viewer")).json()


async def test_anonymous_callers_have_the_role_anonymous() -> None:
    roles = {**ROLES, "anonymous": {"sets": {"CustomerGroups": {}}}}
    async with serving(settings(roles=roles)) as app, calling(*app) as client:
        assert "customerGroups" in await root_fields(client)
        assert (await send(client, "{ __typename }", "stranger")).status_code == 403


async def test_row_rules_and_masks_are_part_of_the_views() -> None:
    rights = {
        "where": {"customerGroupId": {"eq": "$claims.group"}},
        "masks": {"OrganizationName": "last4"},
    }
    roles = {"seller": {"sets": {"CustomersV3": rights}}, "all": {"sets": {"CustomersV3": {}}}}
    query = (
        "{ customersV3(first: 900) { totalCount nodes { id customerGroupId organizationName } } }"
    )
    async with serving(settings(roles=roles, profiles={})) as app, calling(*app) as client:
        whole = (await send(client, query, "all")).json()["data"]["customersV3"]["nodes"]
        groups = {row["customerGroupId"] for row in whole}
        group = min(groups)
        headers = {"authorization": f"Bearer {token('k1', roles=['seller'], group=group)}"}
        seen = (await send(client, query, **headers)).json()["data"]["customersV3"]["nodes"]
        hidden = next(row["id"] for row in whole if row["customerGroupId"] != group)
        node = await send(client, f'{{ node(id: "{hidden}") {{ id }} }}', **headers)
        without = (await send(client, query, "seller")).json()["data"]["customersV3"]

    assert len(groups) > 1
    assert {row["customerGroupId"] for row in seen} == {group}
    assert {row["id"] for row in seen} == {r["id"] for r in whole if r["customerGroupId"] == group}
    names = {row["id"]: row["organizationName"] for row in whole}
    assert all(row["organizationName"] != names[row["id"]] for row in seen)
    assert node.json() == {"data": {"node": None}}
    assert without == {"totalCount": 0, "nodes": []}


async def test_without_roles_there_are_no_views() -> None:
    async with serving(settings(roles={}, profiles={})) as (app, events):
        assert app.state.role_views is None
        async with calling(app, events) as client:
            assert "vendorsV2" in await root_fields(client, "anything")


async def dialogue(app: Starlette, path: str, *roles: str) -> list[Mapping[str, Any]]:
    """What a WebSocket client gets that sends ``connection_init`` and waits."""
    init = {"type": "connection_init", "payload": bearer(*roles)}
    coming: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
    coming.put_nowait({"type": "websocket.connect"})
    coming.put_nowait({"type": "websocket.receive", "text": json.dumps(init)})
    sent: list[Mapping[str, Any]] = []

    async def take(message: Mapping[str, Any]) -> None:
        sent.append(message)
        if "connection_ack" in str(message.get("text")):
            coming.put_nowait({"type": "websocket.disconnect", "code": 1000})

    scope = {
        "type": "websocket",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "subprotocols": ["graphql-transport-ws"],
    }
    async with asyncio.timeout(60):
        await app(scope, coming.get, take)  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize("roles", [("viewer",), ("stranger",), ()])
async def test_sockets_of_a_bound_profile_are_closed_as_of_no_profile(
    served: tuple[Starlette, list[Event]], roles: tuple[str, ...]
) -> None:
    app, _ = served

    hidden = await dialogue(app, "/graphql/ap", *roles)
    unknown = await dialogue(app, "/graphql/xx", *roles)
    shown = await dialogue(app, "/graphql/ap", "clerk")

    assert hidden == unknown
    assert (hidden[-1]["code"], hidden[-1]["reason"]) == (4403, "There is no such profile.")
    assert "connection_ack" in shown[-1]["text"]


async def test_sockets_need_a_role(served: tuple[Starlette, list[Event]]) -> None:
    closed = (await dialogue(served[0], "/graphql", "stranger"))[-1]

    assert (closed["code"], closed["reason"]) == (4403, "None of your roles grants anything here.")
