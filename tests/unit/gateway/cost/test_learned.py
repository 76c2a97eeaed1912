"""What is learned of requests: which are alike, and how long they take."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.config.profiles import EnvironmentSettings
from gateway.config.settings import Settings
from gateway.cost.learned import USUAL, Kind, LearnedSeconds, batched_kind, request_kind
from gateway.cost.learned_file import WRITTEN_AFTER, LearnedFile, learned_file
from gateway.cost.metering import metered, start_meter, stop_meter
from gateway.events import Address, CacheUnusable, Event, RequestSent
from gateway.odata.batch_parts import holding
from gateway.odata.query import Request
from gateway.odata.response_check import Response


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "CustomersV3", ("CustomersV3", "page")),
        ("GET", "CustomersV3/$count", ("CustomersV3", "count")),
        ("GET", "CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')", ("CustomersV3", "key")),
        ("GET", "CustomersV3(dataAreaId='usmf')/Orders", ("CustomersV3", "page")),
        ("GET", "CustomersV3(dataAreaId='usmf')/Orders/$count", ("CustomersV3", "count")),
        ("POST", "CustomersV3", ("CustomersV3", "write")),
        ("PATCH", "CustomersV3(CustomerAccount='a')", ("CustomersV3", "write")),
        ("DELETE", "CustomersV3(CustomerAccount='a')", ("CustomersV3", "write")),
        ("POST", "Leaves(Id=1)/Microsoft.Dynamics.DataEntities.submit", ("Leaves", "call")),
        ("POST", "Leaves/Microsoft.Dynamics.DataEntities.submit", ("Leaves", "call")),
        ("POST", "$batch", None),
        ("GET", "$metadata", None),
        ("GET", "", None),
    ],
)
def test_requests_are_told_apart_by_set_and_kind(
    method: str, path: str, expected: tuple[str, Kind] | None
) -> None:
    assert request_kind(method, path) == expected


def test_an_unknown_set_takes_what_its_kind_takes() -> None:
    learned = LearnedSeconds()
    assert learned.seconds("A", "page") == USUAL["page"]

    learned.add("A", "page", 2.0)

    assert (learned.seconds("A", "page"), learned.seconds("B", "page")) == (2.0, 2.0)
    assert learned.seconds("A", "key") == USUAL["key"]


def test_averages_follow_the_newest_answers() -> None:
    learned = LearnedSeconds()
    for seconds in [1.0] * 20 + [3.0] * 20:
        learned.add("A", "page", seconds)

    assert learned.seconds("A", "page") == pytest.approx(3.0, rel=0.02)


def test_one_outlier_of_many_does_not_decide() -> None:
    learned = LearnedSeconds()
    for seconds in [1.0] * 20 + [11.0]:
        learned.add("A", "page", seconds)

    assert learned.seconds("A", "page") == pytest.approx(3.0)


def test_memory_is_bounded() -> None:
    learned = LearnedSeconds(most=3)
    for name in "ABCD":
        learned.add(name, "page", 1.0)
    learned.add("A", "key", 9.0)

    restored = LearnedSeconds()
    restored.decode(learned.encode())
    assert restored.seconds("A", "key") == 9.0
    assert len(learned.encode().split(b"resource")) == 4


def sent(url: str, *, status: int = 200, seconds: float = 0.5, attempt: int = 1) -> RequestSent:
    return RequestSent(
        method="GET", url=Address(url), status=status, seconds=seconds, size=1, attempt=attempt
    )


def test_the_observer_learns_and_meters() -> None:
    learned, events = LearnedSeconds(), list[Event]()
    observe = metered(events.append, learned, "https://fo.example/data/")
    meter = start_meter()
    try:
        observe(sent("https://fo.example/data/Sets?$filter=a%20eq%201", seconds=2.0))
        observe(sent("https://fo.example/data/Sets", status=429, seconds=0.25))
        observe(sent("https://fo.example/metadata/Labels", seconds=4.0))
    finally:
        stop_meter()
    observe(sent("https://fo.example/data/Others", seconds=8.0))

    assert len(events) == 4
    assert learned.seconds("Sets", "page") == 2.0
    assert learned.seconds("Others", "page") == 8.0
    # A refusal says nothing of the set, but the environment was asked.
    assert meter.seconds == 6.25


@pytest.mark.anyio
async def test_requests_given_up_teach_nothing() -> None:
    learned = LearnedSeconds()
    observe = metered(lambda _: None, learned, "https://fo.example/data/")
    usual = learned.seconds("Sets", "page")

    async def request() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            observe(sent("https://fo.example/data/Sets", seconds=0.001))

    task = asyncio.create_task(request())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert learned.seconds("Sets", "page") == usual


def test_what_was_learned_survives_a_start(tmp_path: Path) -> None:
    settings = Settings(url="https://fo.example/data", dialect="finops", cache_dir=tmp_path)
    first, second = LearnedSeconds(), LearnedSeconds()
    first.add("Sets", "page", 2.0)
    file = learned_file(settings, print)
    assert file is not None

    file.write(first)
    file.load(second)

    assert second.seconds("Sets", "page") == 2.0
    assert learned_file(settings.model_copy(update={"url": None}), print) is None
    assert learned_file(settings.model_copy(update={"cache_dir": None}), print) is None


ACME = {"url": "https://fo.example/data", "dialect": "finops", "environment": "acme"}


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({"url": "https://fo.example/data/"}, True),
        ({"language": "de"}, True),
        ({"environment": "other"}, False),
        ({"environment": ""}, False),
        ({"url": "https://other.example/data"}, False),
        ({"identity": "user"}, False),
        ({"tenant_id": "contoso"}, False),
        ({"client_id": "another application"}, False),
    ],
    ids=lambda value: "" if isinstance(value, bool) else next(iter(value)),
)
def test_environments_and_identities_learn_for_themselves(
    tmp_path: Path, change: dict[str, str], *, is_same: bool
) -> None:
    known = LearnedSeconds()
    known.add("Sets", "page", 2.0)
    one = EnvironmentSettings(cache_dir=tmp_path).model_copy(update=ACME)
    file, other = learned_file(one, print), learned_file(one.model_copy(update=change), print)
    assert file is not None
    assert other is not None
    file.write(known)

    learned = LearnedSeconds()
    other.load(learned)

    assert (learned.seconds("Sets", "page") == 2.0) is is_same


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[1]", b'[{"resource":"S","kind":"row","value":1,"count":1}]', b"\xff"]
)
def test_a_damaged_file_is_no_experience(tmp_path: Path, text: bytes) -> None:
    tmp_path.chmod(0o700)
    path = tmp_path / "x.costs"
    path.write_bytes(text)
    path.chmod(0o600)
    learned = LearnedSeconds()

    LearnedFile(path, print).load(learned)

    assert learned.seconds("S", "page") == USUAL["page"]


def test_values_that_no_request_takes_are_not_read() -> None:
    learned = LearnedSeconds()
    learned.decode(b'[{"resource":"S","kind":"page","value":-1,"count":1}]')

    assert learned.seconds("S", "page") == USUAL["page"]


def test_the_file_is_written_now_and_then(tmp_path: Path) -> None:
    now = [0.0]
    file = LearnedFile(tmp_path / "costs" / "x.costs", print, lambda: now[0])
    assert not file.is_due()

    now[0] += WRITTEN_AFTER

    assert file.is_due()
    file.write_aside(LearnedSeconds())
    assert not file.is_due()
    assert not (tmp_path / "costs").exists()  # there was nothing to write


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "costs").write_text("no folder")
    events = list[Event]()
    learned = LearnedSeconds()
    learned.add("Sets", "page", 1.0)

    LearnedFile(tmp_path / "costs" / "x.costs", events.append).write(learned)

    assert [type(event) for event in events] == [CacheUnusable]


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ([("GET", "Sets"), ("GET", "Sets")], ("Sets", "part")),
        ([("PATCH", "Sets(1)"), ("POST", "Sets")], ("Sets", "row")),
        ([("GET", "Sets"), ("GET", "Others")], None),
        ([("GET", "Sets"), ("GET", "Sets/$count")], None),
        ([("GET", "Sets(1)"), ("GET", "Sets(2)")], None),
        ([], None),
    ],
)
def test_only_batches_of_one_kind_are_divided(
    requests: list[tuple[str, str]], expected: tuple[str, Kind] | None
) -> None:
    assert batched_kind(requests) == expected


@pytest.mark.parametrize(
    ("statuses", "expected"), [((200, 200, 204, 200), 0.5), ((200, 500, 200, 200), 2.0)]
)
def test_a_batch_teaches_if_all_its_parts_were_answered(
    statuses: tuple[int, ...], expected: float
) -> None:
    learned = LearnedSeconds()
    learned.add("Sets", "page", 2.0)
    observe = metered(lambda _: None, learned, "https://fo.example/data/")
    reads = [Request("GET", f"Sets?$skip={n}", {}) for n in range(4)]
    with holding(reads) as parts:
        observe(sent("https://fo.example/data/$batch", seconds=2.0))
    parts.answered([Response(status, {}, b"", "") for status in statuses])

    assert learned.seconds("Sets", "part") == expected
    # Outside nobody knows what a batch holds.
    observe(sent("https://fo.example/data/$batch", seconds=80.0))
    assert learned.seconds("Sets", "part") == expected
