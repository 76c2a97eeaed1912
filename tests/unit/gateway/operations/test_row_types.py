"""``row_types``: which columns a row type has, which of them are selected, and what it shares."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.operations import row_types as module
from gateway.operations.lenient_rows import lenient_row
from gateway.operations.row_types import RowTypes
from tests.support.zoo_rows import CATALOG, encode, level_of, plain, prepared, row_type

ORDERS = "{ orders { nodes { area orderId buyer %s } } }"


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
    ("annotation", "csdl"),
    [
        (None, "Zoo.Party"),
        ("#Zoo.Person", "Zoo.Person"),
        ("http://host/$metadata#Zoo.Person", "Zoo.Person"),
        ("Zoo.Person", "Zoo.Person"),
        (5, ""),
        ([], ""),
    ],
)
def test_a_row_names_its_type(annotation: object, csdl: str) -> None:
    made = row_type("{ parties { nodes { partyId } } }")

    row: Any = lenient_row(made, {"PartyId": "p", "@odata.type": annotation})

    assert made.csdl_of(row) == csdl


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
