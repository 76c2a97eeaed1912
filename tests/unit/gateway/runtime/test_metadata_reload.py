"""Reloading metadata under load: all or nothing, and no request fails."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.events import Event, MetadataLoaded, MetadataReloaded, ReloadFailed, SchemaBuilt
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.model_builder import LoadedModel
from gateway.metadata.model_process import BuildModel, build_in_subprocess
from gateway.runtime import background_build
from tests.support.changing_metadata import Changing, build_here, csdl
from tests.support.manual_clock import until
from tests.support.soak import bounded

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
TOKEN = "0123456789abcdef-admin"
OLD, NEW = csdl("Name"), csdl("Name", "Colour")
QUERY = "{ things(first: 1) { nodes { name } } }"
ANSWER = {"data": {"things": {"nodes": [{"name": "one"}]}}}
SHAPE = '{ __type(name: "Thing") { fields { name } } }'


class Served:
    """An application over a service that changes, and what it said."""

    def __init__(self, app: Starlette, service: Changing, events: list[Event]) -> None:
        self.app, self.service, self.events = app, service, events

    async def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.request(method, path, **more)

    async def ask(self, query: str = QUERY) -> Any:
        return (await self.send("POST", "/graphql", json={"query": query})).json()

    async def fields(self) -> list[str]:
        body = await self.ask(SHAPE)
        return [field["name"] for field in body["data"]["__type"]["fields"]]

    async def ready(self) -> Any:
        return (await self.send("GET", "/readyz")).json()

    async def reload(self, token: str = TOKEN) -> httpx.Response:
        return await self.send(
            "POST", "/admin/reload", headers={"Authorization": f"Bearer {token}"}
        )

    def said(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def serving(
    service: Changing, build_model: BuildModel = build_in_subprocess, **values: object
) -> AsyncIterator[Served]:
    settings = Settings.model_validate(
        {
            "url": "https://fo.example/data",
            "auth": "none",
            "dialect": "finops",
            "retries": 0,
            "admin_token": TOKEN,
            "metadata_poll": 0,
            **values,
        }
    )
    events: list[Event] = []
    transport = httpx.MockTransport(service.answer)
    app = create_app(settings, transport=transport, observe=events.append, build_model=build_model)
    async with app.router.lifespan_context(app):
        yield Served(app, service, events)


@pytest.mark.heavy
async def test_no_request_fails_while_the_metadata_change(tmp_path: Path) -> None:
    documents = [csdl("Name", *(f"P{i}" for i in range(n))) for n in range(1, bounded(3, 5))]
    service = Changing(OLD)
    counts: dict[int, int] = {}
    failures: list[object] = []
    stop = asyncio.Event()

    async def hammer(http: httpx.AsyncClient, number: int) -> None:
        at = 0
        while not stop.is_set():
            at += 1
            query = f"query Q{number}_{at % 40} {{ things(first: 1) {{ nodes {{ name }} }} shape: __type"
            query += '(name: "Thing") { fields { name } } }'
            response = await http.post("/graphql", json={"query": query})
            body = response.json()
            if response.status_code != 200 or "errors" in body or body["data"]["things"] is None:
                failures.append(body)
                continue
            size = len(body["data"]["shape"]["fields"])
            counts[size] = counts.get(size, 0) + 1
            await asyncio.sleep(0.005)  # the process that reads needs a core too

    async with (
        serving(service, cache_dir=tmp_path) as served,
        listening(served.app) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        hammers = [asyncio.create_task(hammer(http, number)) for number in range(3)]
        await until(lambda: counts)
        for document in documents:
            service.document = document
            assert (await served.reload()).json()["reload"]["outcome"] == "changed"
            assert (await served.ready())["metadata"] == service.digest
            answered = sum(counts.values())
            await until(lambda: sum(counts.values()) > answered + 20)  # noqa: B023 - awaited here
        stop.set()
        await asyncio.gather(*hammers)

    assert failures == []
    # a field more with each document
    assert sorted(counts) == [min(counts) + more for more in range(len(documents) + 1)]


@asynccontextmanager
async def listening(app: Starlette) -> AsyncIterator[str]:
    config = uvicorn.Config(app, lifespan="off", log_config=None, port=0, timeout_keep_alive=600)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


async def test_an_operation_ends_on_the_metadata_it_began_on(tmp_path: Path) -> None:
    service = Changing(OLD)
    async with serving(service, build_here, cache_dir=tmp_path) as served:
        service.gate = asyncio.Event()
        old = weakref.ref(served.app.state.live.gateway.schema)
        running = asyncio.create_task(served.ask())
        await until(lambda: service.waiting == 1)
        service.document = csdl("Colour")

        await served.reload()

        assert "name" not in await served.fields()
        assert served.app.state.live.retired == 1
        service.gate.set()
        assert await running == ANSWER
        assert served.app.state.live.retired == 0
        await until(lambda: old() is None)
    assert old() is None


@pytest.mark.parametrize("etag", [True, False])
@pytest.mark.parametrize("cached", [True, False])
async def test_an_unchanged_document_changes_nothing(
    tmp_path: Path, etag: bool, cached: bool
) -> None:
    service = Changing(OLD, etag=etag)
    async with serving(service, build_here, cache_dir=tmp_path if cached else None) as served:
        before = served.app.state.live.gateway

        body = (await served.reload()).json()

        assert body["reload"]["outcome"] == "unchanged"
        assert service.asked == [200, 304 if etag else 200]
        assert served.app.state.live.gateway is before
        assert [(e.changed, e.reason) for e in served.said(MetadataReloaded)] == [(False, "admin")]
        assert len(served.said(MetadataLoaded)) == len(served.said(SchemaBuilt)) == 1


async def test_only_a_service_with_validators_is_polled(tmp_path: Path) -> None:
    cheap, dear = Changing(OLD), Changing(OLD, etag=False)
    for service in (cheap, dear):
        folder = tmp_path / str(service.etag)
        async with serving(service, build_here, cache_dir=folder) as served:
            await served.app.state.reloader.reload("poll")
            await served.app.state.reloader.reload("signal")

    assert cheap.asked == [200, 304, 304]
    assert dear.asked == [200, 200]


async def test_a_poll_finds_new_metadata(tmp_path: Path) -> None:
    service = Changing(OLD)
    async with serving(service, build_here, cache_dir=tmp_path, metadata_poll=0.01) as served:
        service.document = NEW
        await until(lambda: served.app.state.live.generation == 2)

        assert "colour" in await served.fields()


async def test_the_sandbox_is_not_polled() -> None:
    events: list[Event] = []
    app = create_app(Settings(language=None, metadata_poll=0.001), observe=events.append)
    async with app.router.lifespan_context(app):
        await asyncio.sleep(0.05)
        assert app.state.reloader.last is None
        assert (await app.state.reloader.reload("signal")).outcome == "unchanged"


FAULTS = {
    "away": (httpx.Response(503), "UPSTREAM", None),
    "page": (httpx.Response(200, text="<html>Sign in</html>"), "a web page", "service root"),
    "xml": (httpx.Response(200, text="<a><b></a>"), "line 1", None),
    "nothing to serve": (httpx.Response(200, text=csdl(sets=())), "", None),
    "no relation": (httpx.Response(200, text=csdl(sets=("Others",))), "Things", None),
}


@pytest.mark.heavy
@pytest.mark.parametrize("fault", FAULTS)
async def test_unusable_metadata_leaves_the_last_good_one(tmp_path: Path, fault: str) -> None:
    # What the process reports is tested with one fault; each process takes a second.
    build = build_in_subprocess if fault == "xml" else build_here
    response, said, hint = FAULTS[fault]
    values: dict[str, Any] = {"cache_dir": tmp_path}
    if fault == "nothing to serve":
        values["include"] = ["Things"]
    if fault == "no relation":
        relation = {"from_set": "Things", "fields": ["Id"], "to_set": "Things", "name": "Self"}
        values["relations"] = [relation]
    service = Changing(OLD)
    async with serving(service, build, **values) as served:
        before = served.app.state.live.gateway
        service.fault = response

        answer = await served.reload()

        body = answer.json()["reload"]
        assert (answer.status_code, body["outcome"]) == (502, "failed")
        assert said.lower() in body["message"].lower() or fault == "away"
        assert hint is None or hint in body["hint"]
        (event,) = served.said(ReloadFailed)
        assert (event.message, event.metadata) == (body["message"], before.metadata.digest)
        assert await served.ask() == ANSWER
        ready = await served.ready()
        assert (ready["status"], ready["metadata"]) == ("ready", before.metadata.digest)
        assert ready["reload"]["outcome"] == "failed"
        assert "fo.example" not in str(ready)

        service.fault, service.document = None, csdl("Name", "Colour")
        assert (await served.reload()).json()["reload"]["outcome"] == "changed"
        assert (await served.ready())["reload"]["outcome"] == "changed"


async def test_a_failed_subprocess_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Changing(OLD)
    async with serving(service, cache_dir=tmp_path) as served:
        service.document = NEW
        monkeypatch.setattr(sys, "executable", "/bin/false")

        body = (await served.reload()).json()["reload"]

        assert body["message"] == "The process that reads the metadata exited with 1."
        assert await served.ask() == ANSWER


@pytest.mark.heavy
@pytest.mark.parametrize("cached", [True, False])
async def test_a_subprocess_makes_the_model(
    tmp_path: Path, cached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(background_build, "make_model", lambda *_: read.append("here"))
    service = Changing(OLD)
    async with serving(service, cache_dir=tmp_path if cached else None) as served:
        service.document = NEW
        await served.reload()

        assert "colour" in await served.fields()
        assert await served.ask() == ANSWER
        types = served.app.state.live.gateway.catalog.model.entity_types
        assert types.decoded == 1
    assert read == []


@pytest.mark.heavy
async def test_prefixes_of_a_subgraph_survive_a_reload(tmp_path: Path) -> None:
    """They decide names, so the process that makes the model must know them."""
    service = Changing(OLD)
    prefixes = {"prefix": "erp", "type_prefix": "Erp"}
    async with serving(service, cache_dir=tmp_path, federation=prefixes) as served:
        service.document = NEW

        assert (await served.reload()).json()["reload"]["outcome"] == "changed"
        assert await served.ask("{ erpThings(first: 1) { nodes { name } } }") == {
            "data": {"erpThings": {"nodes": [{"name": "one"}]}}
        }


@pytest.mark.heavy
async def test_without_a_usable_folder_a_temporary_one_is_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    service = Changing(OLD)
    async with serving(service, cache_dir=tmp_path / "file") as served:
        service.document = NEW
        assert (await served.reload()).json()["reload"]["outcome"] == "changed"
        assert "colour" in await served.fields()


@pytest.mark.heavy
@pytest.mark.parametrize("damage", ["cut", "foreign", "another"])
async def test_an_untrusted_snapshot_is_replaced(tmp_path: Path, damage: str) -> None:
    build = build_in_subprocess if damage == "cut" else build_here
    service = Changing(OLD)
    async with serving(service, build, cache_dir=tmp_path) as served:
        service.document = NEW
        await served.reload()
        (path,) = (tmp_path / "models").glob("*.snapshot")
        whole = path.read_bytes()
        service.document = csdl("Name", "Size")
        await served.reload()
        path.unlink()
        path.write_bytes({"cut": whole[:99], "foreign": b"PK" * 99, "another": whole}[damage])
        service.document = NEW if damage != "another" else csdl("Name", "Weight")

        assert (await served.reload()).json()["reload"]["outcome"] == "changed"

        expected = "weight" if damage == "another" else "colour"
        assert expected in await served.fields()


@pytest.mark.heavy
async def test_one_worker_parses_for_all(tmp_path: Path) -> None:
    made: list[str] = []

    async def counted(settings: Settings, document: MetadataDocument) -> LoadedModel:
        made.append(document.digest)
        return await build_in_subprocess(settings, document)

    service = Changing(OLD, etag=False)
    async with (
        serving(service, counted, cache_dir=tmp_path) as one,
        serving(service, counted, cache_dir=tmp_path) as two,
        serving(service, counted, cache_dir=tmp_path) as three,
    ):
        service.document = NEW
        service.asked.clear()
        workers = (one, two, three)
        attempts = await asyncio.gather(
            *(worker.app.state.reloader.reload("signal") for worker in workers)
        )

        assert [attempt.outcome for attempt in attempts] == ["changed"] * 3
        assert made == [service.digest]
        assert service.asked == [200]
        for worker in workers:
            assert "colour" in await worker.fields()


async def test_concurrent_reloads_share_the_next_attempt(tmp_path: Path) -> None:
    service = Changing(OLD)
    async with serving(service, build_here, cache_dir=tmp_path) as served:
        service.asked.clear()
        await asyncio.gather(*(served.reload() for _ in range(10)))

    assert 1 <= len(service.asked) <= 2


async def test_new_metadata_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "m.xml"
    path.write_text(OLD)
    async with serving(
        Changing(""), build_here, metadata=str(path), cache_dir=tmp_path / "cache"
    ) as served:
        assert (await served.reload()).json()["reload"]["outcome"] == "unchanged"
        path.write_text(NEW)
        assert (await served.reload()).json()["reload"]["outcome"] == "changed"
        path.unlink()
        failed = (await served.reload()).json()["reload"]

        assert "colour" in await served.fields()
        assert (failed["outcome"], "cannot be read" in failed["message"]) == ("failed", True)
        assert str(tmp_path) not in str(await served.ready())


# -- the admin call


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer wrong", TOKEN, f"Basic {TOKEN}"])
async def test_without_the_token_nothing_is_reloaded(tmp_path: Path, given: str | None) -> None:
    service = Changing(OLD)
    async with serving(service, cache_dir=tmp_path) as served:
        headers = {} if given is None else {"Authorization": given}

        refused = await served.send("POST", "/admin/reload", headers=headers)

        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert service.asked == [200]


async def test_without_a_token_there_is_no_such_path(tmp_path: Path) -> None:
    async with serving(Changing(OLD), cache_dir=tmp_path, admin_token=None) as served:
        assert (await served.reload()).status_code == 404


async def test_only_a_post_reloads(tmp_path: Path) -> None:
    async with serving(Changing(OLD), cache_dir=tmp_path) as served:
        assert (await served.send("GET", "/admin/reload")).status_code == 405


async def test_reload_before_the_start_is_unavailable() -> None:
    app = create_app(Settings(admin_token=TOKEN, language=None))  # type: ignore[arg-type]

    assert (await Served(app, Changing(""), []).reload()).status_code == 503


async def test_shutdown_does_not_wait_for_a_reload(tmp_path: Path) -> None:
    async def endless(*_: object) -> NoReturn:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    service = Changing(OLD)
    async with serving(service, endless, cache_dir=tmp_path) as served:
        service.document = NEW
        served.app.state.reloader.trigger("signal")
        await until(lambda: len(service.asked) == 2)
        (task,) = served.app.state.reloader._tasks

    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
