"""``/health/upstream``: where the way to the environment ends, and what to do."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.config.environment_models import EnvironmentOptions
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register
from gateway.errors import NoSuchEnvironment
from gateway.http.upstream_health import EnvironmentsHealth, UpstreamHealth, upstream_health
from gateway.runtime.environment_check import Report
from tests.support.environment import CLIENT, Environment, environment
from tests.support.login_host import SECRET, refusal

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def world() -> Iterator[Environment]:
    with environment() as running:
        yield running


@dataclass
class Clock:
    at: float = 0.0

    def __call__(self) -> float:
        return self.at


def quiet(_: object) -> None:
    """Say nothing."""


async def report_of(settings: Settings) -> Report:
    return await UpstreamHealth(settings, quiet).report()


async def test_each_step_is_reported(world: Environment) -> None:
    report = await report_of(world.settings(IDENTITY="app"))

    texts = {step.name: step.text for step in report.steps}
    assert list(texts) == [
        *("environment", "sign-in", "service", "user", "roles", "companies", "rights")
    ]
    assert f"token for {world.address} from tenant contoso" in texts["sign-in"]
    assert f"application {CLIENT}, object principal-of-{CLIENT}" in texts["sign-in"]
    assert texts["user"] == "user01"
    # Its roles may not read which roles there are.
    assert "SecurityUserRoles cannot be read" in texts["roles"]
    assert "may not read CustomersV3" in texts["rights"]
    assert report.is_good
    text = json.dumps(report.to_json())
    assert SECRET not in text
    assert "eyJ" not in text


async def test_an_unregistered_application_ends_at_401(world: Environment) -> None:
    report = await report_of(world.settings(IDENTITY="app", CLIENT_ID=str(uuid.UUID(int=1))))

    last = report.steps[-1]
    assert (last.name, last.status.value) == ("service", "problem")
    assert "(status 401)" in last.text
    assert "add it under System administration" in str(last.hint)


async def test_a_refused_sign_in_ends_the_way(world: Environment) -> None:
    world.host.refuse = refusal(7000222, "Expired.")
    try:
        report = await report_of(world.settings(IDENTITY="app"))
    finally:
        world.host.refuse = None

    last = report.steps[-1]
    assert "AADSTS7000222" in last.text
    assert "has expired" in str(last.hint)


async def test_a_token_of_another_service_is_a_warning(world: Environment) -> None:
    scope = "https://other.example/.default"
    report = await report_of(world.settings(IDENTITY="app", SCOPE=scope))

    step = next(step for step in report.steps if step.name == "sign-in")
    assert step.status.value == "warning"
    assert "Set scope to the address of the environment" in str(step.hint)
    assert not report.is_good  # the environment refuses it


async def test_many_requests_cost_one_report(world: Environment) -> None:
    clock = Clock(1_000.0)
    health = UpstreamHealth(world.settings(IDENTITY="app"), quiet, now=clock)
    world.sandbox.state.requests.clear()

    first = await asyncio.gather(*(health.report() for _ in range(50)))
    requests, grants = len(world.sandbox.state.requests), len(world.host.grants)
    clock.at += 14.0
    await health.report()
    assert len(world.sandbox.state.requests) == requests
    assert len({id(report) for report in first}) == 1

    clock.at += 2.0
    await health.report()
    assert len(world.sandbox.state.requests) == 2 * requests
    assert len(world.host.grants) == grants  # the token is kept


async def test_an_environment_that_does_not_answer_is_a_problem() -> None:
    settings = Settings(url="http://127.0.0.1:9/data", auth="none", dialect="finops")

    report = await report_of(settings)

    assert "UPSTREAM_UNAVAILABLE" in report.steps[-1].text


async def test_a_slow_environment_ends_the_report() -> None:
    # Without a sign-in, whose thread would go on when the event loop of the test has ended.
    settings = Settings(url="http://127.0.0.1:9/data", auth="none")
    health = UpstreamHealth(settings, quiet, longest=0.0)

    assert (await health.report()).steps[-1].name == "time"


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        (Settings(), 200),
        (Settings(url="http://127.0.0.1:9/data", auth="none"), 503),
    ],
)
async def test_the_status_says_whether_there_is_a_problem(settings: Settings, status: int) -> None:
    app = Starlette(routes=[Route("/health/upstream", upstream_health(settings, quiet))])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        response = await http.get("/health/upstream")

    assert response.status_code == status
    assert response.json()["status"] == ("ok" if status == 200 else "problem")


def deployment(world: Environment, **more: object) -> Settings:
    """Return the settings of a deployment: two of its environments answer, one is away, and one is a sandbox."""
    good = {name: getattr(world.settings(), name) for name in ("url", "authority", "tenant_id")}
    sign_in = {"client_id": CLIENT, "client_secret": SECRET, "auth": "client_credentials"}
    away = {"url": "http://127.0.0.1:9/data", "auth": "none"}
    environments = {
        "acme": {**good, **sign_in},
        "away": {**away, "connect_timeout": 1.0},
        "demo": {"sandbox": {}},
    }
    return Settings.model_validate({"environments": environments, **more})


async def asked(settings: Settings, query: str) -> tuple[int, dict[str, Any]]:
    app = Starlette(routes=[Route("/health/upstream", upstream_health(settings, quiet))])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9") as http:
        response = await http.get(f"/health/upstream{query}")
    return response.status_code, response.json()


@pytest.mark.parametrize(
    ("query", "status", "result"),
    [
        ("", 200, "ok"),
        ("?environment=default", 200, "ok"),
        ("?environment=acme", 200, "ok"),
        ("?environment=demo", 200, "ok"),
        ("?environment=away", 503, "problem"),
        ("?environment=nobody", 404, "unknown"),
    ],
)
async def test_each_environment_has_a_report(
    world: Environment, query: str, status: int, result: str
) -> None:
    answered, content = await asked(deployment(world), query)

    assert (answered, content["status"]) == (status, result)
    name = query.partition("=")[2]
    assert content.get("environment", "") == ("" if result == "unknown" else name)


async def test_all_environments_are_reported_together(world: Environment) -> None:
    status, content = await asked(deployment(world), "?all=true")

    assert (status, content["status"]) == (503, "problem")
    results = {name: each["status"] for name, each in content["environments"].items()}
    assert results == {"default": "ok", "acme": "ok", "away": "problem", "demo": "ok"}
    (problem,) = content["environments"]["away"]["steps"]
    assert problem["name"] == "service"


async def test_all_end_in_time() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    ended = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    slow = {"url": f"http://127.0.0.1:{port}/data", "auth": "none"}
    settings = Settings.model_validate({"environments": {"demo": {"sandbox": {}}, "slow": slow}})
    async with asyncio.timeout(60):
        reports = await EnvironmentsHealth(settings, quiet, longest=0.3).reports()
    ended.set()
    server.close()

    results = {name: report is not None and report.is_good for name, report in reports.items()}
    assert results == {"default": True, "demo": True, "slow": False}


async def test_a_stored_environment_is_read_anew_for_each_report(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, stored_environments=True)
    register = open_environment_register(settings)
    url = "http://127.0.0.1:9/data"
    options = EnvironmentOptions.model_validate(
        {"url": url, "auth": "none", "connect_timeout": 1, "retries": 0}
    )
    register.create("acme", options)
    clock = Clock()
    health = EnvironmentsHealth(settings, quiet, now=clock)

    first = await health.report("acme")
    register.remove("acme")
    again = await health.report("acme")
    clock.at = 60.0
    with pytest.raises(NoSuchEnvironment):
        await health.report("acme")
    register.close()

    assert again is first
    assert not first.is_good
