"""``lenient_rows``: good JSON makes the rows that the typed decoder makes, and bad values stay as they came."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from gateway.operations.lenient_rows import lenient_row, parse_count, untyped_json
from tests.support.random_rows import order, party
from tests.support.zoo_model import KINDS, LISTS
from tests.support.zoo_rows import encode, plain, row_type

ORDERS = "{ orders { nodes { area orderId buyer %s } } }"
ALL_VALUES = " ".join(
    f"{name[0].lower()}{name[1:]}{suffix}"
    + (" { city zone spot { north label } }" if kind == "Zoo.Address" else "")
    for kinds in (KINDS, LISTS)
    for name, kind in kinds.items()
    for suffix in ("", "Must")
)


@given(st.integers(0, 2_000))
def test_good_rows_are_the_same_by_either_decoder(seed: int) -> None:
    made = row_type(ORDERS % ALL_VALUES)
    row = order("A1", seed, ["p1"], random.Random(seed))
    body = encode(row)
    json_names = {
        a for a, k in made.layout.kinds.items() if "JSON" in k
    } - made.layout.complex_types.keys()

    typed = made.single.decode(body)
    loose = lenient_row(made, untyped_json(body))

    assert type(loose) is made.struct
    for attribute in made.layout.wire_names:
        one, other = getattr(typed, attribute), getattr(loose, attribute)
        if attribute in json_names:
            assert encode(other) == encode(one)
        else:
            assert plain(one) == plain(other)


@given(st.integers(0, 500))
def test_rows_of_a_family_are_the_same_by_either_decoder(seed: int) -> None:
    made = row_type(
        "{ parties { nodes { partyId ... on Person { age steps nick house { city } }"
        " ... on Firm { revenue listed } } } }"
    )
    body = encode(party("A1", "p1", random.Random(seed)))

    assert plain(made.single.decode(body)) == plain(lenient_row(made, untyped_json(body)))


def test_a_missing_value_is_null_if_it_may_be() -> None:
    made = row_type(ORDERS % "text textMust")
    row: Any = lenient_row(made, {"Area": "A1", "OrderId": 1})

    assert row.a0 == "A1"
    assert getattr(row, made.attributes["Zoo.Order", "Text"]) is None
    assert getattr(row, made.attributes["Zoo.Order", "TextMust"]) is UNSET
    with pytest.raises(msgspec.ValidationError):
        made.single.decode(b'{"Area": "A1", "OrderId": 1}')


def test_what_does_not_fit_stays_as_it_came() -> None:
    made = row_type(ORDERS % "number amount ratio home { city }")
    row = lenient_row(
        made, {"Area": 5, "OrderId": "x", "Number": 2**40, "Amount": "x", "Ratio": "y", "Home": 7}
    )

    assert [getattr(row, f"a{i}") for i in range(7)] == [5, "x", None, 2**40, "x", "y", 7]


@pytest.mark.parametrize("raw", [None, 5, "x", []])
def test_only_objects_are_rows(raw: object) -> None:
    assert lenient_row(row_type(ORDERS % ""), raw) == raw


@pytest.mark.parametrize(
    ("field", "raw", "fitted"),
    [
        ("amount", 5, Decimal(5)),
        ("amount", "1.50", Decimal("1.50")),
        ("amount", True, True),
        ("ratio", 5, 5.0),
        ("ratio", Decimal("1.5"), 1.5),
        ("ratio", Decimal("1E+999"), Decimal("1E+999")),
        ("ratio", 10**400, 10**400),
        ("ratio", True, True),
        ("amounts", [1, Decimal("2.5")], [Decimal(1), Decimal("2.5")]),
    ],
)
def test_numbers_take_the_form_of_the_typed_decoder(
    field: str, raw: object, fitted: object
) -> None:
    made = row_type(f"{{ orders {{ nodes {{ {field} }} }} }}")
    row: Any = lenient_row(made, {field.capitalize(): raw})
    found = row.a0

    assert (type(found), found) == (type(fitted), fitted)


def test_decimals_keep_their_digits_and_plain_json_its_numbers() -> None:
    digits = "123456789012345678901234567890.123456789012345678901234567890"
    made = row_type("{ orders { nodes { amountMust any } } }")
    body = f'{{"AmountMust": {digits}, "Any": {{"x": {digits}}}}}'.encode()

    assert made.single.decode(body).a0 == Decimal(digits)
    loose: Any = lenient_row(made, untyped_json(body))
    assert loose.a0 == Decimal(digits)
    assert bytes(loose.a1) == f'{{"x":{digits}}}'.encode()


def test_undeclared_properties_are_the_rest() -> None:
    made = row_type("{ items { nodes { itemId additionalProperties } } }")
    raw = {
        "@odata.etag": "e",
        "ItemId": "i",
        "Weight": 1,
        "X": Decimal("1.10"),
        "Y@odata.type": "t",
    }

    assert not made.typed
    assert made.select == ()
    row: Any = lenient_row(made, raw)
    assert bytes(row.rest) == b'{"X":1.10}'


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (5, 5),
        (0, 0),
        ("5", 5),
        (None, None),
        (-1, None),
        ("x", None),
        ("", None),
        (1.5, None),
        (True, None),
        ("9" * 5_000, None),
        ([], None),
    ],
)
def test_counts_are_read_from_numbers_and_text(raw: object, expected: int | None) -> None:
    assert parse_count(raw) == expected
