"""``row_types``: the typed decoder and the lenient one build equal rows from good JSON, and only one takes bad."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from graphql import OperationDefinitionNode, parse
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from gateway.operations import row_types as module
from gateway.operations.lenient_rows import lenient_row, parse_count, untyped_json
from gateway.operations.prepared_operation import Prepared, prepare
from gateway.operations.row_types import RowType, RowTypes
from gateway.operations.shapes import RowRequirements
from schema.catalog.records import Field
from tests.support.random_rows import order, party
from tests.support.zoo_model import FO, KINDS, LISTS, schema_of

SCHEMA = schema_of(FO)
CATALOG = SCHEMA.catalog
encode = msgspec.json.Encoder(decimal_format="number").encode
ORDERS = "{ orders { nodes { area orderId buyer %s } } }"
ALL_VALUES = " ".join(
    f"{name[0].lower()}{name[1:]}{suffix}"
    + (" { city zone spot { north label } }" if kind == "Zoo.Address" else "")
    for kinds in (KINDS, LISTS)
    for name, kind in kinds.items()
    for suffix in ("", "Must")
)


def prepared(text: str) -> Prepared:
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return prepare(CATALOG, document, operation, {})


def level_of(text: str) -> RowRequirements:
    level = prepared(text).roots[0].level
    assert level is not None
    return level


def row_type(text: str, *extras: Field) -> RowType:
    return RowTypes(CATALOG).get(level_of(text), extras)


def plain(row: Any) -> Any:
    """Return what a row holds, for comparing."""
    if isinstance(row, msgspec.Struct):
        return {name: plain(getattr(row, name)) for name in row.__struct_fields__}
    if isinstance(row, msgspec.Raw):
        return msgspec.json.decode(row)
    return [plain(item) for item in row] if isinstance(row, list) else (type(row), row)


@given(st.integers(0, 2_000))
def test_good_rows_are_the_same_by_either_decoder(seed: int) -> None:
    made = row_type(ORDERS % ALL_VALUES)
    row = order("A1", seed, ["p1"], random.Random(seed))
    body = encode(row)
    json_names = {a for a, k in made.kinds.items() if "JSON" in k} - made.complex_types.keys()

    typed = made.single.decode(body)
    loose = lenient_row(made, untyped_json(body))

    assert type(loose) is made.struct
    for attribute in made.wire_names:
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


def test_what_is_missing_is_null_where_it_may_be() -> None:
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
def test_what_is_no_object_is_no_row(raw: object) -> None:
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


def test_undeclared_properties_are_what_is_left() -> None:
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


def test_extra_columns_are_selected_once() -> None:
    info = CATALOG.object("Zoo.Order")
    extras = (info.fields["area"], info.fields["number"], info.fields["area"])
    made = row_type("{ orders { nodes { area text } } }", *extras)

    assert made.select == ("Area", "Text", "Number")
    assert made.attribute(info.fields["area"]) == "a0"
    assert made.attribute(info.fields["number"]) == "e2"
    with pytest.raises(KeyError):
        made.attribute(info.fields["small"])


def test_a_row_type_is_made_once_for_equal_requirements() -> None:
    types, level = RowTypes(CATALOG), level_of(ORDERS % "text")
    info = CATALOG.object("Zoo.Order")

    assert types.get(level) is types.get(level)
    assert types.get(level, (info.fields["number"],)) is not types.get(level)


def test_columns_of_derived_types_are_selected_by_their_type() -> None:
    made = row_type(
        "{ parties { nodes { partyId ... on Person { age } ... on Firm { listed } } } }"
    )

    assert made.select == ("PartyId", "Zoo.Person/Age", "Zoo.Firm/Listed")
    assert made.own_names == {"PartyId"}


@pytest.mark.parametrize(
    ("told", "csdl"),
    [
        (None, "Zoo.Party"),
        ("#Zoo.Person", "Zoo.Person"),
        ("http://host/$metadata#Zoo.Person", "Zoo.Person"),
        ("Zoo.Person", "Zoo.Person"),
        (5, ""),
        ([], ""),
    ],
)
def test_a_row_tells_its_type(told: object, csdl: str) -> None:
    made = row_type("{ parties { nodes { partyId } } }")

    row: Any = lenient_row(made, {"PartyId": "p", "@odata.type": told})

    assert made.csdl_of(row) == csdl


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
def test_a_number_of_rows(raw: object, expected: int | None) -> None:
    assert parse_count(raw) == expected


FAMILY = "{ parties { nodes { partyId ... on Person { %s } ... on Firm { %s } } } }"


def test_types_of_a_family_share_the_column_of_an_equal_property() -> None:
    made = row_type(FAMILY % ("motto house { city }", "motto house { zone }"))
    person, firm = CATALOG.object("Zoo.Person").fields, CATALOG.object("Zoo.Firm").fields
    raw = {"PartyId": "p", "Motto": "m", "House": {"City": "Ulm", "Zone": "Red"}}

    assert made.typed
    assert made.attribute(person["motto"]) == made.attribute(firm["motto"])
    assert "Zoo.Person/Motto" in made.select
    assert "Zoo.Firm/Motto" in made.select
    assert plain(made.single.decode(encode(raw))) == plain(lenient_row(made, raw))


def test_nothing_is_typed_if_types_declare_a_name_differently() -> None:
    made = row_type(FAMILY % ("grade", "g: grade"))
    grade = CATALOG.object("Zoo.Person").fields["grade"]

    assert not made.typed
    for value in ("A", 7, None):
        row = lenient_row(made, {"PartyId": "p", "Grade": value})
        assert getattr(row, made.attribute(grade)) == value


def test_row_types_of_one_level_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VARIANTS", 3)
    made = prepared("{ orders { nodes { area } } }")
    (root,) = made.roots
    assert root.level is not None
    fields = [f for f in root.level.info.fields.values() if f.value is not None]
    for extra in fields[:20]:
        made.row_types.get(root.level, (extra,))

    assert len(made.row_types._cache) <= 2 * 3
