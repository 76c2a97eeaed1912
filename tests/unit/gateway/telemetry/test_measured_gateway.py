"""A gateway that measures itself: events and gauges of a real application, by environment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.telemetry import catalog
from gateway.telemetry.exposition import render
from gateway.telemetry.measurements import Measurements
from tests.support.environments import deployed, path_of, settings_of
from tests.support.observers import raise_bugs

pytestmark = pytest.mark.anyio
NAMES = "{ things { nodes { name } } }"
NOT_HERE = {
    # Of a deployment with other settings.
    *("d365_gateway_environments", "d365_gateway_documents", "d365_gateway_workers"),
    *("d365_gateway_token_expires_timestamp_seconds", "d365_gateway_shared_state_up"),
}


@pytest.fixture(scope="module")
async def measured() -> AsyncIterator[tuple[Measurements, httpx.AsyncClient]]:
    measurements = Measurements()
    app = create_app(Settings(), observe=raise_bugs, measurements=measurements)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            yield measurements, http


async def run(http: httpx.AsyncClient, query: str) -> None:
    (await http.post("/graphql", json={"query": query})).raise_for_status()


async def test_gauges_show_the_process_and_its_environment(
    measured: tuple[Measurements, httpx.AsyncClient],
) -> None:
    measurements, _ = measured
    text = render(measurements, of_process=False)

    gauges = {m.name for m in catalog.METRICS if m.kind == "gauge"}
    assert {name for name in gauges if f"# TYPE {name} gauge" not in text} == NOT_HERE
    assert 'd365_gateway_upstream_limit{credentials="own",environment="default"} 4.0' in text
    assert measurements.silence < 60


async def test_own_time_is_without_the_upstream(
    measured: tuple[Measurements, httpx.AsyncClient],
) -> None:
    measurements, http = measured
    await run(http, "{ customersV3(first: 1) { nodes { customerAccount } } }")

    whole = sum(
        cell.total for _, cell in measurements.of(catalog.OPERATION_SECONDS).distributions()
    )
    upstream = sum(
        cell.total
        for labels, cell in measurements.of(catalog.UPSTREAM_SECONDS).distributions()
        if "CustomersV3" in labels
    )
    own = measurements.of(catalog.OVERHEAD).distribution("query", "default").total
    assert 0 < own <= whole - upstream + 0.001


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("mutation { __typename }", ("mutation", "anonymous", "ok", "default")),
        ("{ nothing }", ("unknown", "anonymous", "client_error", "default")),
        ("query Mine { __typename }", ("query", "anonymous", "ok", "default")),
    ],
)
async def test_operations_are_counted_by_kind(
    measured: tuple[Measurements, httpx.AsyncClient], query: str, labels: tuple[str, ...]
) -> None:
    measurements, http = measured
    times = measurements.of(catalog.OPERATION_SECONDS).distribution(*labels)
    before = sum(times.counts)
    await run(http, query)

    assert sum(times.counts) == before + 1


async def test_each_environment_has_gauges_while_it_is_open(tmp_path: Path) -> None:
    measurements = Measurements()
    limits, states = (measurements.of(m) for m in (catalog.UPSTREAM_LIMIT, catalog.ENVIRONMENTS))
    settings = settings_of("acme", "beta", data_dir=tmp_path)

    def environments() -> set[str]:
        render(measurements, of_process=False)  # which reads the gauges
        return {labels[-1] for labels, _ in limits.values()}

    async with deployed(settings, measurements=measurements) as deployment:
        assert environments() == {"default"}
        await deployment.data(NAMES, path_of("acme"))
        assert environments() == {"default", "acme"}
        assert {labels[0]: cell.value for labels, cell in states.values()} == {
            "declared": 2,
            "open": 1,
            "opening": 0,
            "unavailable": 0,
        }
        times = measurements.of(catalog.OPERATION_SECONDS)
        assert {labels[-1] for labels, _ in times.distributions()} == {"acme"}
    assert environments() == set()
