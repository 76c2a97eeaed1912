"""New metadata for one environment or for all that are open: by request, by signal, at both listeners."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cli.hangup import reload_on_hangup
from gateway.config.setting_changes import SettingsAttempt
from gateway.config.settings import Settings
from gateway.environments.reloading import Reloaded, reload_environment
from gateway.events import MetadataReloaded
from gateway.http.admin_app import AdminContext, create_admin_app
from gateway.http.admin_reload import Reloads
from gateway.runtime.metadata_reload import Attempt
from tests.support.changing_metadata import csdl
from tests.support.described_api import check_described, new_key
from tests.support.environments import SETS, Deployment, deployed, path_of, service, settings_of

pytestmark = pytest.mark.anyio
NAMES = "{ things { nodes { name } } }"
FRESH = "{ things { nodes { fresh } } }"
TOKEN = "0123456789abcdef-admin"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def settings(*names: str, **more: Any) -> Settings:
    return settings_of(*names, admin_token=TOKEN, environment_idle=60, store="none", **more)


async def has_fresh(deployment: Deployment, name: str) -> bool:
    answer = await deployment.post(FRESH, path_of(name))
    return "errors" not in answer.json()


async def until_fresh(deployment: Deployment, *names: str) -> None:
    async with asyncio.timeout(60):
        for name in names:
            while not await has_fresh(deployment, name):  # noqa: ASYNC110 - requests tell it
                await asyncio.sleep(0.01)


def change(deployment: Deployment) -> None:
    for one in deployment.services.values():
        one.document = csdl("Name", "Fresh", sets=SETS)


async def reload(deployment: Deployment, name: str | None) -> httpx.Response:
    query = "" if name is None else f"?environment={name}"
    return await deployment.http.post(f"/admin/reload{query}", headers=HEADERS)


@pytest.mark.parametrize(
    ("name", "fresh"),
    [
        pytest.param("acme", {"acme"}, id="one that is open"),
        pytest.param("default", {""}, id="that of the settings"),
    ],
)
async def test_one_environment_is_reloaded(name: str, fresh: set[str]) -> None:
    async with deployed(settings("acme", "globex")) as deployment:
        for each in ("", "acme", "globex"):
            await deployment.data(NAMES, path_of(each))
        change(deployment)

        response = await reload(deployment, name)

        assert response.status_code == 200
        assert response.json()["environment"] == name
        assert response.json()["reload"]["outcome"] == "changed"
        got = {each for each in ("", "acme", "globex") if await has_fresh(deployment, each)}
        assert got == fresh


async def test_without_a_name_all_that_are_open_follow() -> None:
    names = ("acme", "globex", "closed")
    async with deployed(settings(*names)) as deployment:
        for each in ("acme", "globex"):
            await deployment.data(NAMES, path_of(each))
        change(deployment)

        response = await reload(deployment, None)
        assert response.json()["reload"]["outcome"] == "changed"
        assert "environment" not in response.json()

        await until_fresh(deployment, "", "acme", "globex")
        assert deployment.services["closed"].requests == 0


async def test_one_that_is_closed_is_opened() -> None:
    async with deployed(settings("acme")) as deployment:
        response = await reload(deployment, "acme")

        assert (response.status_code, response.json()["environment"]) == (200, "acme")
        assert deployment.app.state.environments.states()["open"] == 1


async def test_one_that_does_not_open_is_answered_with_a_pause() -> None:
    services = {name: service(name) for name in ("home", "acme")}
    services["acme"].fault = httpx.Response(503)
    async with deployed(settings("acme"), services) as deployment:
        response = await reload(deployment, "acme")

    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1


async def test_an_unknown_one_tells_nobody() -> None:
    async with deployed(settings("acme")) as deployment:
        known, unknown = await reload(deployment, "acme"), await reload(deployment, "nobody")

    assert (known.status_code, unknown.status_code) == (200, 404)


async def test_a_failed_reload_is_502_and_keeps_what_is_served() -> None:
    async with deployed(settings("acme")) as deployment:
        await deployment.data(NAMES, path_of("acme"))
        deployment.services["acme"].document = "{}"

        response = await reload(deployment, "acme")

        assert response.status_code == 502
        assert response.json()["reload"]["outcome"] == "failed"
        await deployment.data(NAMES, path_of("acme"))


async def test_a_signal_reloads_all_that_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: list[Any] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "add_signal_handler", lambda _, handler: handlers.append(handler))
    async with deployed(settings("acme", "closed")) as deployment:
        await deployment.data(NAMES, path_of("acme"))
        reload_on_hangup(deployment.app, lambda: False)
        change(deployment)

        handlers[0]()
        await until_fresh(deployment, "", "acme")

        reasons = [event.reason for event in deployment.said(MetadataReloaded)]
        assert reasons == ["signal", "signal"]
        assert deployment.services["closed"].requests == 0


async def test_the_end_does_not_wait_for_reloads() -> None:
    async with deployed(settings("acme")) as deployment:
        await deployment.data(NAMES, path_of("acme"))
        gate = deployment.services["acme"].gate = asyncio.Event()
        deployment.app.state.environments.reload_open("signal")
        await asyncio.sleep(0)
        started = asyncio.get_running_loop().time()
    gate.set()

    assert asyncio.get_running_loop().time() - started < 5


async def test_the_second_listener_reloads_for_those_with_a_key(tmp_path: Path) -> None:
    values = settings_of("acme", data_dir=tmp_path)
    key = new_key(values, "admin")
    async with deployed(values) as deployment:
        state = deployment.app.state

        changed = SettingsAttempt(
            reason="admin", at=0.0, outcome="changed", changed=("roles.a",), restart=("port",)
        )
        bad = SettingsAttempt(
            reason="admin", at=0.0, outcome="failed", message="g.toml: port", hint="Look."
        )

        async def here(name: str | None) -> Reloads:
            own, others = state.environment, state.environments
            found = await reload_environment(own, others, name, "admin")
            return Reloads(changed if name is None else None, found)

        async def elsewhere(name: str | None) -> Reloads:
            return Reloads(None if name else bad, None)

        async def failing(name: str | None) -> Reloads:
            attempt = Attempt(reason="admin", at=0.0, outcome="failed", message="Away.")
            return Reloads(changed, Reloaded(name or "default", "0" * 64, attempt))

        answers = []
        for act, query in (
            (here, "?environment=acme"),
            (here, "?environment=default"),
            (here, ""),
            (here, "?environment=nobody"),
            (elsewhere, "?environment=acme"),
            (elsewhere, ""),
            (failing, ""),
        ):
            context = AdminContext(
                settings=values, workers=tuple, observe=lambda _: None, reload=act
            )
            app = create_admin_app(context)
            transport = httpx.ASGITransport(app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9") as http,
            ):
                assert (await http.post(f"/admin/reload{query}")).status_code == 401
                http.headers["Authorization"] = f"Bearer {key}"
                description = (await http.get("/admin/openapi.json")).json()
                response = await http.post(f"/admin/reload{query}")
                check_described(description, response)
                answers.append((response.status_code, response.json().get("status")))

    assert answers == [
        (200, "done"),
        (200, "done"),
        (200, "done"),
        (404, None),
        (202, "requested"),
        (502, "failed"),
        (502, "failed"),
    ]
