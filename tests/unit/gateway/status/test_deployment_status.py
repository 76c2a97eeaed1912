"""Status and drift of a deployment whose services are in memory: what each environment's people would read."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.events import Event
from gateway.events.metadata import MetadataDrifted
from gateway.status.comparison import RegisteredOperation
from gateway.status.deployment_status import DeploymentStatus
from gateway.status.sources import StoredStatus
from gateway.status.status_store import StatusStore
from tests.support.changing_metadata import csdl
from tests.support.environments import SETS, Deployment, deployed, path_of, service, settings_of

pytestmark = pytest.mark.anyio
NAMES = "{ things { nodes { name } } }"
DAY = 86_400.0


def status_of(deployment: Deployment) -> DeploymentStatus:
    status: DeploymentStatus = deployment.app.state.status
    return status


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Return the settings of two environments, with each kind of store."""
    match request.param:
        case "memory":
            store: dict[str, Any] = {"store": "none"}
        case "sqlite":
            store = {"data_dir": tmp_path / "data"}
        case _:
            address = request.getfixturevalue("postgresql").new_database()
            store = {"store": address.get_secret_value()}
    return settings_of("acme", cache_dir=tmp_path / "cache", metadata_max_age=0, **store)


async def report(deployment: Deployment, name: str) -> dict[str, Any]:
    status = status_of(deployment)
    if status.publisher is not None:
        await status.publisher.write()
    return await asyncio.to_thread(status.source.status, name)


async def drift(deployment: Deployment, name: str) -> list[Any]:
    status = status_of(deployment)
    await status.drift.idle()
    found = await asyncio.to_thread(status.source.drift, name, DAY)
    documents: list[Any] = found["documents"]
    return documents


async def test_each_environment_has_its_own_numbers(settings: Settings) -> None:
    async with deployed(settings) as deployment:
        for _ in range(3):
            await deployment.data(NAMES, path_of("acme"))
        await deployment.data(NAMES)

        acme, home = await report(deployment, "acme"), await report(deployment, "default")
        unknown = await report(deployment, "nobody")
        scope = "process" if settings.store == "none" else "deployment"

    assert {acme["scope"], home["scope"]} == {scope}
    assert (acme["state"], home["state"]) == ("open", "open")
    assert acme["calls"]["hour"]["operations"] == 3
    assert home["calls"]["hour"]["operations"] == 1
    # $metadata, and a request for each operation.
    assert acme["calls"]["day"]["requests"] == acme["calls"]["day"]["answered"] == 4
    assert acme["calls"]["day"]["p95_ms"] > 0
    assert acme["metadata"]["documents"] == 1
    assert len(acme["metadata"]["sha256"]) == 64
    assert acme["metadata"]["age_seconds"] < 60
    assert len(acme["processes"]) == 1
    assert acme["errors"] == []
    assert (unknown["state"], unknown["processes"]) == ("closed", [])


async def test_errors_and_throttling_are_shown_without_the_upstreams_words(
    settings: Settings,
) -> None:
    services = {name: service(name) for name in ("home", "acme")}
    async with deployed(settings, services) as deployment:
        await deployment.data(NAMES, path_of("acme"))
        for answer in (
            # In this order, for after a 429 all requests wait.
            httpx.Response(500, content=b"boom secret"),
            httpx.Response(429, content=b"busy secret"),
        ):
            services["acme"].fault = answer
            await deployment.post(NAMES, path_of("acme"))

        acme, home = await report(deployment, "acme"), await report(deployment, "default")

    assert acme["calls"]["hour"] | {"since": ""} == {
        **acme["calls"]["hour"],
        "since": "",
        "operations_with_errors": 2,
        "throttled": 1,
        "failed": 1,
    }
    assert "last_throttled" in acme
    assert [(e["source"], e["code"]) for e in acme["errors"]] == [
        ("operation", "UPSTREAM_THROTTLED"),
        ("operation", "UPSTREAM_UNAVAILABLE"),
    ]
    assert "secret" not in str(acme)
    assert home["errors"] == []


async def test_an_environment_that_does_not_open_says_why(settings: Settings) -> None:
    services = {name: service(name) for name in ("home", "acme")}
    services["acme"].fault = httpx.Response(503, content=b"<h1>secret page</h1>")
    async with deployed(settings, services) as deployment:
        refused = await deployment.post(NAMES, path_of("acme"))
        acme = await report(deployment, "acme")
        ready = await deployment.http.get("/readyz")

    assert refused.status_code == 503
    assert acme["state"] == "failed"
    assert "status 503" in acme["problem"]["message"]
    assert acme["problem"]["retry_at"] > acme["at"]
    assert [e["source"] for e in acme["errors"]] == ["opening"]
    assert "secret" not in str(acme)
    assert ready.status_code == 200
    assert ready.json()["environments"]["unavailable"] == 1


