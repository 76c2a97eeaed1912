"""Other settings take the place of those in force while requests run: all of them, or nothing."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.cli.hot_application import MAX_RETIRED, HotApplication
from gateway.config.setting_changes import NEEDS_RESTART, changed_settings, in_force
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import (
    Event,
    SettingsNotReloaded,
    SettingsReloaded,
    SettingsRetired,
    tee,
)
from gateway.process.garbage_collection import collect_new
from gateway.runtime.lasting import Lasting
from tests.support.changing_metadata import build_here
from tests.support.environments import Service, code_of, host_of, path_of, service, settings_of
from tests.support.manual_clock import until
from tests.support.observers import raise_bugs
from tests.support.soak import bounded

pytestmark = pytest.mark.anyio
NAMES = "{ things { nodes { name } } }"
RENAME = '{ things(where: { name: { eq: "x" } }) { nodes { id name } } }'
WRITE = 'mutation { createThing(input: { name: "new" }) { thing { id } } }'


class Hot:
    """A hot application over services in memory, its clients, and what it said."""

    def __init__(self, settings: Settings, collect: Callable[[], None]) -> None:
        self.services: dict[str, Service] = {
            host_of(name): service(name) for name in ("home", *settings.environments)
        }
        self.events: list[Event] = []
        self.apps: list[weakref.ref[Starlette]] = []
        self.next: Settings | SettingsError = settings
        self.app = HotApplication(settings, self._make, self._read, collect)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://localhost"
        )

    def _make(self, settings: Settings, lasting: Lasting) -> Starlette:
        app = create_app(
            settings,
            transport=httpx.MockTransport(self._answer) if settings.url else None,
            observe=tee(raise_bugs, self.events.append),
            build_model=build_here,
            lasting=lasting,
        )
        self.apps.append(weakref.ref(app))
        return app

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        return await self.services[request.url.host].answer(request)

    def _read(self) -> Settings:
        if isinstance(self.next, SettingsError):
            raise self.next
        return self.next

    async def post(self, query: str, path: str = "/graphql") -> httpx.Response:
        return await self.http.post(path, json={"query": query})

    async def reload(self, settings: Settings | SettingsError) -> Any:
        self.next = settings
        return await self.app.reload("admin")

    def said(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def alive(self) -> int:
        return sum(app() is not None for app in self.apps)


@asynccontextmanager
async def hot(settings: Settings, collect: Callable[[], None] = lambda: None) -> AsyncIterator[Hot]:
    """``collect``: that of a server would unfreeze all modules and tests."""
    here = Hot(settings, collect)
    async with here.app.router.lifespan_context(here.app), here.http:
        yield here


async def begun(here: Hot, query: str) -> tuple[asyncio.Task[httpx.Response], asyncio.Event]:
    """Return a request that waits for its service, and what lets it go on."""
    home = here.services[host_of("home")]
    gate, before = asyncio.Event(), home.requests
    home.gate = gate
    request = asyncio.create_task(here.post(query))
    await until(lambda: home.requests > before, 10)
    home.gate = None
    return request, gate


def test_settings_differ_by_name_and_some_wait_for_a_restart() -> None:
    running = settings_of(roles={"clerk": {"sets": {"*": {}}}}, port=1, admin={"port": 2})
    roles: dict[str, Any] = {"clerk": {"sets": {"Parts": {}}}, "boss": {"sets": {"*": {}}}}
    new = settings_of("acme", roles=roles, port=3, admin={"port": 4, "host": "::1"}, max_depth=3)

    names = changed_settings(running, new)
    usable, restart = in_force(running, new)

    assert {*names} == {
        *("roles.clerk", "roles.boss", "environments.acme", "max_depth"),
        *("port", "admin.port", "admin.host"),
    }
    assert {*restart} == {"port", "admin.port", "admin.host"} < {*NEEDS_RESTART}
    assert (usable.port, usable.admin, usable.max_depth) == (1, running.admin, 3)


async def test_settings_change_while_an_operation_runs() -> None:
    before = settings_of()
    async with hot(before) as here:
        running, gate = await begun(here, WRITE)

        attempt = await here.reload(settings_of(read_only=True, port=9))

        assert (attempt.outcome, attempt.changed, attempt.restart) == (
            *("changed", ("read_only",)),
            ("port",),
        )
        assert "createThing" not in str((await here.post(WRITE)).json().get("data"))
        assert here.app.retired == 1
        gate.set()
        assert (await running).json()["data"]["createThing"]["thing"] is not None
        await until(lambda: here.said(SettingsRetired))
        ready = (await here.http.get("/readyz")).json()["settings"]
        assert ready["outcome"] == "changed"

        again = await here.reload(settings_of(read_only=True))
        assert (again.outcome, here.app.retired) == ("unchanged", 0)
        assert len(here.said(SettingsReloaded)) == 1


BAD: dict[str, Any] = {
    "file": SettingsError("g.toml: port: 'x': accepted: a whole number", hint="Look."),
    "policy": {"roles": {"clerk": {"sets": {"Thing": {}}}}, "inbound": {"anonymous": True}},
    "profile": {"profiles": {"ap": {"sets": ["Nothing*"]}}},
    "pattern": {"include": ["Nothing*"]},
    "mapping": {"unified": {"folder": "/nowhere"}},
    "manifest": {"documents": {"manifest": "/nowhere.json"}},
    "environment": {"environments": {"acme": {"include": ["Nothing*"]}}},
}


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Hot]:
    async with hot(settings_of("acme")) as here:
        await here.post(NAMES, path_of("acme"))
        yield here


@pytest.mark.parametrize("name", BAD)
async def test_what_cannot_be_used_changes_nothing(served: Hot, name: str) -> None:
    bad = BAD[name]
    app, said = served.app.serving.app, len(served.said(SettingsNotReloaded))
    if isinstance(bad, dict):
        bad = settings_of(**({"environments": {"acme": {}}} | bad))

    attempt = await served.reload(bad)

    assert (attempt.outcome, attempt.changed) == ("failed", ())
    assert served.app.serving.app is app
    (event,) = served.said(SettingsNotReloaded)[said:]
    assert event.message == attempt.message
    assert attempt.hint, attempt
    assert (await served.post(NAMES, path_of("acme"))).status_code == 200


async def test_trusted_documents_must_still_run(tmp_path: Path) -> None:
    manifest = tmp_path / "m.json"
    manifest.write_text('{"one": "query names { things { nodes { name } } }"}')
    documents = {"documents": {"manifest": str(manifest), "check_hashes": False}}
    async with hot(settings_of(**documents)) as here:
        attempt = await here.reload(settings_of(**documents, include=["Parts"]))
        assert attempt.outcome == "failed"
        assert attempt.message.startswith("1 trusted document would no longer run:\n  ")
        assert "things" in attempt.message

        manifest.write_text('{"one": "query names { parts { nodes { name } } }"}')
        attempt = await here.reload(settings_of(**documents, include=["Parts"]))
        assert attempt.outcome == "changed"


async def test_files_that_settings_name_are_read_anew(tmp_path: Path) -> None:
    values = settings_of(unified={"folder": tmp_path})
    async with hot(values) as here:
        assert (await here.reload(values)).outcome == "unchanged"
        (tmp_path / "own.toml").write_text("[model]\nname = 5\n")

        bad = await here.reload(values)

        assert bad.outcome == "failed"
        assert "own.toml" in bad.message
        (tmp_path / "own.toml").write_text("# nothing yet\n")
        assert (await here.reload(values)).changed in {("unified.folder",), ()}


async def test_what_was_open_is_open_and_what_was_learned_stays() -> None:
    async with hot(settings_of("acme", "idle")) as here:
        await here.post(NAMES, path_of("acme"))
        await here.post(NAMES)
        limits = _limits(here)

        await here.reload(settings_of("acme", "idle", max_depth=7))

        assert _limits(here) == limits
        assert len(limits) == 2
        assert here.services[host_of("idle")].requests == 0
        await until(lambda: here.app.retired == 0)
        assert here.app.state.status.process.status_row("acme").state == "open"

        await here.reload(settings_of("acme", "idle", concurrency=3))
        assert set(_limits(here)).isdisjoint(limits)


def _limits(here: Hot) -> list[int]:
    state = here.app.state
    opened = (state.environment, *state.environments.opened())
    return [id(one.live.gateway.client.admission) for one in opened]


async def test_a_stream_ends_so_that_its_client_begins_anew() -> None:
    values: dict[str, Any] = {"url": None, "include": ["CustomerGroups"]}
    async with hot(settings_of(**values)) as here:
        query = 'subscription { entityChanged(set: "customerGroups") { kind id } }'
        headers = {"accept": "text/event-stream"}
        stream = asyncio.ensure_future(
            here.http.post("/graphql", json={"query": query}, headers=headers)
        )
        await until(lambda: here.app.state.subscriptions.watches)

        await here.reload(settings_of(**values, max_depth=7))

        text = (await stream).text
        assert "retry: " in text
        assert "event: complete" not in text


async def test_too_many_earlier_settings_end_the_oldest_requests() -> None:
    many = {"admission": {"start": 20}}
    async with hot(settings_of(**many)) as here:
        begins = [await begun(here, NAMES)]
        for depth in range(5, MAX_RETIRED + 6):
            await here.reload(settings_of(**many, max_depth=depth))
            begins.append(await begun(here, NAMES))
        (oldest, _), *others = begins
        ended = await oldest
        assert (ended.status_code, code_of(ended)) == (503, "STOPPING")
        for request, gate in others:
            gate.set()
            assert (await request).status_code == 200
        await until(lambda: here.app.retired == 0)
        assert sum(event.cut for event in here.said(SettingsRetired)) == 1


@pytest.mark.parametrize("reloads", bounded([8], [1_000]))
async def test_no_request_fails_while_settings_change(reloads: int) -> None:
    async with hot(settings_of("acme")) as here:
        statuses: list[int] = []
        is_over = False

        async def ask(path: str) -> None:
            while not is_over:
                answer = await here.post(NAMES, path)
                ok = answer.status_code == 200 and "errors" not in answer.json()
                statuses.append(200 if ok else 500)
                await asyncio.sleep(0.002)

        clients = [asyncio.ensure_future(ask(path)) for path in (path_of("acme"), "/graphql")]
        for number in range(reloads):
            changed = settings_of("acme", max_depth=10 + number % 3)
            assert (await here.reload(changed)).outcome != "failed"
        is_over = True
        await asyncio.gather(*clients)
        assert set(statuses) == {200}
        assert len(statuses) > reloads


@pytest.mark.parametrize("reloads", bounded([4], [50]))
async def test_nothing_is_left_of_earlier_settings(reloads: int) -> None:
    async with hot(settings_of("acme"), collect_new) as here:

        async def objects_after(number: int) -> int:
            for depth in range(number):
                await here.post(RENAME, path_of("acme"))
                await here.post(NAMES)
                attempt = await here.reload(settings_of("acme", max_depth=5 + depth % 2))
                assert attempt.outcome == "changed"
                await until(lambda: here.app.retired == 0)
            here.events.clear()
            await until(lambda: _collected(here))
            return len(gc.get_objects())

        # Tables of the process fill at the first ones; timers of requests end a little later.
        before = await objects_after(2)
        after = await objects_after(reloads)
        assert (after - before) / reloads < 100


def _collected(here: Hot) -> bool:
    gc.collect()
    return here.alive == 1
