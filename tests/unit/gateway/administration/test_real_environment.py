"""From the second listener, in its thread, to an environment on loopback with a login host, and to its API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.cli.admin_listener import admin_address, admin_listener, answering
from gateway.config.settings import Settings
from gateway.environments.webhook_events import open_webhook_queue
from gateway.events import Event, log_event
from gateway.events.environments import SignInRefused
from gateway.http.admin_app import AdminContext, this_process
from tests.support.described_api import new_key
from tests.support.environment import CLIENT, Environment, environment
from tests.support.login_host import SECRET, refusal

pytestmark = [pytest.mark.slow, pytest.mark.anyio]
QUERY = {"query": '{ legalEntities(companies: "*", first: 1) { totalCount } }'}


@pytest.fixture(scope="module")
def world() -> Iterator[Environment]:
    with environment() as running:
        yield running


@pytest.fixture
def settings(world: Environment, tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {
            "stored_environments": True,
            "data_dir": tmp_path / "data",
            "cache_dir": tmp_path / "cache",
            "authority": world.host.authority,
            "linking": {
                "allowed_hosts": ["127.0.0.1"],
                # Nobody listens there.
                "webhook_url": "http://127.0.0.1:9/",
                "webhook_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            },
        }
    )


@contextmanager
def administration(settings: Settings) -> Iterator[httpx.Client]:
    """Yield a client of the second listener, which runs in its thread."""
    headers = {"Authorization": f"Bearer {new_key(settings, 'admin')}"}
    with admin_listener(settings) as listener:
        assert listener is not None
        address = admin_address(settings, listener).removesuffix("/health")
        workers = this_process()
        context = AdminContext(settings=settings, workers=lambda: workers, observe=log_event)
        with (
            answering(context, listener),
            httpx.Client(base_url=address, headers=headers, timeout=60) as client,
        ):
            yield client


def acme(world: Environment) -> dict[str, Any]:
    return {
        "name": "acme",
        "url": f"{world.address}/data",
        "tenant_id": world.host.tenant,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "dialect": "finops",
    }


def test_a_new_environment_is_checked_step_by_step(world: Environment, settings: Settings) -> None:
    with administration(settings) as client:
        assert client.post("/admin/environments", json=acme(world)).status_code == 201
        good = client.post("/admin/environments/acme/check").json()
        client.patch("/admin/environments/acme", json={"client_id": "unknown-client"})
        bad = client.post("/admin/environments/acme/check").json()

    assert [step["name"] for step in good["steps"]] == [
        *("environment", "sign-in", "service", "user", "roles", "companies", "rights", "$metadata")
    ]
    assert good["status"] == "ok"
    assert bad["status"] == "problem"
    assert bad["steps"][-1]["hint"]
    assert SECRET not in str((good, bad))


async def test_credentials_that_are_refused_are_told(
    world: Environment, settings: Settings
) -> None:
    with administration(settings) as client:
        assert client.post("/admin/environments", json=acme(world)).status_code == 201
    seen: list[Event] = []
    app = create_app(settings, observe=seen.append)
    world.host.refuse = refusal(7000222, "Expired.")
    try:
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                answer = await http.post("/e/acme/graphql", json=QUERY)
    finally:
        world.host.refuse = None

    assert answer.status_code == 503
    assert "ENVIRONMENT_UNAVAILABLE" in answer.text
    (refused,) = [event for event in seen if isinstance(event, SignInRefused)]
    assert "AADSTS7000222" in refused.reason
    queue = open_webhook_queue(settings)
    events = []
    while (webhook := queue.claim(time.time() + 1_000.0)) is not None:
        events.append(webhook.event)
    queue.close()
    assert sorted(events) == ["environment.linked", "environment.needs_reauth"]
