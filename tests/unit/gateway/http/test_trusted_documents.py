"""Trusted documents over HTTP: their names, the modes, what they may do, and that there is no way around them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.config.settings import Settings
from gateway.documents.trusted import sha256_of
from gateway.events import Event, OperationServed, RequestSent
from gateway.http.graphql_endpoint import GRAPHQL
from gateway.http.request_parameters import JSON
from gateway.manifests.store import TrustedStore
from tests.support.app_client import Client, calling, code_of, serving
from tests.support.manifests import write
from tests.support.manual_clock import until
from tests.support.role_doors import ISSUER, bearer

pytestmark = pytest.mark.anyio
ADMIN = "0123456789abcdef"
ORDERS = "query Orders($first: Int) { customersV3(first: $first) { nodes { customerAccount } } }"
RENAME = """mutation Rename { updateCustomerV3(
  key: { dataAreaId: "usmf", customerAccount: "US-007" }, patch: { nameAlias: "x" }
) { userErrors { message } } }"""
SECRET = "query Secret { vendorsV2(first: 1) { nodes { vendorAccountNumber } } }"
BROKEN = "query Broken { noSuchSet { nodes { id } } }"
OTHER = "{ customersV3(first: 2) { nodes { customerAccount } } }"
SHA = sha256_of(ORDERS)
DOCUMENTS = {"orders": ORDERS, "rename": RENAME, "secret": SECRET, "broken": BROKEN}
ROLES = {
    "app": {"sets": {"*": {"create": True, "update": True}}},
    "clerk": {"inherits": ["app"]},
    "router": {"inherits": ["app"], "documents": "prefer"},
    "phone": {"inherits": ["app"], "documents": "only"},
}


def settings(folder: Path, **documents: Any) -> Settings:
    manifest = write(folder / "manifest.json", DOCUMENTS)
    options = {
        "manifest": str(manifest),
        "policy": {"Secret": {"roles": ["clerk"]}},
        **documents,
    }
    values = {
        "language": None,
        "admin_token": ADMIN,
        "roles": ROLES,
        "profiles": {"shop": {"include": ["Cust*"]}, "open": {"documents": "prefer"}},
        "inbound": {"issuers": [ISSUER], "anonymous": True},
        "documents": options,
    }
    return Settings.model_validate(values)


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    async with serving(settings(tmp_path_factory.mktemp("prefer"))) as opened:
        yield opened


@pytest.fixture(scope="module")
async def served_only(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    async with serving(settings(tmp_path_factory.mktemp("only"), mode="only")) as opened:
        yield opened


@pytest.fixture
async def client(served: tuple[Starlette, list[Event]]) -> AsyncIterator[Client]:
    async with calling(*served) as client:
        yield client


@pytest.fixture
async def only(served_only: tuple[Starlette, list[Event]]) -> AsyncIterator[Client]:
    async with calling(*served_only) as client:
        yield client


async def send(
    client: Client,
    body: dict[str, Any],
    *roles: str,
    path: str = "/graphql",
    method: str = "POST",
    accept: str = GRAPHQL,
) -> httpx.Response:
    headers = {"accept": accept, **bearer(*(roles or ("app",)))}
    if method == "GET":
        params = {k: v if isinstance(v, str) else json.dumps(v) for k, v in body.items()}
        return await client.http.get(path, params=params, headers=headers)
    return await client.http.request(method, path, json=body, headers=headers)


def apollo(name: str) -> dict[str, Any]:
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": name}}}


def accounts(response: httpx.Response) -> int:
    return len(response.json()["data"]["customersV3"]["nodes"])


def sent(client: Client) -> int:
    return sum(isinstance(event, RequestSent) for event in client.events)


FIRST = {"variables": {"first": 1}}
NAMES: list[tuple[dict[str, Any], str]] = [
    ({"documentId": "orders"}, ""),
    ({"documentId": SHA}, ""),
    ({"documentId": f"sha256:{SHA}"}, ""),
    ({"doc_id": "orders"}, ""),
    (apollo("orders"), ""),
    (apollo(SHA), ""),
    ({}, "/documents/orders"),
    ({}, f"/documents/sha256:{SHA}"),
    ({"documentId": "orders"}, "/documents/orders"),
    ({"documentId": "orders", "query": ORDERS}, ""),
    ({"query": ORDERS}, ""),
]


@pytest.mark.parametrize("method", ["POST", "GET", "QUERY"])
@pytest.mark.parametrize("api", ["/graphql", "/graphql/shop"])
@pytest.mark.parametrize(("body", "path"), NAMES)
async def test_every_published_name_runs_the_document(
    only: Client, body: dict[str, Any], path: str, api: str, method: str
) -> None:
    response = await send(only, {**body, **FIRST}, path=f"{api}{path}", method=method)

    assert (response.status_code, accounts(response)) == (200, 1)


@pytest.mark.parametrize(
    ("body", "path", "accept", "status"),
    [
        ({"documentId": "none"}, "", GRAPHQL, 400),
        ({"documentId": "none"}, "", JSON, 200),
        (apollo("none"), "", JSON, 200),
        ({}, "/documents/none", GRAPHQL, 404),
        ({}, "/documents/none", JSON, 404),
        ({"doc_id": SHA.upper()}, "", GRAPHQL, 400),
    ],
)
async def test_an_unknown_name_costs_nothing(
    client: Client, body: dict[str, Any], path: str, accept: str, status: int
) -> None:
    response = await send(client, body, path=f"/graphql{path}", accept=accept)

    assert (response.status_code, code_of(response)) == (status, "PERSISTED_QUERY_NOT_FOUND")
    assert response.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    assert sent(client) == 0


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"documentId": "orders", "doc_id": "rename"}, ""),
        ({"documentId": "orders"}, "/documents/rename"),
        ({"documentId": "orders", **apollo("rename")}, ""),
        ({"documentId": "orders", "query": OTHER}, ""),
        ({"documentId": "none", "query": OTHER}, ""),
        ({"documentId": 5}, ""),
        ({"extensions": {"persistedQuery": {"version": 1}}}, ""),
        ({"extensions": {"persistedQuery": 5}}, ""),
        ({"query": 5}, ""),
        ({}, ""),
    ],
)
async def test_contradicting_names_are_refused(
    client: Client, body: dict[str, Any], path: str
) -> None:
    response = await send(client, body, path=f"/graphql{path}")

    assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("path", ["/graphql", "/graphql/shop", "/graphql/explain"])
@pytest.mark.parametrize("method", ["POST", "GET", "QUERY"])
@pytest.mark.parametrize(
    "query",
    [OTHER, f"{ORDERS} ", f"#\n{ORDERS}", "{ __schema { types { name } } }", "{", RENAME[1:]],
)
async def test_only_lets_no_other_document_pass(
    only: Client, query: str, method: str, path: str
) -> None:
    for body in ({"query": query}, {"query": query, **apollo(sha256_of(query))}):
        response = await send(only, body, path=path, method=method)

        assert code_of(response) == "PERSISTED_QUERY_REQUIRED"
    plain = await send(only, {"query": query}, path=path, method=method, accept=JSON)
    assert plain.status_code == 200
    assert sent(only) == 0


async def test_exports_follow_the_mode(only: Client) -> None:
    path = "/export/CustomersV3?fields=customerAccount"

    refused = await only.http.get(path, headers=bearer("app"))
    free = await only.http.get(path, headers=bearer("router"))

    assert code_of(refused) == "PERSISTED_QUERY_REQUIRED"
    assert (free.status_code, free.text[:19]) == (200, '{"customerAccount":')


async def test_imports_follow_the_mode(only: Client) -> None:
    path, media = "/import/CustomersV3?validate=true", {"content-type": "application/x-ndjson"}

    refused = await only.http.post(path, content=b"1", headers={**bearer("app"), **media})
    free = await only.http.post(path, content=b"1", headers={**bearer("router"), **media})

    assert code_of(refused) == "PERSISTED_QUERY_REQUIRED"
    assert (free.status_code, free.json()["status"]) == (200, "refused")


@pytest.mark.parametrize(
    "query",
    [
        "{ _service { sdl } }",
        "query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }",
    ],
)
async def test_routers_send_documents_by_their_role(only: Client, query: str) -> None:
    body = {"query": query, "variables": {"r": []}}

    refused = await send(only, body, "app")
    answered = await send(only, body, "router")

    assert code_of(refused) == "PERSISTED_QUERY_REQUIRED"
    assert answered.status_code == 200


async def test_the_role_decides_before_the_profile(only: Client, client: Client) -> None:
    modes = {
        (role, path): (await send(asked, {"query": OTHER}, role, path=path)).status_code
        for asked in (only,)
        for role in ("app", "router", "phone")
        for path in ("/graphql", "/graphql/open")
    }
    preferring = await send(client, {"query": OTHER}, "phone")

    assert {key for key, status in modes.items() if status == 200} == {
        ("app", "/graphql/open"),
        ("router", "/graphql"),
        ("router", "/graphql/open"),
    }
    assert code_of(preferring) == "PERSISTED_QUERY_REQUIRED"


@pytest.mark.parametrize("path", ["/graphql", "/graphql/explain"])
async def test_a_batch_is_no_way_around(only: Client, path: str) -> None:
    body: Any = [{"documentId": "orders"}, {"query": OTHER}]

    response = await send(only, body, path=path)

    assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")


async def test_search_and_slices_run_no_document(only: Client) -> None:
    for path in ("/graphql/search", "/graphql/slice"):
        params = {"q": "customers", "fields": "customersV3", "query": OTHER}
        response = await only.http.get(path, params=params, headers=bearer("app"))

        assert "US-001" not in response.text
    assert sent(only) == 0


async def test_the_administrator_may_send_others(tmp_path: Path) -> None:
    manifest = str(tmp_path / "manifest.json")
    (tmp_path / "manifest.json").write_text(json.dumps(DOCUMENTS), "utf-8")
    values = {
        "language": None,
        "admin_token": ADMIN,
        "graphiql": "admin",
        "documents": {"mode": "only", "manifest": manifest},
    }
    basic = base64.b64encode(f"me:{ADMIN}".encode()).decode()
    async with serving(Settings.model_validate(values)) as opened, calling(*opened) as client:
        for authorization, status in (
            (f"Bearer {ADMIN}", 200),
            (f"Basic {basic}", 200),
            ("Bearer fedcba9876543210", 400),
        ):
            response = await client.post({"query": OTHER}, Authorization=authorization)
            assert response.status_code == status
        explained = await client.http.post(
            "/graphql/explain",
            json={"query": OTHER},
            headers={"authorization": f"Bearer {ADMIN}", "accept": JSON},
        )
        assert "steps" in explained.json()["data"]


@pytest.mark.parametrize(
    ("roles", "status"), [(("clerk",), 200), (("app",), 403), (("phone", "clerk"), 200)]
)
async def test_a_document_may_need_a_role(
    client: Client, roles: tuple[str, ...], status: int
) -> None:
    for body in ({"documentId": "secret"}, {"query": SECRET}):
        assert (await send(client, body, *roles)).status_code == status


async def test_a_document_may_cost_less_than_its_caller_may_spend(tmp_path: Path) -> None:
    own = settings(tmp_path, policy={"Orders": {"max_cost": 0.001}})
    async with serving(own) as opened, calling(*opened) as client:
        refused = await send(client, {"documentId": "orders"})
        assert (refused.status_code, code_of(refused)) == (400, "COST_EXCEEDED")
        assert sent(client) == 0

        assert (await send(client, {"query": OTHER})).status_code == 200


@pytest.mark.parametrize("method", ["GET", "QUERY"])
async def test_a_trusted_mutation_needs_post(client: Client, method: str) -> None:
    response = await send(client, {"documentId": "rename"}, method=method)

    assert (response.status_code, code_of(response)) == (405, "METHOD_NOT_ALLOWED")
    assert "QUERY" in response.headers["allow"]
    assert response.headers["accept-query"] == JSON
    assert (await send(client, {"documentId": "rename"})).status_code == 200


async def test_a_broken_document_says_what_is_wrong(client: Client) -> None:
    response = await send(client, {"documentId": "broken"})

    assert code_of(response) == "GRAPHQL_VALIDATION_FAILED"


async def test_requests_are_counted(tmp_path: Path) -> None:
    async with serving(settings(tmp_path)) as opened, calling(*opened) as client:
        store: TrustedStore = opened[0].state.documents
        for body in (
            {"documentId": "orders"},
            apollo(SHA),
            {"query": ORDERS},
            {"query": OTHER},
            {"documentId": "none"},
        ):
            await send(client, body)

        uses = {d.id: store.usage.of(d).count for d in store.release.documents}
    assert uses == {"orders": 3, "rename": 0, "secret": 0, "broken": 0}
    assert (store.usage.others, store.usage.unknown) == (1, 1)


async def test_the_log_names_the_document_of_an_operation(client: Client) -> None:
    for body in ({"documentId": SHA}, {"query": ORDERS}, {"query": OTHER}):
        await send(client, body)

    served = [e.document for e in client.events if isinstance(e, OperationServed)]
    assert served == ["orders", "orders", None]


async def test_a_new_release_serves_the_next_request(tmp_path: Path) -> None:
    async with serving(settings(tmp_path)) as opened, calling(*opened) as client:
        store: TrustedStore = opened[0].state.documents
        assert (await send(client, {"documentId": "new"})).status_code == 400
        (tmp_path / "manifest.json").write_text(json.dumps({"new": ORDERS}), "utf-8")
        await store.refresh()

        assert (await send(client, {"documentId": "new"})).status_code == 200
        assert code_of(await send(client, {"documentId": "orders"})) == "PERSISTED_QUERY_NOT_FOUND"


async def test_a_reload_reads_the_manifest_again(tmp_path: Path) -> None:
    own = settings(tmp_path, poll=0)
    async with serving(own) as opened, calling(*opened) as client:
        write(tmp_path / "manifest.json", {"new": ORDERS})
        headers = {"authorization": f"Bearer {ADMIN}"}
        await client.http.post("/admin/reload", headers=headers)
        store: TrustedStore = opened[0].state.documents
        await until(lambda: store.release.get("new") is not None)

        assert (await send(client, {"documentId": "new"})).status_code == 200


async def test_explain_takes_the_name_of_a_document(only: Client) -> None:
    response = await send(only, {"documentId": "orders"}, path="/graphql/explain")

    assert response.json()["data"]["requests"]


async def test_mode_off_knows_no_names(tmp_path: Path) -> None:
    async with serving(settings(tmp_path, mode="off")) as opened, calling(*opened) as client:
        for body in ({"documentId": "orders"}, {"doc_id": "orders"}, apollo(SHA)):
            assert code_of(await send(client, body)) == "PERSISTED_QUERY_NOT_SUPPORTED"
        path = await send(client, {}, path="/graphql/documents/orders")
        assert code_of(path) == "PERSISTED_QUERY_NOT_SUPPORTED"
        assert (await send(client, {"query": OTHER, **apollo(SHA)})).status_code == 200


@pytest.mark.parametrize("mode", ["off", "prefer"])
async def test_clients_may_register_documents(tmp_path: Path, mode: str) -> None:
    own = settings(tmp_path, mode=mode, automatic=True)
    name = apollo(sha256_of(OTHER))
    async with serving(own) as opened, calling(*opened) as client:
        steps = [
            await send(client, name),
            await send(client, {"query": f"{OTHER} ", **name}),
            await send(client, name),
            await send(client, {"query": OTHER, **name}),
            await send(client, name, method="GET"),
            await send(client, {"documentId": f"sha256:{sha256_of(OTHER)}"}),
        ]

    assert [s.status_code for s in steps] == [400, 400, 400, 200, 200, 200]
    assert [code_of(s) for s in steps[:3]] == [
        "PERSISTED_QUERY_NOT_FOUND",
        "BAD_REQUEST",
        "PERSISTED_QUERY_NOT_FOUND",
    ]


async def test_nothing_is_registered_where_only_trusted_ones_run(tmp_path: Path) -> None:
    own = settings(tmp_path, mode="only", automatic=True)
    name = apollo(sha256_of(OTHER))
    async with serving(own) as opened, calling(*opened) as client:
        registered = await send(client, {"query": OTHER, **name}, path="/graphql/open")
        assert registered.status_code == 200

        assert code_of(await send(client, {"query": OTHER, **name})) == "PERSISTED_QUERY_REQUIRED"
        assert code_of(await send(client, name)) == "PERSISTED_QUERY_NOT_FOUND"
