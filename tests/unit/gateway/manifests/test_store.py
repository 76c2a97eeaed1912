"""``gateway.manifests``: the last good release is served, whatever becomes of the manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.document_models import DocumentOptions
from gateway.config.settings import Settings
from gateway.documents.trusted import sha256_of
from gateway.errors import SettingsError
from gateway.events import Event
from gateway.events.documents import DocumentsLoaded, DocumentsRefused
from gateway.manifests.store import TrustedStore, open_documents
from tests.support.manifests import write
from tests.support.manual_clock import until
from tests.support.sockets import PATIENCE

pytestmark = pytest.mark.anyio
TEXT = "query Orders { salesOrderHeadersV2(first: 1) { totalCount } }"
OTHER = "query Others { customersV3(first: 1) { totalCount } }"
ADDRESS = "https://cdn.example/manifest.json"


def store_of(
    manifest: Path | str, transport: httpx.AsyncBaseTransport | None = None, **options: Any
) -> tuple[TrustedStore, list[Event]]:
    events: list[Event] = []
    cache = options.pop("cache_dir", None)
    settings = Settings(
        documents=DocumentOptions(manifest=str(manifest), **options), cache_dir=cache
    )
    store = open_documents(settings, events.append, transport)
    assert store is not None
    return store, events


def served(store: TrustedStore) -> set[str]:
    return {document.id for document in store.release.documents}


async def test_a_changed_manifest_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = write(tmp_path / "m.json", {"a": TEXT, "b": OTHER})
    store, events = store_of(path)
    noticed: list[set[str]] = []
    store.listeners.append(lambda: noticed.append(served(store)))

    await store.start()
    await store.refresh()
    write(path, {"b": OTHER, "c": OTHER})
    await store.refresh()

    assert noticed == [{"a", "b"}, {"b", "c"}]
    assert events == [
        DocumentsLoaded(manifest=str(path), documents=2, added=2, removed=0),
        DocumentsLoaded(manifest=str(path), documents=2, added=1, removed=1),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"a": "que', "not written to its end"),
        ({"a": ""}, "the document a is empty"),
        ({sha256_of(TEXT): OTHER}, "is not the hash"),
        ({"a": TEXT + " " * 2_000}, "more than 1,000 bytes"),
    ],
)
async def test_the_last_good_manifest_is_served_on(
    tmp_path: Path, content: object, reason: str
) -> None:
    path = write(tmp_path / "m.json", {"a": TEXT})
    store, events = store_of(path, max_bytes=1_000)
    await store.start()
    del events[:]

    write(path, content)
    for _ in range(3):
        await store.refresh()

    assert served(store) == {"a"}
    (refused,) = events
    assert isinstance(refused, DocumentsRefused)
    assert reason in refused.reason
    write(path, {"b": TEXT})
    await store.refresh()
    assert served(store) == {"b"}


async def test_a_manifest_that_disappears_is_reported_once(tmp_path: Path) -> None:
    path = write(tmp_path / "m.json", {"a": TEXT})
    store, events = store_of(path)
    await store.start()
    del events[:]

    path.unlink()
    for _ in range(3):
        await store.refresh()

    assert served(store) == {"a"}
    assert [type(e) for e in events] == [DocumentsRefused]


async def test_a_folder_has_manifests_and_documents(tmp_path: Path) -> None:
    write(tmp_path / "apps/shop~1.4.0.json", {"x1": TEXT})
    write(tmp_path / "relay.json", {"x2": OTHER})
    write(tmp_path / "orders.graphql", f"\ufeff{TEXT}")
    write(tmp_path / ".hidden/other.json", "{")
    write(tmp_path / "README.md", "no manifest")
    store, _ = store_of(tmp_path)

    await store.start()

    assert served(store) == {"shop~1.4.0~x1", "x2", "orders"}
    named = store.release.get(f"sha256:{sha256_of(TEXT)}")
    assert named is not None
    assert named.text == TEXT


async def test_a_contradiction_in_a_folder_names_the_file(tmp_path: Path) -> None:
    write(tmp_path / "a.json", {"x": TEXT})
    write(tmp_path / "b.json", "{")
    store, _ = store_of(tmp_path)

    with pytest.raises(SettingsError, match=r"b\.json: it is not JSON"):
        await store.start()


async def test_two_files_may_not_have_one_id(tmp_path: Path) -> None:
    write(tmp_path / "a.json", {"x": TEXT})
    write(tmp_path / "x.graphql", OTHER)
    store, _ = store_of(tmp_path)

    with pytest.raises(SettingsError, match="two documents have the id x"):
        await store.start()


async def test_a_file_that_is_being_written_is_not_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "m.json", {"a": TEXT})
    store, events = store_of(path)
    await store.start()
    del events[:]
    source: Any = store._source
    read = source._contents

    def overtaken(paths: list[Path]) -> object:
        contents = read(paths)
        write(path, {"b": TEXT})  # somebody writes while it is read
        return contents

    source._contents = overtaken
    write(path, {"c": TEXT})
    await store.refresh()

    assert (served(store), events) == ({"a"}, [])
    source._contents = read
    await store.refresh()
    assert served(store) == {"b"}


async def test_a_missing_manifest_stops_the_start(tmp_path: Path) -> None:
    store, _ = store_of(tmp_path / "none.json")

    with pytest.raises(SettingsError, match=r"documents\.manifest: .*none\.json"):
        await store.start()


async def test_it_is_polled_while_it_runs(tmp_path: Path) -> None:
    path = write(tmp_path / "m.json", {"a": TEXT})
    store, _ = store_of(path, poll=0.01)

    before = asyncio.all_tasks()
    async with store.running():
        write(path, {"b": TEXT})
        await until(lambda: served(store) == {"b"})
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("poll", [0.0, 1_000.0])
async def test_it_is_read_at_once_on_demand(tmp_path: Path, poll: float) -> None:
    path = write(tmp_path / "m.json", {"a": TEXT})
    store, _ = store_of(path, poll=poll)

    async with store.running():
        write(path, {"b": TEXT})
        store.trigger()
        await until(lambda: served(store) == {"b"})


@pytest.mark.parametrize("turns", range(8))
async def test_it_ends_while_it_is_read_on_demand(tmp_path: Path, turns: int) -> None:
    store, _ = store_of(write(tmp_path / "m.json", {"a": TEXT}), poll=1_000.0)

    async with asyncio.timeout(PATIENCE):
        async with store.running():
            await asyncio.sleep(0)
            store.trigger()
            for _ in range(turns):
                await asyncio.sleep(0)


class Cdn(httpx.AsyncBaseTransport):
    """An address with a manifest, and the requests that it gets."""

    def __init__(self) -> None:
        self.answer: Callable[[httpx.Request], httpx.Response] = lambda _: httpx.Response(503)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer(request)

    def publish(self, content: object, etag: str) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            if request.headers.get("if-none-match") == etag:
                return httpx.Response(304)
            return httpx.Response(200, json=content, headers={"etag": etag})

        self.answer = answer


@pytest.fixture
def cdn() -> Cdn:
    return Cdn()


async def test_an_address_is_fetched_when_its_etag_changes(cdn: Cdn, tmp_path: Path) -> None:
    cdn.publish({"a": TEXT}, '"1"')
    store, events = store_of(ADDRESS, cdn, token="secret-token", cache_dir=tmp_path)

    async with store.running():
        await store.refresh()
        cdn.publish({"b": TEXT}, '"2"')
        await store.refresh()

    assert served(store) == {"b"}
    assert [r.headers.get("if-none-match") for r in cdn.requests] == [None, '"1"', '"1"']
    assert {r.headers["authorization"] for r in cdn.requests} == {"Bearer secret-token"}
    assert "secret-token" not in repr(events)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(302, headers={"location": "https://other.example"}), "status 302"),
        (httpx.Response(304), "status 304"),
        (httpx.Response(200, content=b'{"a": "qu'), "not written to its end"),
        (httpx.Response(200, content=b"x" * 2_000), "more than 1,000 bytes"),
        (
            httpx.Response(
                200, stream=httpx.ByteStream(b"x"), headers={"content-encoding": "gzip"}
            ),
            "compressed",
        ),
    ],
)
async def test_an_answer_that_is_no_manifest_is_refused(
    cdn: Cdn, answer: httpx.Response, reason: str
) -> None:
    cdn.answer = lambda _: answer
    store, _ = store_of(ADDRESS, cdn, max_bytes=1_000)

    with pytest.raises(SettingsError, match=reason):
        await store.start()


async def test_the_stored_manifest_starts_a_gateway_without_its_address(
    cdn: Cdn, tmp_path: Path
) -> None:
    cdn.publish({"a": TEXT}, '"1"')
    store, _ = store_of(ADDRESS, cdn, cache_dir=tmp_path)
    await store.start()

    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("away")

    cdn.answer = fail
    other, events = store_of(ADDRESS, cdn, cache_dir=tmp_path)
    await other.start()

    assert served(other) == {"a"}
    assert [type(e) for e in events] == [DocumentsRefused, DocumentsLoaded]


async def test_a_signature_in_the_address_is_not_logged(cdn: Cdn) -> None:
    cdn.publish({"a": TEXT}, '"1"')
    store, events = store_of(f"{ADDRESS}?sig=s3cr3t", cdn)

    await store.start()

    assert "s3cr3t" not in repr(events)
    assert cdn.requests[0].url.query == b"sig=s3cr3t"


def test_counts_are_those_of_the_documents_that_exist(tmp_path: Path) -> None:
    path = write(tmp_path / "m.json", {"a": TEXT, "b": OTHER})
    store, _ = store_of(path)
    asyncio.run(store.start())
    first, second = store.release.documents
    store.usage.note(first)
    store.usage.note(second)
    store.usage.note(second)

    write(path, {"b": OTHER})
    asyncio.run(store.refresh())

    assert (store.usage.of(first).count, store.usage.of(second).count) == (0, 2)
    assert store.usage.of(second).last > 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"mode": "only"}, "mode only needs manifest"),
        ({"manifest": "http://cdn.example/m.json"}, "https"),
        ({"manifest": "https://me:pw@cdn.example/m.json"}, "without a password"),
        ({"manifest": "ftp://cdn.example/m.json"}, "https"),
        ({"manifest": " "}, "a file, a folder"),
    ],
)
def test_unusable_options_are_refused(options: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        DocumentOptions(**options)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"profiles": {"shop": {"documents": "only"}}}, "profiles.shop.documents is only"),
        ({"roles": {"app": {"documents": "only"}}}, "roles.app.documents is only"),
        ({"documents": {"policy": {"*": {"roles": ["clerc"]}}}}, "there is no role clerc"),
    ],
)
def test_settings_that_contradict_are_refused(values: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Settings.model_validate(values)
