"""Columns in Parquet and Arrow, as pyarrow reads them; and values that do not fit."""

from __future__ import annotations

import io
import random
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest
from msgspec import structs

from gateway.errors import NotInstalled, UpstreamMalformed
from gateway.export.arrow import ArrowWriter
from gateway.export.formats import CsvWriter, NdjsonWriter, RowWriter
from gateway.export.pages import Rows
from gateway.export.selection import Column
from schema.catalog.records import Field, FieldKind, ValueType
from schema.model.records import Property, TypeRef
from tests.support.export_pages import completed_page, json_page, written

CASES: list[tuple[str, str, Any, str]] = [
    ("String", '"a"', "a", "string"),
    ("ID", '"x"', "x", "string"),
    ("Boolean", "true", True, "bool"),
    ("Int", "-2147483648", -(2**31), "int32"),
    ("Long", '"9223372036854775807"', 2**63 - 1, "int64"),
    ("Float", "0.1", 0.1, "double"),
    ("Float", "3", 3.0, "double"),
    ("Decimal", '"0.10"', Decimal("0.10"), "decimal128(38, 16)"),
    ("Decimal", '"-1234567890123456789012.1234567890123456"', None, "decimal128(38, 16)"),
    ("Decimal", '"1E+3"', Decimal(1000), "decimal128(38, 16)"),
    ("Decimal", '"1.10000000000000000000"', Decimal("1.1"), "decimal128(38, 16)"),
    ("Date", '"9999-12-31"', date(9999, 12, 31), "date32[day]"),
    (
        "DateTime",
        '"2024-01-31T12:00:00.123456Z"',
        datetime(2024, 1, 31, 12, 0, 0, 123456, UTC),
        "timestamp[us, tz=UTC]",
    ),
    ("TimeOfDay", '"10:11:12"', time(10, 11, 12), "time64[us]"),
    ("JSON", '{"a":[0.25,1e16]}', '{"a":[0.25,1E+16]}', "string"),
]


def column(scalar: str, precision: int | None = None, scale: int | None = None) -> Column:
    value = ValueType(scalar, "Edm.Untyped", "other")
    prop = Property(name="A", type=TypeRef("Edm.Untyped"), precision=precision, scale=scale)
    field = Field(name="a", kind=FieldKind.VALUE, type_name=scalar, value=value, prop=prop)
    return Column(("a",), field, nullable=True)


@pytest.mark.parametrize("completed", [False, True], ids=["JSON", "completed"])
@pytest.mark.parametrize(("scalar", "text", "value", "kind"), CASES)
def test_values_keep_type_and_digits(
    scalar: str, text: str, value: Any, kind: str, completed: bool
) -> None:
    pages = (f'[{{"a":{text}}},{{"a":null}}]', "[]", f'[{{"a":{text}}}]')
    file = written(ArrowWriter([column(scalar)], "parquet"), *pages, completed=completed)
    stream = written(ArrowWriter([column(scalar)], "arrow"), *pages, completed=completed)

    table = pyarrow.parquet.read_table(io.BytesIO(file))
    expected = Decimal(text.strip('"')) if value is None else value
    assert str(table.schema.field("a").type) == kind
    assert table.column("a").to_pylist() == [expected, None, expected]
    assert pyarrow.ipc.open_stream(stream).read_all().equals(table)


def test_duckdb_reads_the_same(tmp_path: Path) -> None:
    """A reader that shares no code with arro3, and none with pyarrow."""
    cases = {f"c{number}": case for number, case in enumerate(CASES) if "]" not in case[1]}
    columns = [
        structs.replace(column(scalar), path=(name,)) for name, (scalar, *_) in cases.items()
    ]
    row = ",".join(f'"{name}":{text}' for name, (_, text, *_) in cases.items())
    nulls = ",".join(f'"{name}":null' for name in cases)
    path = tmp_path / "rows.parquet"
    path.write_bytes(written(ArrowWriter(columns, "parquet"), f"[{{{row}}},{{{nulls}}}]"))

    # An instant as a value of Python would need another library.
    (instant,) = (name for name, (scalar, *_) in cases.items() if scalar == "DateTime")
    with duckdb.connect() as database:
        first, second = database.execute(
            f"SELECT * REPLACE (make_timestamp(epoch_us({instant})) AS {instant}) FROM '{path}'"
        ).fetchall()

    expected = [
        Decimal(text.strip('"')) if value is None else value for _, text, value, _ in cases.values()
    ]
    assert list(first) == [
        value.replace(tzinfo=None) if isinstance(value, datetime) else value for value in expected
    ]
    assert list(second) == [None] * len(cases)


@pytest.mark.parametrize(
    ("scalar", "facets", "text"),
    [
        ("Decimal", {}, '"1.12345678901234567"'),
        ("Decimal", {}, '"12345678901234567890123"'),
        ("Decimal", {}, '"1E-17"'),
        ("Decimal", {"precision": 4, "scale": 2}, '"1.005"'),
        ("Decimal", {"precision": 4, "scale": 2}, '"100.00"'),
        ("Long", {}, '"9223372036854775808"'),
        ("DateTime", {}, '"2024-01-31T12:00:00.1234567Z"'),
        ("TimeOfDay", {}, '"10:11:12.1234567"'),
        ("Date", {}, '"2024-02-30"'),
    ],
)
def test_what_does_not_fit_fails(scalar: str, facets: dict[str, int], text: str) -> None:
    writer = ArrowWriter([column(scalar, **facets)], "parquet")

    with pytest.raises(UpstreamMalformed, match="does not fit"):
        written(writer, f'[{{"a":{text}}}]')


