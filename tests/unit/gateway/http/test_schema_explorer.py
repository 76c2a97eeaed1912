"""Search and slices of a large schema over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import build_client_schema, validate_schema
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.http import schema_explorer as explorer
from schema import search
from tests.support.metadata_documents import PROCUREMENT, path_of
from tests.support.observers import raise_defects

pytestmark = pytest.mark.anyio
SOME = ("Customers*", "SalesOrder*")


@asynccontextmanager
async def served(**chosen: Any) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    settings = Settings(cache_dir=None, language="none", include=SOME, **chosen)
    async with opened(settings) as both:
        yield both


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    app = create_app(settings, observe=raise_defects)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield app, client


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with served() as (_, client):
        yield client


@pytest.fixture
def much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any catalogue is too large to be told at once."""
    monkeypatch.setattr(explorer, "SMALL", 0)


async def test_search_finds_sets_fields_and_mutations(client: httpx.AsyncClient) -> None:
    (hit, *_) = (await client.get("/graphql/search", params={"q": "customers v3"})).json()["hits"]
    fields = (await client.get("/graphql/search", params={"q": "customersV3.credit"})).json()
    written = (await client.get("/graphql/search", params={"q": "create cust"})).json()["hits"]

    assert (hit["kind"], hit["name"], hit["csdl"]) == ("set", "customersV3", "CustomersV3")
    assert hit["queries"] == ["customersV3", "customerV3", "customersV3Aggregate"]
    assert "createCustomerV3" in hit["mutations"]
    assert {"creditLimit"} <= {each["name"] for each in fields["hits"]}
    assert written[0]["name"].startswith("createCust")


async def test_fields_are_completed(client: httpx.AsyncClient) -> None:
    query = await client.get("/graphql/search?in=query&q=customersV")
    mutation = await client.get("/graphql/search?in=mutation&q=deleteCustomersV")

    assert query.json()["names"][0] == "customersV3"
    assert mutation.json()["names"][0] == "deleteCustomersV3"


async def test_small_schema_is_loaded_whole(client: httpx.AsyncClient) -> None:
    assert (await client.get("/graphql/slice?query=customersV3")).json() == {"whole": True}


@pytest.mark.usefixtures("much")
async def test_slice_is_a_valid_schema(client: httpx.AsyncClient) -> None:
    answer = await client.get("/graphql/slice?query=customersV3&mutation=createCustomerV3")
    body = answer.json()
    schema = build_client_schema(body)

    assert answer.headers["content-type"] == "application/json"
    assert validate_schema(schema) == []
    assert schema.query_type is not None
    assert "customersV3" in schema.query_type.fields
    assert schema.mutation_type is not None
    assert [*schema.mutation_type.fields] == ["createCustomerV3"]
    assert "CustomerV3" not in body["partial"]
    assert body["sets"] > 3


@pytest.mark.usefixtures("much")
async def test_requested_type_is_complete(
    client: httpx.AsyncClient,
) -> None:
    first = (await client.get("/graphql/slice?query=salesOrderHeadersV2")).json()
    name = next(name for name in first["partial"] if name in ("SalesOrderLine", "CustomerV3"))

    then = (await client.get("/graphql/slice", params={"type": name})).json()

    assert name not in then["partial"]
    assert width(then, name) > width(first, name)


def width(body: Any, name: str) -> int:
    (made,) = (made for made in body["__schema"]["types"] if made["name"] == name)
    return len(made["fields"])


@pytest.mark.usefixtures("much")
async def test_exploring_leaves_the_served_schema_alone() -> None:
    async with served() as (app, client):
        gateway = app.state.live.gateway
        types = gateway.schema.made_types
        for path in ("slice?query=customersV3,salesOrderLines&steps=1", "search?q=credit"):
            assert (await client.get(f"/graphql/{path}")).status_code == 200

        assert gateway.schema.made_types == types


@pytest.mark.usefixtures("much")
async def test_index_is_made_once_for_the_same_metadata(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[object] = []
    index_of = search.index_of

    def counted(schema: Any) -> Any:
        made.append(schema)
        return index_of(schema)

    monkeypatch.setattr(search, "index_of", counted)
    async with served() as (app, client):
        for query in ("a", "b", "customers"):
            await client.get("/graphql/search", params={"q": query})
        live = app.state.live
        live.replace(live.gateway)
        await client.get("/graphql/search?q=c")

    assert len(made) == 1


async def test_index_outlives_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    metadata = str(path_of(PROCUREMENT))
    settings = Settings(cache_dir=tmp_path, language="none", metadata=metadata)
    results = []
    for _ in range(2):
        async with opened(settings) as (_, client):
            results.append((await client.get("/graphql/search?q=purch")).json())
        monkeypatch.setattr(search, "index_of", None)  # a second making would fail

    assert results[0] == results[1]
    assert results[0]["hits"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("search?limit=101", "BAD_ARGUMENT"),
        ("search?limit=-1", "BAD_ARGUMENT"),
        ("search?limit=²", "BAD_ARGUMENT"),
        ("search?limit=٣", "BAD_ARGUMENT"),
        (f"search?limit={'9' * 5_000}", "BAD_ARGUMENT"),
        ("search?in=subscription", "BAD_ARGUMENT"),
        ("slice?steps=2", "BAD_ARGUMENT"),
        ("slice?steps=x", "BAD_ARGUMENT"),
        (f"slice?query={','.join(f'f{n}' for n in range(31))}", "BAD_ARGUMENT"),
    ],
)
async def test_invalid_parameters_are_refused(
    client: httpx.AsyncClient, path: str, code: str
) -> None:
    answer = await client.get(f"/graphql/{path}")
    (error,) = answer.json()["errors"]

    assert answer.status_code == 400
    assert error["extensions"]["code"] == code
    assert error["extensions"]["hint"]


@pytest.mark.parametrize("path", ["search?q=a", "slice"])
@pytest.mark.parametrize(
    ("chosen", "status"), [({"introspection": False}, 403), ({"graphiql": False}, 404)]
)
async def test_explorer_needs_introspection_and_the_page(
    chosen: dict[str, bool], status: int, path: str
) -> None:
    async with served(**chosen) as (_, client):
        answer = await client.get(f"/graphql/{path}")

    assert answer.status_code == status
    if status == 403:
        assert answer.json()["errors"][0]["extensions"]["code"] == "INTROSPECTION_DISABLED"


@pytest.mark.parametrize("path", ["search", "slice"])
async def test_other_methods_get_allow(client: httpx.AsyncClient, path: str) -> None:
    asked = await client.options(f"/graphql/{path}")
    posted = await client.post(f"/graphql/{path}", json={})

    assert (asked.status_code, posted.status_code) == (200, 405)
    assert asked.headers["allow"] == posted.headers["allow"] == "GET, HEAD, OPTIONS"
    assert posted.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"


async def test_nothing_is_answered_during_the_start() -> None:
    app = create_app(Settings(cache_dir=None), observe=raise_defects)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/graphql/search")

    assert answer.status_code == 503
    assert answer.json()["errors"][0]["extensions"]["code"] == "STARTING"
