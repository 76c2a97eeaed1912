"""``gateway.execution.decimal_text``: decimals become the text that ``Decimal`` would make, or an error."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from graphql import OperationDefinitionNode, parse
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.execution.decimal_text import (
    NotFinite,
    decode_small_page,
    decode_with_texts,
    text_type,
    texts,
    texts_or_nulls,
)
from gateway.operations.completion_compiler import Compiler
from gateway.operations.prepared_operation import prepare
from gateway.operations.raw_rows import DecodedRows, RawRows, raw_page
from gateway.operations.row_types import RowType, RowTypes
from tests.support.zoo_model import FO, schema_of

CATALOG = schema_of(FO).catalog
NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30).map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.decimals(places=2, allow_nan=False, allow_infinity=False).map(lambda d: f"{d:f}"),
    st.decimals(-1, 1, places=9).map(lambda d: f"{d:f}"),
)
BAD = [
    '"NaN"',
    '"-Infinity"',
    '"sNaN1"',
    '"x"',
    '""',
    "true",
    "[1]",
    "{}",
    '"1-2"',
]


def raws(*values: str) -> list[msgspec.Raw]:
    return [msgspec.Raw(value) for value in values]


def expected(text: str) -> str | None:
    result = msgspec.json.decode(text, type=Decimal | None)
    return None if result is None else str(result)


@pytest.mark.heavy
@given(st.lists(NUMBERS, min_size=1))
@example(["0.000000", "0.0000001", "-0", "-0.0", "1E+2", "1e-7", "10", "0.10"])
@example(['"1.50"', "2"])
@example(['"007"', "2"])
def test_numbers_are_printed_as_decimals_are(numbers: list[str]) -> None:
    assert texts(raws(*numbers)) == [expected(number) for number in numbers]


@pytest.mark.heavy
@given(st.lists(st.one_of(NUMBERS, st.just("null"), st.none()), min_size=1))
def test_nulls_stay_and_so_does_what_is_missing(numbers: list[str | None]) -> None:
    given_raws = [None if number is None else msgspec.Raw(number) for number in numbers]
    needed = [None if number is None else expected(number) for number in numbers]

    assert texts_or_nulls(given_raws) == needed


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("read", [texts, texts_or_nulls])
def test_what_is_no_number_is_not_read(read: Any, bad: str) -> None:
    with pytest.raises((NotFinite, msgspec.ValidationError)):
        read(raws("1.5", bad))


def test_null_is_no_number_where_it_may_not_be() -> None:
    with pytest.raises(msgspec.ValidationError):
        texts(raws("1.5", "null"))


# -- rows


def row_type(text: str) -> RowType:
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    level = prepare(CATALOG, document, operation, {}).roots[0].level
    assert level is not None
    return RowTypes(CATALOG).get(level)


def rows_of(row_kind: RowType, *values: object) -> RawRows:
    body = msgspec.json.Encoder(decimal_format="number").encode({"value": values})
    return RawRows(row_kind, raw_page(body).value)


def test_rows_with_text_hold_what_rows_with_numbers_hold() -> None:
    row_kind = row_type("{ orders { nodes { area amount amountMust number } } }")
    result = rows_of(
        row_kind,
        {"Area": "A", "Amount": Decimal("1.50"), "AmountMust": Decimal("-2.000"), "Number": 1},
        {"Area": "B", "Amount": None, "AmountMust": 3},
        {"Area": "C", "AmountMust": Decimal("1E+3")},
    )
    with_text = decode_with_texts(result)
    text_type(row_kind).convert(with_text)

    for row, other in zip(result, with_text, strict=True):
        for name in row.__struct_fields__:
            value = getattr(row, name)
            needed = str(value) if isinstance(value, Decimal) else value
            assert getattr(other, name) == needed


def test_first_pages_and_later_ones_are_converted_alike() -> None:
    """The first ones without a compiled function."""
    row_kind = row_type("{ orders { nodes { area amount amountMust } } }")
    convert = text_type(row_kind).convert
    values = [
        {"Area": str(i), "AmountMust": Decimal(i) / 4, **({"Amount": i} if i % 3 else {})}
        for i in range(5)
    ]
    bad = [*values, {"Area": "B", "AmountMust": "NaN"}]
    pages = []
    for _ in range(6):
        rows = decode_with_texts(rows_of(row_kind, *values))
        convert(rows)
        pages.append([(row.a0, row.a1, row.a2) for row in rows])
        with pytest.raises((NotFinite, msgspec.ValidationError)):
            convert(decode_with_texts(rows_of(row_kind, *bad)))

    assert pages == [pages[0]] * 6
    assert pages[0][:2] == [("0", None, "0"), ("1", "1", "0.25")]


def test_a_row_without_a_promised_number_is_not_read() -> None:
    row_kind = row_type("{ orders { nodes { amountMust } } }")

    with pytest.raises(msgspec.ValidationError):
        decode_with_texts(rows_of(row_kind, {"Amount": 1}))


def test_a_raw_row_read_by_its_index_holds_numbers() -> None:
    """Cursors are made of such rows, by whoever asks for the ends of a page."""
    row_kind = row_type("{ orders { nodes { amountMust } } }")
    result = rows_of(row_kind, {"AmountMust": Decimal("1.50")}, {"AmountMust": 2})

    assert [result[0].a0, result[-1].a0] == [Decimal("1.50"), Decimal(2)]
    result.reverse()
    assert [row.a0 for row in result[:1]] == [2]


def small_page(row_kind: RowType, *values: object, **more: object) -> Any:
    """Read a page as the second one of its kind, for which a decoder of whole pages is made."""
    encode = msgspec.json.Encoder(decimal_format="number").encode
    decode_small_page(row_kind, encode({"value": values}))
    return decode_small_page(row_kind, encode({"value": values, **more}))


def test_a_small_page_holds_what_raw_rows_hold() -> None:
    row_kind = row_type("{ orders { nodes { area amount amountMust } } }")
    values = [
        {"Area": name, "Amount": Decimal("1.50"), "AmountMust": 2, "Unknown": [1]} for name in "ABC"
    ]
    page = small_page(row_kind, *values, **{"@odata.count": 7})
    body = msgspec.json.Encoder(decimal_format="number").encode({"value": values})
    rows: RawRows = DecodedRows(row_kind, page.value, body)

    assert (page.count, page.next) == (7, None)
    both = decode_with_texts(rows), decode_with_texts(rows_of(row_kind, *values))
    assert [[(row.a0, bytes(row.a1), bytes(row.a2)) for row in each] for each in both] == [
        [(name, b"1.50", b"2") for name in "ABC"]
    ] * 2
    rows = rows[:2]
    rows.reverse()
    assert [len(rows), *(row.a0 for row in rows), rows[-1].a1] == [2, "B", "A", Decimal("1.50")]
    assert [row.a0 for row in decode_with_texts(rows)] == ["B", "A"]
    assert list(rows.slices(1)) == [rows]


@pytest.mark.parametrize(
    "body",
    [
        b'{"value": [{"Area": 5}]}',
        b'{"value": [{"Area": "A"}',
        b'{"value": 1}',
        b'{"value": ["\xff"]}',
    ],
    ids=["another type", "cut off", "no page", "no text"],
)
def test_what_is_wrong_with_a_small_page_is_found_elsewhere(body: bytes) -> None:
    row_kind = row_type("{ orders { nodes { area } } }")
    small_page(row_kind, {"Area": "A"})

    assert decode_small_page(row_kind, body) is None


@pytest.mark.heavy
@given(st.lists(st.integers(0, 50)), st.integers(1, 200))
def test_slices_hold_every_row_once_and_about_their_size(sizes: list[int], most: int) -> None:
    row_kind = row_type("{ orders { nodes { area } } }")
    result = rows_of(row_kind, *({"Area": "x" * size} for size in sizes))
    slices = list(result.slices(most))

    assert [row.a0 for some in slices for row in some] == [row.a0 for row in result]
    assert all(sum(map(len, some.raws[:-1])) < most for some in slices)


def test_completion_takes_text_only_where_it_is() -> None:
    document = parse("{ orders { nodes { amountMust } } }")
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    (root,) = prepare(CATALOG, document, operation, {}).roots
    completion = Compiler().connection(root.below)  # type: ignore[arg-type]
    row_kind = RowTypes(CATALOG).get(root.level)  # type: ignore[arg-type]
    result = rows_of(row_kind, {"AmountMust": Decimal("1.50")})
    with_text = decode_with_texts(result)
    text_type(row_kind).convert(with_text)

    numbers = completion.of(texts=False).lists(None, list(result), 0)  # type: ignore[arg-type]
    assert msgspec.json.encode(numbers) == b'[[{"amountMust":"1.50"}]]'
    text = completion.of(texts=True).lists(None, with_text, 0)  # type: ignore[arg-type]
    assert msgspec.json.encode(text) == b'[[{"amountMust":"1.50"}]]'