def test_json_has_all_its_digits() -> None:
    text = '{"a":[0.10000000000000000001]}'

    stream = written(ArrowWriter([column("JSON")], "arrow"), f'[{{"a":{text}}}]')

    assert pyarrow.ipc.open_stream(stream).read_all().column("a").to_pylist() == [text]


@pytest.mark.parametrize("scale", [0, 1, 2, 3, 6, 16, 30])
def test_decimals_of_all_lengths_are_exact(scale: int) -> None:
    """They are parsed with as many digits as the longest of a page has."""
    writer = ArrowWriter([column("Decimal", precision=38, scale=scale)], "arrow")
    values = [Decimal(f"-7.{'0' * (digits - 1)}1") for digits in range(1, scale + 1)]
    pages = [[Decimal(0), Decimal(9)], values, [Decimal("0.50"), *values] if scale > 1 else []]

    table = pyarrow.ipc.open_stream(
        written(writer, *(str([{"a": str(v)} for v in page]).replace("'", '"') for page in pages))
    ).read_all()

    assert table.column("a").to_pylist() == [value for page in pages for value in page]


def test_random_decimals_are_exact() -> None:
    """Long and short ones, of which the short ones go through binary floats."""
    dice = random.Random(7)
    writer = ArrowWriter([column("Decimal")], "arrow")
    pieces, expected = [writer.begin()], list[Decimal | None]()
    for _ in range(300):
        digits, scale = dice.randint(1, 17), dice.choice([0, 1, 2, 3, 4, 5, 6, 8, 10])
        page: list[Decimal | None] = [None] if dice.random() < 0.3 else []
        for _ in range(40):
            number = Decimal(dice.randrange(10**digits)).scaleb(-scale)
            page.append(-number if dice.random() < 0.3 else number)
        expected += page
        rows = [{"a": None if number is None else f"{number:f}"} for number in page]
        pieces += writer.page(json_page(msgspec.json.encode(rows).decode()))
    pieces.append(writer.end())

    table = pyarrow.ipc.open_stream(b"".join(pieces)).read_all()
    assert table.column("a").to_pylist() == expected


def test_decimals_may_be_numbers() -> None:
    """Rows with related rows beside them are decoded before they are completed."""
    writer = ArrowWriter([column("Decimal")], "arrow")
    made = msgspec.defstruct("Answer", [("r0", Any)])
    cells = [Decimal("0.00"), None, Decimal("1E+2"), Decimal("-0.0000000000000001")]
    page = Rows(slices=(writer.collect([made(cell) for cell in cells]),))

    pieces = [writer.begin(), *writer.page(page), writer.end()]

    table = pyarrow.ipc.open_stream(b"".join(pieces)).read_all()
    assert table.column("a").to_pylist() == cells


def test_facets_are_those_of_the_property() -> None:
    file = written(ArrowWriter([column("Decimal", precision=9, scale=2)], "parquet"), '[{"a":"1"}]')

    table = pyarrow.parquet.read_table(io.BytesIO(file))
    assert str(table.schema.field("a").type) == "decimal128(9, 2)"


def test_a_list_without_rows_is_a_file_with_columns() -> None:
    table = pyarrow.parquet.read_table(
        io.BytesIO(written(ArrowWriter([column("Int")], "parquet"), "[]"))
    )

    assert (table.num_rows, table.column_names) == (0, ["a"])


@pytest.mark.parametrize(("columns", "rows", "group"), [(1, 20_000, 16_384), (256, 2_100, 2_048)])
def test_a_group_waits_in_memory_with_few_values(columns: int, rows: int, group: int) -> None:
    writer = ArrowWriter(
        [structs.replace(column("String"), path=(f"c{n}",)) for n in range(columns)], "parquet"
    )
    # All values are different, so that a dictionary would have all of them.
    page = Rows(slices=([[f"a value {n}" for n in range(rows)]] * columns,))

    pieces = [writer.begin(), *writer.page(page), writer.end()]

    file = pyarrow.parquet.ParquetFile(io.BytesIO(b"".join(pieces))).metadata
    first = file.row_group(0).column(0)
    assert [file.row_group(n).num_rows for n in range(2)] == [group, rows - group]
    assert first.data_page_offset - first.dictionary_page_offset < 40_000


@pytest.mark.parametrize("completed", [False, True], ids=["JSON", "completed"])
@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_a_page_has_no_rows_once_it_is_written(form: str, completed: bool) -> None:
    """Who reads pages has the last one until the next one is completed: together they would be twice the rows."""
    columns = [column("Int")]
    writer: RowWriter = NdjsonWriter()
    if form != "ndjson":
        writer = CsvWriter(columns) if form == "csv" else ArrowWriter(columns, "parquet")
    page = completed_page(writer, '[{"a":1}]') if completed else json_page('[{"a":1}]')
    writer.begin()

    list(writer.page(page))
    writer.end()

    assert page.take() == (msgspec.Raw(b"[]"), ())


def test_an_export_that_ends_early_ends_its_thread() -> None:
    writer = ArrowWriter([column("Int")], "parquet")
    writer.begin()
    list(writer.page(json_page('[{"a":1}]')))

    writer.close()
    writer._thread.join(10)

    assert not writer._thread.is_alive()


def test_without_the_extra_the_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arro3.io", None)

    with pytest.raises(NotInstalled, match="parquet is not installed"):
        ArrowWriter([column("Int")], "parquet")
