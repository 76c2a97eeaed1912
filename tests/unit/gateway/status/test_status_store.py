"""Status and drift in SQLite and PostgreSQL: written by several processes, read as one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.settings import Settings
from gateway.errors import StoreUnavailable
from gateway.events import Event, OperationServed
from gateway.events.environments import StatusNotWritten
from gateway.status.failures import Failures
from gateway.status.process_status import ProcessStatus
from gateway.status.publishing import HEARTBEAT, StatusPublisher
from gateway.status.records import DAY, SLOT
from gateway.status.reports import ALIVE
from gateway.status.sources import StoredStatus, uses_store
from gateway.status.status_store import StatusStore
from gateway.store.opening import open_database
from gateway.store.status_rows import DriftEntry
from tests.support.stores import spoil_store

pytestmark = pytest.mark.anyio
START = 1_000_000 * SLOT


class Clock:
    def __init__(self) -> None:
        self.at = float(START)

    def __call__(self) -> float:
        return self.at


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "postgresql":
        return Settings(store=request.getfixturevalue("postgresql").new_database())
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stores(settings: Settings) -> Iterator[list[StatusStore]]:
    """Return the stores of three processes."""
    opened = [StatusStore(settings) for _ in range(3)]
    yield opened
    for store in opened:
        store.close()


def served(errors: int = 0) -> OperationServed:
    return OperationServed(name=None, seconds=0.1, requests=1, rows=1, errors=errors)


def process(store: StatusStore, clock: Clock) -> tuple[ProcessStatus, StatusPublisher]:
    def fail(event: Event) -> None:
        raise AssertionError(event)

    status = ProcessStatus(clock)
    return status, StatusPublisher(status, store, Failures(fail))


async def test_processes_are_summed(stores: list[StatusStore], clock: Clock) -> None:
    for store, operations in zip(stores[:2], (2, 3), strict=True):
        status, publisher = process(store, clock)
        status.counters("acme").enter("open")
        for _ in range(operations):
            status.counters("acme").observe(served())
        status.counters("acme").note("operation", "UPSTREAM_TIMEOUT", "Too slow.")
        status.counters("other").observe(served())
        await publisher.write()
        # The whole numbers of a slot: written twice, they count once.
        status.counters("acme").changes += 1
        await publisher.write()

    report = StoredStatus(stores[2], clock).status("acme")
    assert report["scope"] == "deployment"
    assert report["state"] == "open"
    assert report["calls"]["hour"]["operations"] == report["calls"]["day"]["operations"] == 5
    assert len(report["processes"]) == 2
    assert [(e["message"], e["count"]) for e in report["errors"]] == [("Too slow.", 2)]


async def test_a_process_that_is_gone_keeps_its_calls_and_no_state(
    stores: list[StatusStore], clock: Clock
) -> None:
    status, publisher = process(stores[0], clock)
    status.counters("acme").enter("open")
    status.counters("acme").observe(served())
    await publisher.write()
    source = StoredStatus(stores[1], clock)
    assert source.states() == {"open": 1, "unavailable": 0}

    clock.at += ALIVE + 1
    report = source.status("acme")
    assert (report["state"], report["processes"]) == ("closed", [])
    assert report["calls"]["day"]["operations"] == 1
    assert source.states() == {"open": 0, "unavailable": 0}

    clock.at += 2 * 3_600
    report = source.status("acme")
    assert report["calls"]["hour"]["operations"] == 0
    assert report["calls"]["day"]["operations"] == 1


@pytest.mark.parametrize("is_written", [False, True], ids=["not written", "written"])
async def test_a_name_that_is_used_again_begins_anew(
    stores: list[StatusStore], clock: Clock, is_written: bool
) -> None:
    status, publisher = process(stores[0], clock)
    former = status.counters("acme")
    for _ in range(3):
        former.observe(served(errors=1))
    former.note("operation", "UPSTREAM_ERROR", "The former customer's problem.")
    if is_written:
        await publisher.write()
    status.drop("acme")
    former.observe(served())  # an operation that was under way
    await publisher.write()
    unused = StoredStatus(stores[1], clock).status("acme")
    status.counters("acme").observe(served())
    await publisher.write()
    used = StoredStatus(stores[1], clock).status("acme")

    assert (unused["calls"]["day"]["operations"], unused["errors"]) == (0, [])
    assert used["calls"]["day"]["operations"] == 1
    assert used["calls"]["day"]["operations_with_errors"] == 0
    assert used["errors"] == []


async def test_an_open_environment_without_calls_stays_alive(
    stores: list[StatusStore], clock: Clock
) -> None:
    status, publisher = process(stores[0], clock)
    status.counters("acme").enter("open")
    source = StoredStatus(stores[1], clock)

    for _ in range(5):
        await publisher.write()
        clock.at += HEARTBEAT

    assert source.status("acme")["state"] == "open"


async def test_what_is_old_is_removed(stores: list[StatusStore], clock: Clock) -> None:
    status, publisher = process(stores[0], clock)
    status.counters("acme").observe(served())
    await publisher.write()
    clock.at += DAY + SLOT + 1
    other, purging = process(stores[1], clock)
    other.counters("acme").observe(served())
    await purging.write()

    await purging.purge()

    rows = stores[2].read("acme", 0)
    assert {row.process for row in rows.statuses} == {other.process}
    assert {row.process for row in rows.calls} == {other.process}


async def test_a_store_that_fails_is_reported_once_and_filled_later(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    path = spoil_store(tmp_path / "data")
    events: list[Event] = []
    status = ProcessStatus()
    publisher = StatusPublisher(status, StatusStore(settings), Failures(events.append))
    status.counters("acme").observe(served())

    await publisher.write()
    await publisher.write()
    assert [type(event) for event in events] == [StatusNotWritten]

    path.unlink()
    database = open_database(settings)
    database.migrate()
    database.close()
    await publisher.write()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT environment FROM environment_calls").fetchall() == [
            ("acme",)
        ]


async def test_a_store_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    """Else those who read keys and environments would find none."""
    settings = Settings(data_dir=tmp_path)
    first = StatusStore(settings)
    assert first.begin("acme", None, "A", 1.0, 1.0) is not None
    first.close()
    (tmp_path / "store").rename(tmp_path / "away")

    for store in (first, StatusStore(Settings(data_dir=tmp_path / "away" / "other"))):
        with contextlib.suppress(StoreUnavailable):
            store.begin("acme", None, "B", 2.0, 2.0)
        store.close()

    assert not (tmp_path / "store").exists()
    assert (tmp_path / "away" / "other" / "store").exists()  # which never was there


async def test_it_is_written_at_the_end(stores: list[StatusStore], clock: Clock) -> None:
    status, publisher = process(stores[0], clock)

    async with publisher.running():
        status.counters("acme").observe(served())

    assert len(stores[1].read("acme", 0).calls) == 1


def test_a_change_is_recorded_by_one_process(stores: list[StatusStore]) -> None:
    one, other, _ = stores

    first = one.begin("acme", None, "A", 1.0, 1.0)
    assert first is not None
    assert other.begin("acme", None, "A", 2.0, 2.0) is None
    change = other.begin("acme", "A", "B", 3.0, 3.0)
    assert change is not None
    assert one.begin("acme", "A", "B", 4.0, 4.0) is None
    back = one.begin("acme", "B", "A", 5.0, 5.0)
    assert back is not None
    other.finish(change, "{}")

    assert [(e.before, e.after, e.changes) for e in one.entries("acme", 0.0)] == [
        ("B", "A", None),
        ("A", "B", "{}"),
        (None, "A", None),
    ]
    assert [e.after for e in one.entries("acme", 3.5)] == ["A"]
    assert one.entries("other", 0.0) == []


@pytest.mark.parametrize(
    ("after", "seen", "expected"),
    [
        pytest.param("B", 9.0, None, id="the same document"),
        pytest.param("C", 9.0, ("B", "C"), id="another one, from the one that the store knows"),
        pytest.param("A", 1.5, None, id="a copy that is older than what the store knows"),
    ],
)
def test_a_document_at_opening_is_compared_with_the_last_one(
    stores: list[StatusStore], after: str, seen: float, expected: tuple[str, str] | None
) -> None:
    stores[0].begin("acme", None, "A", 1.0, 1.0)
    stores[0].begin("acme", "A", "B", 2.0, 2.0)

    entry = stores[1].begin("acme", None, after, 10.0, seen)

    assert (None if entry is None else (entry.before, entry.after)) == expected


def test_old_changes_are_removed_but_the_last_of_each_environment(
    stores: list[StatusStore],
) -> None:
    store = stores[0]
    for name, documents in {"acme": "ABC", "quiet": "A"}.items():
        for at, after in enumerate(documents):
            assert isinstance(store.begin(name, None, after, float(at), at), DriftEntry)

    store.purge(0.0, 0, 100.0)

    assert [e.after for e in store.entries("acme", 0.0)] == ["C"]
    assert [e.after for e in store.entries("quiet", 0.0)] == ["A"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, False),
        ({"store": "none"}, False),
        ({"store": "postgresql://u@h/d"}, True),
        ({"inbound": {"api_keys": True}}, True),
        ({"environments": {"acme": {"sandbox": {}}}}, True),
    ],
)
def test_no_store_is_made_for_status_alone(
    tmp_path: Path, values: dict[str, object], expected: object
) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path, **values})

    assert uses_store(settings) is expected


def test_a_store_that_exists_is_used(tmp_path: Path) -> None:
    spoil_store(tmp_path)

    assert uses_store(Settings(data_dir=tmp_path))