async def test_a_reload_records_what_changes_for_clients(settings: Settings) -> None:
    services = {name: service(name) for name in ("home", "acme")}
    services["acme"].document = csdl("Name", "Old", sets=SETS)
    async with deployed(settings, services) as deployment:
        await deployment.data(NAMES, path_of("acme"))
        assert await drift(deployment, "acme") == []
        before = (await report(deployment, "acme"))["metadata"]["sha256"]

        services["acme"].document = csdl("Name", "New", sets=SETS)
        await reload_acme(deployment)
        (change,) = await drift(deployment, "acme")
        after = (await report(deployment, "acme"))["metadata"]["sha256"]
        home = await drift(deployment, "default")

    assert (change["before"], change["after"]) == (before, after)
    assert change["state"] == "compared"
    assert change["breaking"] > 0
    assert change["safe"] > 0
    assert change["left_off"] == 0
    assert {
        "level": "breaking",
        "kind": "FIELD_REMOVED",
        "place": "Thing",
        "description": "Field Thing.old was removed.",
    } in change["changes"]
    assert change["broken_operations"] == []
    assert home == []


async def reload_acme(deployment: Deployment) -> None:
    environments = deployment.app.state.environments
    lease = await environments.lease(environments.registry.find("acme"))
    attempt = await lease.environment.reloader.reload("admin")
    lease.release()
    assert attempt.outcome == "changed"


async def test_a_document_that_changed_while_it_was_closed_is_compared(
    settings: Settings,
) -> None:
    if settings.store == "none":
        pytest.skip("a process without a store knows nothing of the one before")
    services = {name: service(name) for name in ("home", "acme")}
    services["acme"].document = csdl("Name", "Old", sets=SETS)
    async with deployed(settings, services) as deployment:
        await deployment.data(NAMES, path_of("acme"))
        await drift(deployment, "acme")
    services["acme"].document = csdl("Name", sets=SETS)
    for _ in range(2):  # the second one finds nothing new
        async with deployed(settings, services) as deployment:
            await deployment.data(NAMES, path_of("acme"))
            (change,) = await drift(deployment, "acme")

    assert change["state"] == "compared"
    assert change["breaking"] > 0


async def test_without_a_snapshot_the_changes_are_unknown(tmp_path: Path) -> None:
    settings = settings_of("acme", data_dir=tmp_path)
    services = {name: service(name) for name in ("home", "acme")}
    for document in (csdl("Name", "Old", sets=SETS), csdl("Name", sets=SETS)):
        services["acme"].document = document
        async with deployed(settings, services) as deployment:
            await deployment.data(NAMES, path_of("acme"))
            changes = await drift(deployment, "acme")
    later = StoredStatus(StatusStore(settings), lambda: time.time() + 3_600)
    (change,) = later.drift("acme", DAY)["documents"]
    later.close()

    assert [c["state"] for c in changes] == ["comparing"]
    assert change["state"] == "unknown"
    assert "changes" not in change


async def test_registered_operations_that_break_are_named(
    settings: Settings,
) -> None:
    def operations(of: Settings) -> Iterable[RegisteredOperation]:
        assert of.url == "https://acme.example/data"
        yield RegisteredOperation("good", NAMES)
        yield RegisteredOperation("bad", "{ things { nodes { old } } }")
        yield RegisteredOperation("never was valid", "{ things { nodes { none } } }")
        yield RegisteredOperation("no document", "{ things { nodes {")

    services = {name: service(name) for name in ("home", "acme")}
    services["acme"].document = csdl("Name", "Old", sets=SETS)
    async with deployed(settings, services) as deployment:
        status_of(deployment).drift.operations = operations
        await deployment.data(NAMES, path_of("acme"))
        await drift(deployment, "acme")
        services["acme"].document = csdl("Name", sets=SETS)
        await reload_acme(deployment)
        (change,) = await drift(deployment, "acme")
        drifted = [e for e in deployment.events if isinstance(e, MetadataDrifted)]

    assert [(event.breaking, event.operations) for event in drifted] == [(change["breaking"], 1)]
    assert change["broken_operations"] == [
        {"id": "bad", "errors": ["Cannot query field 'old' on type 'Thing'. Did you mean 'id'?"]}
    ]


async def test_a_store_that_is_away_disturbs_no_request(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("no folder")
    events: list[Event] = []
    settings = settings_of("acme", data_dir=tmp_path)
    async with deployed(settings, observe=events.append) as deployment:
        await deployment.data(NAMES, path_of("acme"))
        status = status_of(deployment)
        assert status.publisher is not None
        await status.publisher.write()
        await status.drift.idle()

    assert {type(event).__name__ for event in events} >= {"StatusNotWritten", "OperationServed"}


async def test_a_retired_generation_is_not_kept_alive(tmp_path: Path) -> None:
    """Status takes no reference to a gateway beyond its comparison."""
    services = {name: service(name) for name in ("home", "acme")}
    async with deployed(settings_of("acme", data_dir=tmp_path), services) as deployment:
        await deployment.data(NAMES, path_of("acme"))
        lease = await deployment.app.state.environments.lease(
            deployment.app.state.environments.registry.find("acme")
        )
        old = weakref.ref(lease.environment.live.gateway.schema)
        services["acme"].document = csdl("Name", "New", sets=SETS)
        await lease.environment.reloader.reload("admin")
        await status_of(deployment).drift.idle()
        lease.release()
        for _ in range(100):
            gc.collect()
            if old() is None:
                break
            await asyncio.sleep(0.01)

        assert old() is None
