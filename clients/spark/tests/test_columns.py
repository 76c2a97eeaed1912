"""Values of each type: the same from an export and from changes, and what Spark expects."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql.types import DateType, DecimalType, StringType, StructField, StructType

from d365_graphql_spark.changes import ChangesReader, ResyncRequired
from d365_graphql_spark.columns import (
    SchemaError,
    arrow_schema,
    check_schema,
    columns_of,
    converted,
    schema_of,
)
from d365_graphql_spark.options import Options, read_options

TYPES = {
    # type: (in Spark, in the export, values there, values of changes, values of both in Spark)
    "Decimal": ("decimal(38,16)", pa.decimal128(38, 16), Decimal("0.1"), "0.1", Decimal("0.1")),
    "Int": ("int", pa.int32(), 5, 5, 5),
    "Long": ("bigint", pa.int64(), 1 << 60, str(1 << 60), 1 << 60),
    "Boolean": ("boolean", pa.bool_(), True, True, True),
    "Float": ("double", pa.float64(), 0.1, 0.1, 0.1),
    "Date": (
        *("date", pa.date32(), datetime.date(2024, 2, 29), "2024-02-29"),
        datetime.date(2024, 2, 29),
    ),
    "DateTime": (
        *("timestamp", pa.timestamp("us", tz="UTC")),
        datetime.datetime(2024, 1, 31, 12, 0, 0, 5, tzinfo=datetime.UTC),
        "2024-01-31T12:00:00.000005Z",
        datetime.datetime(2024, 1, 31, 12, 0, 0, 5, tzinfo=datetime.UTC),
    ),
    "TimeOfDay": (
        *("string", pa.time64("us"), datetime.time(12, 30, 0, 500_000), "12:30:00.500"),
        "12:30:00.5",
    ),
    "JSON": ("string", pa.string(), '["ü",1]', ["ü", 1], '["ü",1]'),
    "Status": ("string", pa.string(), "OPEN", "OPEN", "OPEN"),
}
COLUMNS = columns_of(
    {"name": name, "path": ["row", name], "type": name, "nullable": True} for name in TYPES
)
OF_CHANGES = StructType([StructField(n, StringType(), False) for n in ("_id", "_change_type")])


def reader(columns: Any = COLUMNS, **options: str) -> Scripted:
    schema = StructType([*OF_CHANGES.fields, *schema_of(columns).fields])
    texts = {"url": "http://gateway.example", "set": "S", "changes": "true", **options}
    return Scripted(read_options(texts), {"type": "Row", "fields": "id"}, columns, schema)


class Scripted(ChangesReader):
    """Follows answers that a test has prepared, by the cursor before them."""

    answers: dict[str, dict[str, Any]]
    requested: list[str]

    def __init__(self, options: Options, *parts: Any) -> None:
        super().__init__(options, *parts)
        self.answers, self.requested = {}, []

    def _query_changes(self, cursor: str) -> dict[str, Any]:
        self.requested.append(cursor)
        return self.answers[cursor]


def answer(
    cursor: str, *ids: str, more: bool = False, resync: bool = False, gone: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "upserts": [{"kind": "CHANGED", "id": each, "node": {"row": {}}} for each in ids],
        "deletes": [{"id": each, "reason": "DELETED"} for each in gone],
        "cursor": cursor,
        "hasMore": more,
        "resyncRequired": resync,
    }


def ids(batches: Any) -> list[str]:
    return [each for batch in batches for each in batch.column("_id").to_pylist()]


def test_exported_values_have_the_types_of_spark() -> None:
    batch = pa.RecordBatch.from_pydict(
        {name: pa.array([value, None], of_type) for name, (_, of_type, value, *_) in TYPES.items()}
    )
    schema = schema_of(COLUMNS)
    rows = converted(batch, arrow_schema(schema, COLUMNS))

    assert {f.name: f.dataType.simpleString() for f in schema} == {
        n: t[0] for n, t in TYPES.items()
    }
    assert {name: rows.column(name).to_pylist() for name in TYPES} == {
        name: [of_type[-1], None] for name, of_type in TYPES.items()
    }


def test_changes_have_the_same_values() -> None:
    node = {"row": {name: of_type[-2] for name, of_type in TYPES.items()}}
    changes = answer("c", gone=("b",))
    changes["upserts"] = [{"kind": "CREATED", "id": "a", "node": node}]
    (batch,) = [reader()._batch(changes)]

    assert batch.to_pylist() == [
        {"_id": "a", "_change_type": "CREATED", **{n: t[-1] for n, t in TYPES.items()}},
        {"_id": "b", "_change_type": "DELETED", **dict.fromkeys(TYPES)},
    ]


def test_a_value_that_does_not_fit_is_an_error() -> None:
    changes = answer("c")
    changes["upserts"] = [
        {"kind": "CREATED", "id": "a", "node": {"row": dict.fromkeys(TYPES) | {"Decimal": "1e30"}}}
    ]
    with pytest.raises(pa.ArrowInvalid):
        reader()._batch(changes)


def test_a_schema_must_be_that_of_the_list() -> None:
    check_schema(StructType().add("Decimal", DecimalType(38, 16)).add("Date", DateType()), COLUMNS)
    with pytest.raises(SchemaError, match="The column Decimal is decimal"):
        check_schema(StructType().add("Decimal", "string"), COLUMNS)
    with pytest.raises(SchemaError, match="The list has no column Dezimal"):
        check_schema(StructType().add("Dezimal", "string"), COLUMNS)


def test_a_batch_ends_with_enough_rows() -> None:
    stream = reader((), rowsPerBatch="2")
    stream.answers = {
        "": answer("c1", "a", more=True),
        "c1": answer("c2", "b", more=True),
        "c2": answer("c3", "c"),
    }
    rows, end = stream.read(stream.initialOffset())
    more, last = stream.read(end)

    assert (ids(rows), end) == (["a", "b"], {"cursor": "c2", "batch": 1})
    assert (ids(more), last) == (["c"], {"cursor": "c3", "batch": 2})


def test_a_batch_has_the_last_change_of_each_row() -> None:
    stream = reader(())
    stream.answers = {
        "": answer("c1", "a", "b", "c", "b", more=True),
        "c1": answer("c2", "a", gone=("c",)),
    }
    batches, _ = stream.read(stream.initialOffset())

    changes = [row for batch in batches for row in batch.to_pylist()]
    assert [(row["_id"], row["_change_type"]) for row in changes] == [
        ("b", "CHANGED"),
        ("a", "CHANGED"),
        ("c", "DELETED"),
    ]


def test_nothing_new_is_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stream = reader((), startingCursor="c1")
    stream.answers = {name: answer(f"c{n + 1}") for n in range(1, 9) if (name := f"c{n}")}
    start = stream.initialOffset()

    for _ in range(3):
        assert stream.read(start)[1] is start
    assert stream.requested == ["c1", "c2", "c3"]
    # A cursor that is not stored for too long would expire.
    now[0] = 4000.0
    assert stream.read(start)[1] == {"cursor": "c5", "batch": 0}


@pytest.mark.parametrize("beginning", ["", "now"])
def test_the_first_cursor_is_stored(beginning: str) -> None:
    stream = reader((), startingCursor=beginning)
    stream.answers = {beginning: answer("c1")}

    assert stream.read(stream.initialOffset())[1] == {"cursor": "c1", "batch": 0}


def test_rows_that_come_again_are_a_batch_of_their_own() -> None:
    stream = reader((), startingCursor="c")
    stream.answers = {"c": answer("c", "a")}
    _, end = stream.read(stream.initialOffset())

    assert end == {"cursor": "c", "batch": 1}
    assert ids(stream.readBetweenOffsets(stream.initialOffset(), end)) == ["a"]
    assert ids(stream.readBetweenOffsets(end, end)) == []


@pytest.mark.parametrize(("moved_on", "read"), [(False, ["a", "b"]), (True, ["x", "b", "a"])])
def test_a_batch_that_is_repeated_misses_nothing(moved_on: bool, read: list[str]) -> None:
    stream = reader(())
    first, second = ("d1", "d2") if moved_on else ("c1", "c2")
    stream.answers = {
        "": answer(first, "a", more=True),
        first: answer(second, *(("x", "b") if moved_on else ("b",)), more=True),
        second: answer("c3", "a"),
    }
    end = {"cursor": "c2", "batch": 1}

    assert ids(stream.readBetweenOffsets(stream.initialOffset(), end)) == read


def test_a_stream_of_what_is_there_comes_to_an_end() -> None:
    stream = reader((), rowsPerBatch="1")
    stream.answers = {"": answer("c1", "a", more=True), "c1": answer("c2"), "c2": answer("c3", "z")}
    stream.prepareForTriggerAvailableNow()
    _, first = stream.read(stream.initialOffset())
    _, second = stream.read(first)

    assert second == {"cursor": "c2", "batch": 1}
    assert stream.read(second)[1] == second
    assert stream.requested == ["", "c1"]


def test_changes_that_are_not_known_any_more_end_the_stream() -> None:
    answers = {"old": answer("new", "a", resync=True)}
    strict = reader((), startingCursor="old")
    lenient = reader((), startingCursor="old", failOnResync="false")
    strict.answers = lenient.answers = answers

    with pytest.raises(ResyncRequired, match="Start with a new checkpoint"):
        strict.read(strict.initialOffset())
    assert ids(lenient.read(lenient.initialOffset())[0]) == ["a"]
