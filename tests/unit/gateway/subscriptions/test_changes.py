"""``gateway.subscriptions.changes``: what has changed between two polls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.changes.records import Kind
from gateway.changes.stamps import format_stamp, parse_stamp
from gateway.errors import UnsupportedQuery
from gateway.subscriptions.changes import ByEtag, ByStamp, Change, PolledRow
from schema.types.changes import KINDS

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def at(seconds: float) -> str:
    return format_stamp(NOON + timedelta(seconds=seconds))


def told(changes: tuple[Change, ...]) -> list[str]:
    return [f"{change.kind} {change.id}" for change in changes]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": "1"}, {"a": "1"}, []),
        ({"a": "1"}, {"a": "2"}, ["UPDATED a"]),
        ({"a": "1"}, {"a": "1", "b": "1"}, ["CREATED b"]),
        ({"a": "1", "b": "1"}, {"b": "1"}, ["DELETED a"]),
        ({"a": "1", "b": "1"}, {"c": "1", "b": "2"}, ["CREATED c", "UPDATED b", "DELETED a"]),
        ({}, {}, []),
    ],
)
def test_etags_show_how_each_row_changed(
    before: dict[str, str], after: dict[str, str], expected: list[str]
) -> None:
    by = ByEtag()

    assert by.take(PolledRow(i, etag) for i, etag in before.items()) == ()
    assert told(by.take(PolledRow(i, etag) for i, etag in after.items())) == expected
    assert by.take(PolledRow(i, etag) for i, etag in after.items()) == ()


def test_rows_without_etags_cannot_be_compared() -> None:
    with pytest.raises(UnsupportedQuery, match="neither a time of their last change nor etags"):
        ByEtag().take([PolledRow("a")])


def started(*rows: PolledRow, newest: float | None = 0) -> ByStamp:
    by = ByStamp(late=30)
    by.start(None if newest is None else at(newest))
    assert by.take(rows, NOON + timedelta(hours=1)) == ()
    return by


LATER = NOON + timedelta(hours=1)


def test_rows_are_read_from_before_the_newest_stamp() -> None:
    by = started(PolledRow("a", "1", at(0)))

    assert by.since(LATER) == NOON - timedelta(seconds=30)
    by.take([PolledRow("b", "1", at(100))], LATER)
    assert by.since(LATER) == NOON + timedelta(seconds=70)


def test_row_is_reported_once() -> None:
    by = started(PolledRow("a", "1", at(0)))

    assert told(by.take([PolledRow("a", "1", at(0)), PolledRow("b", "1", at(0))], LATER)) == [
        "CHANGED b"
    ]
    assert told(by.take([PolledRow("a", "1", at(0)), PolledRow("b", "1", at(0))], LATER)) == []


def test_two_changes_within_one_stamp_differ_by_their_etags() -> None:
    by = started(PolledRow("a", "1", at(0)))

    assert told(by.take([PolledRow("a", "2", at(0))], LATER)) == ["UPDATED a"]


def test_late_row_is_reported() -> None:
    by = started(PolledRow("a", "1", at(0)))
    by.take([PolledRow("b", "1", at(10))], LATER)

    assert told(by.take([PolledRow("c", "1", at(-5)), PolledRow("b", "1", at(10))], LATER)) == [
        "CHANGED c"
    ]


@pytest.mark.parametrize(
    ("created", "expected"),
    [(None, "CHANGED"), (at(5), "CREATED"), (at(-20), "CREATED"), (at(-3600), "UPDATED")],
)
def test_creation_stamp_identifies_new_rows(created: str | None, expected: str) -> None:
    by = started(newest=0)

    assert told(by.take([PolledRow("a", "1", at(5), created)], LATER)) == [f"{expected} a"]
    assert told(by.take([PolledRow("a", "2", at(6), created)], LATER)) == ["UPDATED a"]


def test_empty_set_is_read_from_its_first_row() -> None:
    by = started(newest=None)

    assert by.since(LATER) is None
    assert told(by.take([PolledRow("a", "1", at(0), at(0))], LATER)) == ["CREATED a"]
    assert by.since(LATER) == NOON - timedelta(seconds=30)


def test_stamp_in_the_future_hides_no_change() -> None:
    by = started(PolledRow("a", "1", "2154-12-31T23:59:59Z"), newest=None)

    assert by.since(NOON) == NOON - timedelta(seconds=30)
    again = [PolledRow("b", "1", at(1)), PolledRow("a", "1", "2154-12-31T23:59:59Z")]
    assert told(by.take(again, NOON)) == ["CHANGED b"]


def test_rows_without_a_stamp_are_skipped() -> None:
    by = started()

    assert by.take([PolledRow("a", "1", None), PolledRow("b", "1", "soon")], LATER) == ()


def test_rows_that_are_not_read_again_are_dropped() -> None:
    by = started(PolledRow("a", "1", at(0)))
    for second in range(0, 1_000, 10):
        by.take([PolledRow(f"r{second}", "1", at(second))], LATER)

    assert len(by._seen) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01T12:00:00Z", NOON),
        ("2024-05-01T12:00:00.0000000Z", NOON),
        ("2024-05-01T14:00:00+02:00", NOON),
        ("2024-05-01T12:00:00", NOON),
        ("2024-05-32", None),
        (None, None),
    ],
)
def test_stamps_are_parsed(text: str | None, expected: datetime | None) -> None:
    assert parse_stamp(text) == expected


def test_kinds_are_those_of_the_schema() -> None:
    assert list(KINDS) == [kind.value for kind in Kind]
