"""``gateway.labels``: texts of label ids, once each, and never an error."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from gateway.events import Event, LabelsUnavailable
from gateway.labels import load_labels
from tests.support.upstream import Upstream, upstream

pytestmark = pytest.mark.anyio
ROOT = "https://fo.example/data"
TEXTS = {"@SYS1": "Customer", "@SYS2": "Order"}


def labels(request: httpx.Request) -> httpx.Response:
    for label, text in TEXTS.items():
        if label in str(request.url.path):
            return httpx.Response(200, json={"Id": label, "Language": "en-US", "Value": text})
    return httpx.Response(404)


def kept(folder: Path) -> list[Path]:
    return list(folder.rglob("*.cache"))


async def load(
    fo: Upstream, ids: list[str], cache: Path | None = None, *, refresh: bool = False
) -> tuple[dict[str, str], list[Event]]:
    events: list[Event] = []
    async with fo.client(retries=0) as client:
        texts = await load_labels(
            client, ROOT, ids, "en-US", cache_dir=cache, refresh=refresh, observe=events.append
        )
    return texts, events


async def test_each_label_is_asked_for_once_beside_the_data_service() -> None:
    fo = upstream(labels)

    texts, events = await load(fo, ["@SYS1", "@SYS2", "@SYS1", "@SYS3"])

    assert (texts, events) == (TEXTS, [])
    assert [request.url.raw_path for request in fo.requests] == [
        f"/metadata/Labels(Id='%40SYS{n}',Language='en-US')".encode() for n in (1, 2, 3)
    ]


async def test_a_quote_in_an_id_is_doubled() -> None:
    fo = upstream(labels)

    await load(fo, ["O'Neil/1"])

    assert b"(Id='O%27%27Neil%2F1'," in fo.requests[0].url.raw_path


async def test_labels_are_kept_and_so_is_their_absence(tmp_path: Path) -> None:
    fo = upstream(labels)

    first, _ = await load(fo, ["@SYS1", "@SYS3"], tmp_path)
    second, _ = await load(fo, ["@SYS1", "@SYS2", "@SYS3"], tmp_path)

    assert (first, second) == ({"@SYS1": "Customer"}, TEXTS)
    assert len(fo.requests) == 3
    await load(fo, ["@SYS1"], tmp_path, refresh=True)
    assert len(fo.requests) == 4


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(404), httpx.Response(403), httpx.Response(302), httpx.ConnectError("away")],
)
async def test_a_service_without_labels_is_asked_few_times_and_told(
    tmp_path: Path, answer: httpx.Response | Exception
) -> None:
    fo = upstream(answer)

    texts, events = await load(fo, [f"@SYS{n}" for n in range(1_000)], tmp_path)

    assert texts == {}
    assert [type(event) for event in events] == [LabelsUnavailable]
    assert len(fo.requests) <= 20
    assert kept(tmp_path) == []


async def test_what_was_found_before_a_trouble_is_kept(tmp_path: Path) -> None:
    def first_ones(request: httpx.Request) -> httpx.Response:
        if len(fo.requests) > 20:
            return httpx.Response(400)
        return httpx.Response(200, json={"Value": "text"})

    fo = upstream(first_ones)

    texts, events = await load(fo, [f"@SYS{n}" for n in range(1_000)], tmp_path)

    assert len(texts) == 20
    assert [type(event) for event in events] == [LabelsUnavailable]


async def test_an_answer_that_is_no_label_is_none() -> None:
    fo = upstream(
        httpx.Response(200, json={"Value": "text"}), httpx.Response(200, json={"Value": 5})
    )

    texts, events = await load(fo, ["@A", "@B"])

    assert (texts, events) == ({"@A": "text"}, [])


async def test_no_labels_need_no_request() -> None:
    fo = upstream(labels)

    assert await load(fo, []) == ({}, [])
    assert fo.requests == []
