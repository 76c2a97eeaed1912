"""``changes`` by the change tracking of a service: every row, every deletion, whatever happens between two answers."""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.changes.describe import describe_changes
from gateway.runtime.assembly import Gateway
from tests.support.followed import Follower
from tests.support.tracked_service import TrackedService, note, over

pytestmark = pytest.mark.anyio
NOTES: dict[str, Any] = {
    "set": "Notes",
    "row": "... on Note { noteId: id topic text }",
    "companies": None,
}


@pytest.fixture
def service() -> TrackedService:
    return TrackedService([note(name, topic) for name, topic in zip("abcde", "xxyyx", strict=True)])


@pytest.fixture
async def gateway(service: TrackedService, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with over(service, tmp_path) as gateway:
        yield gateway


def texts(answer: dict[str, Any]) -> list[str]:
    return [row["node"]["text"] for row in answer["upserts"]]


async def test_the_service_tells_changed_and_deleted_rows(
    gateway: Gateway, service: TrackedService
) -> None:
    client = Follower(gateway, **NOTES)
    (first,) = await client.catch_up()
    assert (len(first["upserts"]), first["source"], first["guarantee"]) == (5, "DELTA", "EXACT_DELETES")  # fmt: skip
    service.write(note("a", text="new"))
    service.write(note("f", text="f"))
    service.remove("b")

    second = await client.take()

    assert texts(second) == ["new", "f"]
    assert {row["kind"] for row in second["upserts"]} == {"CHANGED"}
    assert [row["reason"] for row in second["deletes"]] == ["DELETED"]
    assert (second["hasMore"], second["lag"], len(client.rows)) == (False, 0.0, 5)
    nothing = await client.take()
    assert (nothing["upserts"], nothing["deletes"], len(client.urls)) == ([], [], 1)
    assert [url.partition("?")[0] for url in service.requests] == ["Notes"] * 3


async def test_a_row_that_leaves_the_filter_is_not_deleted(
    gateway: Gateway, service: TrackedService
) -> None:
    client = Follower(gateway, **NOTES, where={"topic": {"eq": "x"}})
    await client.catch_up()
    service.write(note("a", topic="z"))
    service.remove("b")

    answer = await client.take()

    assert [row["reason"] for row in answer["deletes"]] == ["FILTERED", "DELETED"]
    assert len(client.rows) == 1


async def test_a_filter_that_is_not_stated_is_found_by_sweeps(gateway: Gateway) -> None:
    client = Follower(gateway, **NOTES, where={"text": {"eq": ""}})

    (first,) = await client.catch_up()

    assert (first["source"], first["guarantee"]) == ("VALUES", "DELETES_WITHIN")


@pytest.mark.parametrize(("form", "limits_pages"), [("4.0", True), ("4.01", False), ("key", True)])
async def test_a_client_has_the_list_whatever_happens_meanwhile(
    gateway: Gateway, service: TrackedService, form: str, limits_pages: bool
) -> None:
    service.form, service.limits_pages = form, limits_pages
    client, chance = Follower(gateway, **NOTES, first=2), random.Random(form)
    for number in range(15):
        for _ in range(chance.randint(0, 3)):
            name = chance.choice("abcdefgh")
            if chance.random() < 0.4:
                service.remove(name)
            else:
                service.write(note(name, text=f"{name}{number}"))
        answer = await client.take()
        assert len(answer["upserts"]) + len(answer["deletes"]) <= 2
    await client.catch_up()

    assert sorted(row["text"] for row in client.rows.values()) == sorted(
        row["Text"] for row in service.rows
    )


async def test_now_begins_behind_all_rows(gateway: Gateway, service: TrackedService) -> None:
    client = Follower(gateway, **NOTES, first=2)
    now = await client.take("now")
    service.write(note("c", text="later"))

    assert (now["upserts"], now["hasMore"]) == ([], False)
    assert texts(await client.take()) == ["later"]


async def test_a_link_that_has_expired_begins_again(
    gateway: Gateway, service: TrackedService
) -> None:
    client = Follower(gateway, **NOTES)
    await client.catch_up()
    service.remove("a")
    service.expired = 0

    answer = await client.take()
    assert (answer["resyncRequired"], answer["hasMore"]) == (True, True)
    await client.catch_up()
    assert len(client.rows) == 4


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("", "sends no delta link"),
        ("https://fo.example/data/Others?since=1", "another entity set"),
        ("https://evil.example/Notes?since=1", "another service"),
    ],
)
async def test_links_lead_to_the_set_alone(
    gateway: Gateway, service: TrackedService, link: str, message: str
) -> None:
    service.link = link
    client = Follower(gateway, **NOTES)

    await client.ask()

    assert client.code() == "UPSTREAM_MALFORMED"
    assert message in client.errors[0]["message"]


async def test_a_forged_cursor_leads_to_no_other_set(
    gateway: Gateway, service: TrackedService
) -> None:
    client = Follower(gateway, **NOTES)
    await client.catch_up()
    assert client.cursor is not None
    parts = msgspec.msgpack.decode(base64.urlsafe_b64decode(f"{client.cursor}=="))
    assert parts[-1][0].startswith("Notes?")
    parts[-1][0] = "Others?since=1"
    sent = len(service.requests)

    forged = base64.urlsafe_b64encode(msgspec.msgpack.encode(parts)).decode().rstrip("=")
    await client.ask(forged)

    assert (client.code(), len(service.requests)) == ("INVALID_CURSOR", sent)


async def test_tracking_is_described_and_can_be_switched_off(
    gateway: Gateway, service: TrackedService, tmp_path: Path
) -> None:
    engine = gateway.engine
    told = describe_changes(engine.schema.catalog, gateway.settings, gateway.dialect, "notes")
    assert told == "by the service's change tracking, guarantee EXACT_DELETES"

    async with over(service, tmp_path, changes={"tracked": []}) as other:
        (first,) = await Follower(other, **NOTES).catch_up()
    assert first["source"] == "VALUES"
