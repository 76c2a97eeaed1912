"""Cost over HTTP: the header X-D365-Cost, statuses, and header fields of budgets; limits of roles."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.config.settings import Settings
from gateway.http.graphql_endpoint import GRAPHQL
from gateway.http.request_parameters import JSON
from tests.support.app_client import calling, code_of, serving

pytestmark = pytest.mark.anyio
ROWS = {"query": "{ customerGroups(first: 3) { nodes { customerGroupId } } }"}


def settings(**values: Any) -> Settings:
    return Settings(language=None, **values)


async def test_cost_is_included_or_only_estimated() -> None:
    async with serving(settings()) as app, calling(*app) as client:
        included = await client.post(ROWS, X_D365_Cost="Include")
        estimated = await client.post(ROWS, X_D365_Cost="estimate")
        wrong = await client.post(ROWS, X_D365_Cost="yes")

    cost = included.json()["extensions"]["cost"]
    assert (cost["estimated"]["requests"], cost["actual"]["requests"]) == (1, 1)
    # The requests of an application are measured, and their seconds learned.
    assert 0 < cost["actual"]["seconds"] < 60
    assert estimated.status_code == 200
    told = estimated.json()
    assert (told["data"], set(told["extensions"]["cost"])) == (None, {"estimated"})
    assert told["extensions"]["cost"]["estimated"]["seconds"] == cost["actual"]["seconds"]
    assert (wrong.status_code, code_of(wrong)) == (400, "BAD_REQUEST")
    assert "ratelimit" not in included.headers


@pytest.mark.parametrize(("accept", "status"), [(GRAPHQL, 400), (JSON, 200)])
async def test_an_operation_that_is_too_dear_is_a_request_error(accept: str, status: int) -> None:
    async with serving(settings(cost={"max_cost": 1})) as app, calling(*app) as client:
        response = await client.post(ROWS, accept=accept)

    assert (response.status_code, code_of(response)) == (status, "COST_EXCEEDED")


@pytest.mark.parametrize("accept", [GRAPHQL, JSON])
async def test_a_caller_without_points_is_told_when_to_come_back(accept: str) -> None:
    # Room for one estimate of 3 points at a time; what is not spent of it is given back at its end.
    cost = {"points_per_minute": 5}
    options = settings(cost=cost, sandbox={"latency_ms": 300})
    async with serving(options) as app, calling(*app) as client:
        await client.post(ROWS, X_D365_Cost="estimate")
        one, other = await asyncio.gather(*(client.post(ROWS, accept=accept) for _ in range(2)))
        served, refused = sorted((one, other), key=lambda response: response.status_code)

    assert served.status_code == 200
    assert served.headers["ratelimit-policy"] == '"caller";q=5;w=60;qu="points"'
    assert (refused.status_code, code_of(refused)) == (429, "RATE_LIMITED")
    wait = refused.json()["errors"][0]["extensions"]["retryAfter"]
    assert refused.headers["retry-after"] == str(wait)
    assert 0 < wait <= 12
    assert refused.headers["ratelimit"].startswith('"caller";r=2;t=')


async def test_an_export_without_points_says_what_is_left() -> None:
    options = settings(cost={"points_per_minute": 5}, sandbox={"latency_ms": 300})
    async with serving(options) as app, calling(*app) as client:
        pages = [await client.http.get("/export/CustomerGroups") for _ in range(2)]

    assert [page.status_code for page in pages] == [200, 429]
    assert pages[1].headers["ratelimit"].startswith('"caller";r=')
    assert int(pages[1].headers["retry-after"]) > 0


async def test_a_subscription_that_is_too_dear_ends_at_its_start() -> None:
    query = {"query": 'subscription { entityChanged(set: "CustomersV3") { kind id } }'}
    async with serving(settings(cost={"max_cost": 1})) as app, calling(*app) as client:
        response = await client.post(query, accept="text/event-stream")

    assert '"COST_EXCEEDED"' in response.text
    assert response.text.endswith("event: complete\ndata:\n\n")


@pytest.mark.parametrize("cost", [{}, {"max_cost": 500}])
async def test_a_subscription_that_is_wrong_says_so_as_without_limits(cost: dict[str, Any]) -> None:
    field = 'entityChanged(set: "CustomersV3", where: {noSuchField: {eq: 1}})'
    query = {"query": f"subscription {{ {field} {{ kind id }} }}"}
    async with serving(settings(cost=cost)) as app, calling(*app) as client:
        response = await client.post(query, accept="text/event-stream")

    # Places would be those in an operation of the gateway's own.
    assert "noSuchField" in response.text
    assert "locations" not in response.text
