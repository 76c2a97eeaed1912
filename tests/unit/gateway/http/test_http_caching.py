"""HTTP caching of trusted documents: which answers may be kept, by whom, for how long, and what 304 saves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.config.settings import Settings
from gateway.events import Event
from gateway.http.graphql_endpoint import GRAPHQL
from tests.support.app_client import Client, calling, serving
from tests.support.manifests import write
from tests.support.role_doors import ISSUER, bearer

pytestmark = pytest.mark.anyio
DOCUMENTS = {
    "orders": "query Orders($n: Int) { customersV3(first: $n) { nodes { customerAccount } } }",
    "groups": "{ customerGroups(first: 2) { nodes { customerGroupId } } }",
    "both": "{ customerGroups(first: 2) { totalCount } vendorsV2(first: 1) { totalCount } }",
    "never": "query Never { legalEntities(first: 2) { totalCount } }",
    "broken": "{ nothing }",
    "schema": "{ __schema { queryType { name } } }",
}
VARY = "Accept, Accept-Encoding, Authorization, X-D365-Company, X-D365-Environment"


def settings(folder: Path, **documents: Any) -> Settings:
    manifest = write(folder / "manifest.json", DOCUMENTS)
    policy = {"Never": {"max_age": 0}}
    return Settings.model_validate(
        {
            "language": None,
            "data_dir": folder,
            "cache_dir": None,
            "cache": {"ttl": 300, "categories": [], "sets": ["CustomerGroups"]},
            "inbound": {"issuers": [ISSUER], "anonymous": True},
            "documents": {"manifest": str(manifest), "policy": policy, **documents},
        }
    )


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    async with serving(settings(tmp_path_factory.mktemp("caching"), max_age=60)) as opened:
        yield opened


@pytest.fixture
async def client(served: tuple[Starlette, list[Event]]) -> AsyncIterator[Client]:
    async with calling(*served) as client:
        yield client


async def get(
    client: Client, name: str, *, method: str = "GET", signed_in: bool = False, **headers: str
) -> httpx.Response:
    fields = {"accept": GRAPHQL, **(bearer("any") if signed_in else {})}
    fields |= {key.replace("_", "-"): value for key, value in headers.items()}
    path = f"/graphql/documents/{name}"
    if method in ("GET", "HEAD"):
        return await client.http.request(method, path, headers=fields)
    return await client.http.request(method, path, json={}, headers=fields)


@pytest.mark.parametrize("method", ["GET", "HEAD", "QUERY"])
@pytest.mark.parametrize("signed_in", [False, True])
async def test_answers_are_private_unless_the_caller_is_anonymous(
    client: Client, method: str, signed_in: bool
) -> None:
    response = await get(client, "orders", method=method, signed_in=signed_in)

    scope = "private" if signed_in else "public"
    assert response.headers["cache-control"] == f"{scope}, max-age=60"
    assert response.headers["vary"] == VARY
    assert response.headers["etag"].removeprefix("W/").startswith('"')


async def test_a_client_that_has_the_answer_gets_304(client: Client) -> None:
    first = await get(client, "orders")
    etag = first.headers["etag"]
    again = await get(client, "orders", if_none_match=f'"other", W/{etag.removeprefix("W/")}')
    other = await get(client, "orders", if_none_match='"other"')

    assert (first.status_code, again.status_code, other.status_code) == (200, 304, 200)
    assert again.content == b""
    assert "content-type" not in again.headers
    for name in ("cache-control", "vary"):
        assert again.headers[name] == first.headers[name]


async def test_a_compressed_answer_has_a_weak_etag(client: Client) -> None:
    plain = await get(client, "orders", accept_encoding="identity")
    packed = await get(client, "orders", accept_encoding="gzip")

    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] == f"W/{plain.headers['etag']}"
    again = await get(
        client, "orders", accept_encoding="gzip", if_none_match=packed.headers["etag"]
    )
    assert again.status_code == 304


async def test_another_answer_has_another_etag(client: Client) -> None:
    responses = [
        await client.http.get(
            "/graphql/documents/orders",
            params={"variables": json.dumps({"n": n})},
            headers={"accept": GRAPHQL},
        )
        for n in (1, 2, 1)
    ]

    first, second, third = (r.headers["etag"] for r in responses)
    assert first == third != second


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("broken", {}),
        ("none", {}),
        ("never", {}),
        ("orders", {"x_d365_trace": "true"}),
        ("orders", {"x_d365_cost": "include"}),
    ],
)
async def test_nothing_else_is_kept(client: Client, name: str, headers: Any) -> None:
    response = await get(client, name, signed_in=False, **headers)

    assert response.headers["cache-control"] == "no-store"
    assert "etag" not in response.headers


async def test_only_safe_requests_for_documents_are_kept(client: Client) -> None:
    posted = await get(client, "orders", method="POST")
    query = "{ customersV3(first: 1) { nodes { id } } }"
    sent = await client.get(query=query)

    assert "cache-control" not in posted.headers
    assert sent.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "control"),
    [
        ("groups", "public, max-age=300"),
        ("both", "no-store"),
        ("orders", "no-store"),
        ("schema", "no-store"),
    ],
)
async def test_without_a_setting_the_cache_of_answers_decides(
    tmp_path: Path, name: str, control: str
) -> None:
    async with serving(settings(tmp_path)) as opened, calling(*opened) as client:
        for _ in range(2):
            response = await get(client, name)
            assert response.headers["cache-control"] == control


async def test_age_says_when_the_answer_was_read(tmp_path: Path) -> None:
    async with serving(settings(tmp_path)) as opened, calling(*opened) as client:
        first = await get(client, "groups")
        answers = opened[0].state.live.gateway.engine.reads.sharing.answers
        age_of = answers.age_of
        answers.age_of = lambda stored: age_of(stored) + 120
        try:
            response = await get(client, "groups")
            again = await get(client, "groups", if_none_match=response.headers["etag"])
        finally:
            del answers.age_of

    assert "age" not in first.headers
    assert response.json()["extensions"]["cache"]["age"] == 120
    assert response.headers["age"] == again.headers["age"] == "120"
    assert response.headers["etag"].startswith("W/")
    assert again.status_code == 304
    assert response.headers["cache-control"] == "public, max-age=300"
