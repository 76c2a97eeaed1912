"""``gateway.packages.rows``: which rows a file has, and what is said of a file that cannot be read."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import msgspec
import pytest

from gateway.config.package_models import PackageSet
from gateway.errors import UpstreamMalformed
from gateway.odata.query import Value
from gateway.packages import rows as rows_module
from gateway.packages.cells import converter
from gateway.packages.choice import PackagePlan
from gateway.packages.columns import read_column
from gateway.packages.rows import Row, read_rows
from schema.model.records import EnumMember, EnumType, Model, Property, TypeRef

STATUS = EnumType(
    name="N.Status", members=(EnumMember(name="None", value=0), EnumMember(name="Open", value=1))
)
MODEL = Model(
    entity_types={},
    complex_types={},
    enum_types={"N.Status": STATUS},
    entity_sets={},
    singletons={},
    operations=(),
)
COLUMNS = (
    Property(name="Id", type=TypeRef("Edm.Int32")),
    Property(name="Text", type=TypeRef("Edm.String")),
    Property(name="Amount", type=TypeRef("Edm.Decimal")),
)
HEADER = "ID,TEXT,AMOUNT\r\n"
encode = msgspec.json.Encoder(decimal_format="number").encode
decode = msgspec.json.Decoder(float_hook=Decimal).decode


def read(
    text: str | bytes,
    *,
    page: int = 3,
    skip: int = 0,
    passes: Callable[[Row], bool] | None = None,
    encoding: str = "utf-8",
) -> list[tuple[int, dict[str, Any]]]:
    """Return the numbers and values of the rows of a file."""
    plan = PackagePlan(
        entity_set="Rows",
        declared=PackageSet(project="p"),
        actions=cast("Any", None),
        engine=cast("Any", None),
        query=cast("Any", None),
        page=page,
        where=None,
        columns=COLUMNS,
        compared=frozenset({"Amount"}),
        company_property=None,
        needs_company=False,
        companies=None,
    )
    content = text if isinstance(text, bytes) else text.encode(encoding)
    file = cast("io.BufferedReader", io.BufferedReader(io.BytesIO(content)))
    found: list[tuple[int, dict[str, Any]]] = []
    for part in read_rows(file, plan, MODEL, "", skip=skip, has_nulls=False, passes=passes):
        values = decode(encode(part.rows))
        found += zip(part.numbers, values, strict=True)
    return found


def row(number: int) -> dict[str, Any]:
    return {"Id": number, "Text": f"é\n{number}", "Amount": Decimal(f"{number}.50")}


def line(number: int) -> str:
    return f'{number},"é\n{number}",{number}.50\r\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
def test_rows_are_those_of_the_file(
    monkeypatch: pytest.MonkeyPatch, encoding: str, piece: int
) -> None:
    monkeypatch.setattr(rows_module, "_PIECE", piece)
    text = HEADER + "".join(map(line, range(1, 9)))

    expected = [(number, row(number)) for number in range(1, 9)]
    assert read(text, encoding=encoding) == expected
    assert read(text.removesuffix("\r\n"), encoding=encoding) == expected
    assert read(text, encoding=encoding, skip=4) == expected[4:]


def test_empty_lines_are_counted_and_are_no_rows() -> None:
    text = HEADER + line(1) + "\r\n\r\n\r\n\r\n" + line(6)

    assert read(text) == [(1, row(1)), (6, row(6))]
    assert read(text, skip=5) == [(6, row(6))]


def test_a_filter_gets_what_it_compares_and_once_for_equal_rows() -> None:
    seen: list[Row] = []

    def passes(values: Row) -> bool:
        seen.append(values)
        return values["Amount"] == Decimal(2)

    text = HEADER + "1,a,1\r\n2,b,2\r\n3,c,1\r\n4,d,2\r\n"

    assert [number for number, _ in read(text, passes=passes)] == [2, 4]
    assert seen == [{"Amount": Decimal(1)}, {"Amount": Decimal(2)}]


@pytest.mark.parametrize(
    ("text", "message", "detail"),
    [
        ("1,a,1\r\n2,b\r\n", "Row 3 ", "another number of cells"),
        ("1,a\r\n2,b\r\n", "Row 2 ", "another number of cells"),
        ("1,a,1\r\n2,b,2\r\n3,c,3\r\n4,d,x\r\n", "Row 5 ", "Amount is not of its type"),
        ("1,a,1\r\nx,b,y\r\n", "Row 3 ", "Id is not of its type"),
        ('1,a,1\r\n2,"b"c,2\r\n', "Row 2 ", "expected after"),
        ("1,a,1\r\n2," + "b" * 5_000 + ",2\r\n", "Row ", "too long"),
        ("1,a,1\r\n2," + '"b\r\n",' * 2_000 + "2\r\n", "Row ", "too long"),
        (b"ID,TEXT,AMOUNT\r\n1,\xff,1\r\n", "Row ", "UnicodeDecodeError"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(
    monkeypatch: pytest.MonkeyPatch, text: str | bytes, message: str, detail: str
) -> None:
    monkeypatch.setattr(rows_module, "_MAX_CHARACTERS", 4_000)
    monkeypatch.setattr(rows_module, "_PIECE", 500)

    with pytest.raises(UpstreamMalformed) as raised:
        read(text if isinstance(text, bytes) else HEADER + text)

    assert message in raised.value.message
    assert detail in str(raised.value.detail)


CELLS = {
    "Edm.Int32": ["0", "-12", "+5", "007", " 3", "", "1,2", "-", "2147483647"],
    "Edm.Decimal": ["0", "-1.50", ".5", "5.", "1e3", "", "1,2", "1.2.3", "--1", "12345678901234567890.10"],
    "Edm.Boolean": ["Yes", "no", "1", "", "2"],
    "Edm.Guid": ["6f1a0000-0000-0000-0000-00000000000b", "{6F1A0000-0000-0000-0000-00000000000B}", "", "x"],
    "Edm.DateTimeOffset": ["2024-01-31 08:30:15", "2024-01-31", "", "soon"],
    "Edm.String": ["", " a ", "1,2"],
    "N.Status": ["Open", "1", "", "Lost"],
}  # fmt: skip


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("edm", CELLS)
def test_a_column_has_the_values_of_its_cells(edm: str, decimal: Any) -> None:
    prop = Property(name="P", type=TypeRef(edm))
    convert = converter(prop, MODEL, PackageSet(project="p", decimal=decimal), has_nulls=False)
    column = read_column(edm, convert, decimal)
    chance = random.Random(edm)

    for _ in range(200):
        cells = chance.choices(CELLS[edm], k=chance.randint(1, 3))
        try:
            expected: list[Value] | None = [convert(cell) for cell in cells]
        except (ValueError, ArithmeticError):
            expected = None
        if expected is None:
            with pytest.raises((ValueError, ArithmeticError)):
                column(cells)
        else:
            assert encode(column(cells)) == encode(expected)
