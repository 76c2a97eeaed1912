"""Label texts: fetched once each, and never an error."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from gateway.events import Event, LabelsUnavailable
from gateway.metadata.labels import load_labels
from tests.support.scripted_upstream import Upstream, upstream

pytestmark = pytest.mark.anyio
ENVIRONMENT = "https://fo.example"
TEXTS = {"@SYS1": "Customer", "@SYS2": "Order"}


def labels(request: httpx.Request) -> httpx.Response:
    """One label a request; no list."""
    for label, text in TEXTS.items():
        if label in str(request.url.path):
            return httpx.Response(200, json={"Id": label, "Language": "en-US", "Value": text})
    return httpx.Response(404)


def listed(*ids: str, link: str | None = None) -> httpx.Response:
    rows = [{"Id": i, "Language": "en-US", "Value": TEXTS[i]} for i in ids]
    return httpx.Response(200, json={"value": rows, **({"@odata.nextLink": link} if link else {})})


def asked(fo: Upstream) -> list[str]:
    return [request.url.raw_path.decode().removeprefix("/metadata/") for request in fo.requests]


def one(label: str) -> str:
    return f"Labels(Id='%40{label}',Language='en-US')"


LIST = "Labels?$filter=Language%20eq%20'en-US'"


def kept(folder: Path) -> list[Path]:
    return list(folder.rglob("*.cache"))


async def load(
    fo: Upstream, ids: list[str], cache: Path | None = None, *, refresh: bool = False
) -> tuple[dict[str, str], list[Event]]:
    events: list[Event] = []
    async with fo.client(retries=0) as client:
        texts = await load_labels(
            client,
            ENVIRONMENT,
            ids,
            "en-US",
            cache_dir=cache,
            refresh=refresh,
            observe=events.append,
        )
    return texts, events


async def test_labels_are_listed_by_the_metadata_service() -> None:
    fo = upstream(listed("@SYS1", "@SYS2"))

    texts, events = await load(fo, ["@SYS1", "@SYS2", "@SYS3"])

    assert (texts, events) == (TEXTS, [])
    assert asked(fo) == [LIST]


async def test_a_list_of_several_pages_is_followed() -> None:
    fo = upstream(
        listed("@SYS1", link="https://inside.example/metadata/Labels?$skiptoken=2"),
        listed("@SYS2"),
    )

    texts, events = await load(fo, ["@SYS1", "@SYS2"])

    assert (texts, events) == (TEXTS, [])
    assert asked(fo) == [LIST, "Labels?$skiptoken=2"]
    assert {request.url.host for request in fo.requests} == {"fo.example"}


@pytest.mark.parametrize(
    "link",
    [LIST, "https://elsewhere.example/other/Labels?$skip=1", "/metadata/../data/Labels", "x\n"],
)
async def test_a_partial_list_is_completed_one_by_one(link: str) -> None:
    fo = upstream(listed("@SYS1", link=link), labels)

    texts, events = await load(fo, ["@SYS1", "@SYS2", "@SYS3"])

    assert (texts, events) == (TEXTS, [])
    assert asked(fo) == [LIST, one("SYS2"), one("SYS3")]


async def test_labels_listed_before_a_failure_are_kept() -> None:
    fo = upstream(listed("@SYS1", link="Labels?$skip=1"), httpx.Response(403), httpx.Response(403))

    texts, events = await load(fo, ["@SYS1", "@SYS2"])

    assert texts == {"@SYS1": "Customer"}
    assert [type(event) for event in events] == [LabelsUnavailable]


async def test_an_endless_list_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.metadata.labels.MAX_PAGES", 3)

    def endless(request: httpx.Request) -> httpx.Response:
        if "(" in request.url.path:
            return labels(request)
        return listed("@SYS1", link=f"Labels?$skip={len(fo.requests)}")

    fo = upstream(endless)

    texts, _ = await load(fo, ["@SYS1", "@SYS2"])

    assert texts == TEXTS
    assert asked(fo)[3:] == [one("SYS2")]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(400),
        httpx.Response(200, json={"value": []}),
        httpx.Response(200, json={"value": [{"Id": 5}]}),
        httpx.Response(200, json=[]),
        httpx.Response(200, content=b'{"value": [', headers={"content-type": "application/json"}),
    ],
)
async def test_without_a_list_each_label_is_requested_once(answer: httpx.Response) -> None:
    fo = upstream(answer, labels)

    texts, events = await load(fo, ["@SYS1", "@SYS2", "@SYS1", "@SYS3"])

    assert (texts, events) == (TEXTS, [])
    assert asked(fo) == [LIST, one("SYS1"), one("SYS2"), one("SYS3")]


async def test_a_quote_in_an_id_is_doubled() -> None:
    fo = upstream(labels)

    await load(fo, ["O'Neil/1"])

    assert b"(Id='O%27%27Neil%2F1'," in fo.requests[1].url.raw_path


async def test_labels_and_their_absence_are_cached(tmp_path: Path) -> None:
    fo = upstream(labels)

    first, _ = await load(fo, ["@SYS1", "@SYS3"], tmp_path)
    second, _ = await load(fo, ["@SYS1", "@SYS2", "@SYS3"], tmp_path)

    assert (first, second) == ({"@SYS1": "Customer"}, TEXTS)
    assert asked(fo) == [LIST, one("SYS1"), one("SYS3"), LIST, one("SYS2")]
    await load(fo, ["@SYS1"], tmp_path, refresh=True)
    assert asked(fo)[5:] == [LIST, one("SYS1")]


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(404), httpx.Response(403), httpx.Response(302), httpx.ConnectError("away")],
)
async def test_a_service_without_labels_gets_few_requests(
    tmp_path: Path, answer: httpx.Response | Exception
) -> None:
    fo = upstream(answer)

    texts, events = await load(fo, [f"@SYS{n}" for n in range(1_000)], tmp_path)

    assert texts == {}
    assert [type(event) for event in events] == [LabelsUnavailable]
    assert len(fo.requests) <= 21
    assert kept(tmp_path) == []


async def test_labels_found_before_a_failure_are_kept(tmp_path: Path) -> None:
    def first_ones(request: httpx.Request) -> httpx.Response:
        if len(fo.requests) > 21:
            return httpx.Response(400)
        return httpx.Response(200, json={"Value": "text"})

    fo = upstream(first_ones)

    texts, events = await load(fo, [f"@SYS{n}" for n in range(1_000)], tmp_path)

    assert len(texts) == 20
    assert [type(event) for event in events] == [LabelsUnavailable]


async def test_an_unreadable_label_has_no_text() -> None:
    fo = upstream(
        httpx.Response(404),
        httpx.Response(200, json={"Value": "text"}),
        httpx.Response(200, json={"Value": 5}),
    )

    texts, events = await load(fo, ["@A", "@B"])

    assert (texts, events) == ({"@A": "text"}, [])


async def test_no_labels_need_no_request() -> None:
    fo = upstream(labels)

    assert await load(fo, []) == ({}, [])
    assert fo.requests == []
