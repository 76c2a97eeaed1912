"""The application: routes, health, start and end."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.errors import UpstreamMalformed
from gateway.events import ErrorRaised, Event
from gateway.graphiql.visits import preset_headers
from gateway.sandbox import create_sandbox
from tests.support.scripted_upstream import upstream

pytestmark = pytest.mark.anyio


def settings(**values: object) -> Settings:
    return Settings.model_validate({"language": None, **values})


async def get(app: Starlette, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.get(path, headers=headers)


async def ask(app: Starlette, query: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.post("/graphql", json={"query": query})


async def test_gateway_is_alive_and_not_ready_during_the_start() -> None:
    app = create_app(settings())

    assert (await get(app, "/healthz")).json() == {"status": "ok"}
    ready = await get(app, "/readyz")
    assert (ready.status_code, ready.json()) == (503, {"status": "starting"})
    refused = await ask(app, "{ __typename }")
    assert refused.status_code == 503
    assert refused.json()["errors"][0]["extensions"]["code"] == "STARTING"


async def test_ready_says_what_is_served() -> None:
    app = create_app(settings())

    async with app.router.lifespan_context(app):
        gateway = app.state.live.gateway
        ready = await get(app, "/readyz")

        assert ready.status_code == 200
        assert ready.json() == {
            "status": "ready",
            "sandbox": True,
            "metadata": gateway.metadata.digest,
            "since": datetime.fromtimestamp(gateway.since, UTC).isoformat(timespec="seconds"),
            "entitySets": len(gateway.catalog.model.entity_sets),
            "generation": 1,
            "types": gateway.schema.made_types,
            "reload": None,
        }
        assert (await ask(app, "{ __typename }")).json() == {"data": {"__typename": "Query"}}
    assert (await get(app, "/readyz")).status_code == 503


async def test_health_reveals_nothing_of_the_upstream() -> None:
    app = create_app(settings(url="https://fo.example/data"))

    assert "fo.example" not in (await get(app, "/readyz")).text + (await get(app, "/healthz")).text


@pytest.mark.parametrize("path", ["/", "/graphql"])
async def test_browser_is_redirected_to_the_page(path: str) -> None:
    response = await get(create_app(settings()), path, accept="text/html")

    assert (response.status_code, response.headers["location"]) == (302, "/graphiql")


async def test_page_can_be_disabled() -> None:
    app = create_app(settings(graphiql=False))

    assert (await get(app, "/graphiql")).status_code == 404
    assert (await get(app, "/")).status_code == 404
    async with app.router.lifespan_context(app):
        assert (await get(app, "/graphql", accept="text/html")).status_code == 406


async def test_unknown_path_is_a_404() -> None:
    assert (await get(create_app(settings()), "/graphql/nope")).status_code == 404


@pytest.mark.parametrize(
    ("values", "headers"),
    [
        ({}, {"X-D365-Company": "usmf"}),
        ({"companies": ["demf", "usrt"]}, {"X-D365-Company": "demf, usrt"}),
        ({"url": "https://fo.example/data"}, {}),
        ({"url": "https://fo.example/data", "companies": ["demf"]}, {"X-D365-Company": "demf"}),
    ],
)
async def test_page_has_the_company_scope(
    values: dict[str, object], headers: dict[str, str]
) -> None:
    assert preset_headers(settings(**values)) == headers
    config = await get(create_app(settings(**values)), "/graphiql/config.json")
    assert config.json()["headers"] == headers


async def test_failing_start_raises_its_error() -> None:
    fo = upstream(httpx.Response(200, text="<html>Sign in</html>"))
    app = create_app(
        settings(url="https://fo.example/data", auth="none", cache_dir=None),
        transport=httpx.MockTransport(fo.answer),
        observe=fo.events.append,
    )

    with pytest.raises(UpstreamMalformed, match="a web page"):
        async with app.router.lifespan_context(app):
            pass


async def test_upstream_messages_stay_in_the_log() -> None:
    secret = "System.InvalidOperationException at Dynamics.AX in K:\\Service"
    refusal = httpx.Response(500, json={"error": {"code": "", "message": secret}})
    sandbox = httpx.ASGITransport(create_sandbox())
    events: list[Event] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("$metadata"):
            return await sandbox.handle_async_request(request)
        return refusal

    app = create_app(
        settings(retries=0), transport=httpx.MockTransport(answer), observe=events.append
    )
    async with app.router.lifespan_context(app):
        response = await ask(app, "{ legalEntities { totalCount } }")

    error = response.json()["errors"][0]
    assert "Exception" not in response.text
    assert "sandbox.invalid" not in response.text
    assert error["path"] == ["legalEntities"]
    (raised,) = [event for event in events if isinstance(event, ErrorRaised)]
    assert raised.error_id == error["extensions"]["errorId"]
    assert secret in (raised.detail or "")
