"""What the writers of NDJSON and CSV make of rows."""

from __future__ import annotations

import csv
import io
import json
import random
from decimal import Decimal

import msgspec
import pytest

from gateway.export.csv_lines import csv_lines
from gateway.export.formats import PIECE, CsvWriter, NdjsonWriter
from gateway.export.selection import Column, select
from schema.catalog import Catalog
from schema.catalog.records import Field, FieldKind, ValueType
from tests.support.export_pages import written
from tests.support.shop import shop


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return shop().catalog


def columns(catalog: Catalog, fields: str) -> tuple[Column, ...]:
    return select(catalog, catalog.roots["customersV3"].csdl, fields).columns


def test_ndjson_has_a_row_a_line_as_it_came() -> None:
    pages = ('[{"a":"1.10"},{"a":null}]', "[]", '[{"a":{"b":1}}]')

    assert written(NdjsonWriter(), *pages) == b'{"a":"1.10"}\n{"a":null}\n{"a":{"b":1}}\n'
    assert written(NdjsonWriter(), *pages, completed=True) == written(NdjsonWriter(), *pages)


def test_the_trailer_counts_the_rows_of_all_pages() -> None:
    writer = NdjsonWriter(trailer=True)

    assert written(writer, "[{},{}]", "[{}]").splitlines()[-1] == b'{"end":{"rows":3}}'
    assert writer.rows == 3


@pytest.mark.parametrize("rows", [PIECE - 1, PIECE, PIECE + 1])
def test_pieces_lose_no_row(catalog: Catalog, rows: int) -> None:
    page = json.dumps([{"customerAccount": str(n)} for n in range(rows)])
    of_csv = CsvWriter(columns(catalog, "customerAccount"))

    assert len(written(NdjsonWriter(), page).splitlines()) == rows
    assert len(written(of_csv, page).splitlines()) == rows + 1
    assert of_csv.rows == rows


@pytest.mark.parametrize(
    ("fields", "row", "line"),
    [
        ("customerAccount version", '{"customerAccount":"a,b","version":"7"}', '"a,b",7'),
        ("customerAccount version", '{"customerAccount":"a\\"b","version":null}', '"a""b",'),
        ("customerAccount version", '{"customerAccount":"a\\r\\nb","version":"1"}', '"a\r\nb",1'),
        ("creditLimit version", '{"creditLimit":"0.10","version":"-9223372036854775808"}', None),
        ("onHold status", '{"onHold":true,"status":"OPEN"}', "true,OPEN"),
        ("onHold status", '{"onHold":false,"status":null}', "false,"),
        ("tags status", '{"tags":["a","b,c"],"status":null}', '"[""a"",""b,c""]",'),
        ("status group{name}", '{"status":null,"group":{"name":"10"}}', ",10"),
        ("status group{name}", '{"status":null,"group":null}', ","),
        (
            "status home{spot}",
            '{"status":null,"home":{"spot":{"x":0.10000000000000000001}}}',
            ',"{""x"":0.10000000000000000001}"',
        ),
        ("customerAccount", '{"customerAccount":""}', '""'),
        ("from:status class:version", '{"from":"OPEN","class":"1"}', "OPEN,1"),
    ],
)
def test_csv_cells(catalog: Catalog, fields: str, row: str, line: str | None) -> None:
    shown = columns(catalog, fields)

    text = written(CsvWriter(shown), f"[{row}]").decode()

    assert text.partition("\r\n")[2] == (line or "0.10,-9223372036854775808") + "\r\n"
    if "0.10000000000000000001" not in row:  # a number of Python has fewer digits
        assert written(CsvWriter(shown), f"[{row}]", completed=True).decode() == text


@pytest.mark.parametrize("number", ["0.1", "3.0", "1e16", "1E-7", "123456.789", "5", "-0.0"])
def test_floats_are_the_same_from_completed_rows(number: str) -> None:
    value = ValueType("Float", "Edm.Double", "other")
    shown = [
        Column(
            ("a",),
            Field(name="a", kind=FieldKind.VALUE, type_name="Float", value=value),
            nullable=True,
        )
    ]
    page = f'[{{"a":{msgspec.json.encode(float(number)).decode()}}},{{"a":null}}]'

    assert written(CsvWriter(shown), page, completed=True) == written(CsvWriter(shown), page)


@pytest.mark.parametrize(
    ("value", "neutral"),
    [("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@a", "'@a"), ("\ta", "'\ta"), ("a=", "a=")],
)
def test_formulas_are_neutralized_on_request(catalog: Catalog, value: str, neutral: str) -> None:
    page = json.dumps([{"customerAccount": value, "creditLimit": "-1"}])
    shown = columns(catalog, "customerAccount creditLimit")

    plain = written(CsvWriter(shown), page).decode()
    safe = written(CsvWriter(shown, neutralize=True), page).decode()

    assert list(csv.reader(io.StringIO(plain)))[1] == [value, "-1"]
    assert list(csv.reader(io.StringIO(safe)))[1] == [neutral, "-1"]


def test_lines_are_those_of_the_csv_module() -> None:
    texts = ["", "a", "a,b", 'x"y', '"', "\r", "a\r\nb", " ", "é", "'", "=1", "\0"]
    values = [*texts, None, 1, -5, Decimal("1.10"), 1e300]
    chance = random.Random(3)
    for _ in range(500):
        columns = [
            chance.choices(values[: chance.randint(1, len(values))], k=3)
            for _ in range(chance.randint(1, 4))
        ]
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\r\n").writerows(zip(*columns, strict=True))

        pieces = list(csv_lines(columns, 2))

        assert b"".join(lines for _, lines in pieces) == text.getvalue().encode()
        assert [rows for rows, _ in pieces] == [2, 1]
