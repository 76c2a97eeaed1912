"""``gateway.changes.stamps``: from which stamp a round reads, and what it recognizes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from gateway.changes.records import Kind
from gateway.changes.stamps import (
    MAX_DIGESTS,
    StampedRow,
    StampPlace,
    conditions,
    end,
    format_stamp,
    newest_of,
    start,
    take,
)

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
NOW = NOON.timestamp()
LATE = 60.0


def at(seconds: float) -> str:
    return format_stamp(NOON + timedelta(seconds=seconds))


def row(name: str, changed: float, created: float | None = None) -> StampedRow:
    return StampedRow(name, None, at(changed), None if created is None else at(created))


def round_of(place: StampPlace, *rows: StampedRow, now: float) -> tuple[StampPlace, list[str]]:
    place, new = take(replace(place, began=NOW + now, read=()), rows)
    return end(place, newest_of(rows), NOW + now, LATE), [f"{r.kind} {r.id}" for _, r in new]


def test_a_round_reads_the_window_before_the_newest_stamp() -> None:
    place = start(at(0), NOW, LATE)

    assert conditions(place, "stamp") == {"stamp": {"gte": at(-60)}}


def test_what_was_delivered_is_recognized() -> None:
    place, first = round_of(start(at(0), NOW, LATE), row("a", 1, 1), row("b", 2, -100), now=3)
    _, again = round_of(place, row("a", 1), row("b", 2), row("c", 2), now=10)

    assert (first, again) == (["CREATED a", "UPDATED b"], ["CHANGED c"])


def test_a_window_ends_when_its_rows_are_visible() -> None:
    place = start(at(0), NOW, LATE)
    place, _ = round_of(place, row("a", 1), now=2)
    place, _ = round_of(place, row("a", 1), now=61)
    assert conditions(place, "stamp") == {"stamp": {"gte": at(-59)}}

    place, new = round_of(place, row("a", 1), row("late", -50), now=62)

    assert new == ["CHANGED late"]
    assert conditions(place, "stamp") == {"stamp": {"gt": at(1)}}


def test_a_stamp_of_the_future_hides_nothing() -> None:
    place, _ = round_of(start(at(0), NOW, LATE), row("odd", 9_999), now=5)

    assert conditions(place, "stamp") == {"stamp": {"gte": at(-55)}}


def test_a_stamp_that_stands_for_no_time_is_no_error() -> None:
    place = start("0001-01-01T00:00:00Z", NOW, LATE)
    assert conditions(place, "stamp") == {"stamp": {"gt": "0001-01-01T00:00:00Z"}}

    place, new = round_of(start("0001-01-01T00:00:00Z", 0.0, 1e12), row("a", 1), now=2)

    assert new == ["CHANGED a"]


def test_old_stamps_need_no_window() -> None:
    place = start(at(-10_000), NOW, LATE)

    assert conditions(place, "stamp") == {"stamp": {"gt": at(-10_000)}}


def test_an_empty_list_is_read_from_its_beginning() -> None:
    place, new = round_of(start(None, NOW, LATE), row("a", 1), now=2)

    assert (new, conditions(place, "stamp")) == ([f"{Kind.CHANGED} a"], {"stamp": {"gte": at(-59)}})


def test_a_cursor_has_a_bounded_number_of_digests() -> None:
    rows = [row(f"r{number}", 1) for number in range(5 * MAX_DIGESTS)]
    place, new = round_of(start(at(0), NOW, LATE), *rows, now=2)

    assert (len(new), len(place.seen)) == (len(rows), MAX_DIGESTS)
