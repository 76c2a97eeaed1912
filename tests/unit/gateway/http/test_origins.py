"""CORS: pages of configured origins may call, and no others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.app import create_app
from gateway.config.settings import Settings

pytestmark = pytest.mark.anyio
TYPENAME = "{ __typename }"
ALLOW = "GET, HEAD, POST, QUERY, OPTIONS"
ORIGIN = "https://shop.example"


@pytest.fixture
async def shared() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(language=None, cors_origins=("https://Shop.example",)))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http,
    ):
        yield http


async def test_page_of_an_allowed_origin_may_call(shared: httpx.AsyncClient) -> None:
    asks = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, x-d365-company",
    }
    may = await shared.options("/graphql", headers=asks)
    answer = await shared.post("/graphql", json={"query": TYPENAME}, headers={"Origin": ORIGIN})

    assert may.status_code == 200
    assert may.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in may.headers["access-control-allow-methods"]
    assert "x-d365-company" in may.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in may.headers
    assert answer.json() == {"data": {"__typename": "Query"}}
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "Origin" in answer.headers["vary"]
    assert "ETag" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", ["search?limit=1", "slice", "explain?query={__typename}"])
async def test_allowed_origin_may_call_the_routes_beside(
    shared: httpx.AsyncClient, path: str
) -> None:
    asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    may = await shared.options(f"/graphql/{path}", headers=asks)
    answer = await shared.get(f"/graphql/{path}", headers={"Origin": ORIGIN})

    assert (may.status_code, answer.status_code) == (200, 200)
    for response in (may, answer):
        assert response.headers["access-control-allow-origin"] == ORIGIN


async def test_allowed_origin_may_write_files(shared: httpx.AsyncClient) -> None:
    asks = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization, content-digest, if-match, idempotency-key",
    }
    may = await shared.options("/files/x/content", headers=asks)
    answer = await shared.put("/files/x/content", content=b"x", headers={"Origin": ORIGIN})

    assert may.status_code == 200
    assert "PUT" in may.headers["access-control-allow-methods"]
    assert "content-digest" in may.headers["access-control-allow-headers"]
    assert answer.status_code == 400
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    # The name of a file.
    assert "Content-Disposition" in answer.headers["access-control-expose-headers"]
    evil = await shared.options(
        "/files/x/content", headers={**asks, "Origin": "https://evil.example"}
    )
    assert evil.status_code == 400
    assert "access-control-allow-origin" not in evil.headers


@pytest.mark.parametrize(
    "origin", ["https://shop.example.evil.example", "http://shop.example", "null"]
)
async def test_page_of_another_origin_may_not_call(shared: httpx.AsyncClient, origin: str) -> None:
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    may = await shared.options("/graphql", headers=asks)
    answer = await shared.post("/graphql", json={"query": TYPENAME}, headers={"Origin": origin})

    assert may.status_code == 400
    for response in (may, answer):
        assert "access-control-allow-origin" not in response.headers


async def test_a_query_of_another_origin_needs_a_preflight(shared: httpx.AsyncClient) -> None:
    asks = {"Access-Control-Request-Method": "QUERY"}
    statuses = [
        (await shared.options("/graphql", headers={**asks, "Origin": origin})).status_code
        for origin in ("https://shop.example", "https://evil.example")
    ]

    assert statuses == [200, 400]


async def test_options_without_origin_has_methods(shared: httpx.AsyncClient) -> None:
    assert (await shared.options("/graphql")).headers["allow"] == ALLOW


@pytest.mark.parametrize(
    "origin", ["shop.example", "https://shop.example/", "https://", "https://*"]
)
async def test_cors_origins_must_be_origins(origin: str) -> None:
    with pytest.raises(ValueError, match="an origin such as"):
        Settings(cors_origins=(origin,))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "Cross-Site", "Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://shop.example"}, 200),
    ],
)
async def test_cross_site_get_is_refused(
    shared: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    response = await shared.get("/graphql", params={"query": TYPENAME}, headers=headers)
    posted = await shared.post("/graphql", json={"query": TYPENAME}, headers=headers)

    assert response.status_code == status
    assert posted.status_code == 200
    if status == 403:
        assert response.json()["errors"][0]["extensions"]["code"] == "CROSS_SITE_REQUEST"
    assert response.headers["cache-control"] == "no-store"
    assert "X-D365-Company" in ", ".join(response.headers.get_list("vary"))
