"""What may be asked: operators per kind, and their absence where nothing can be asked."""

from __future__ import annotations

import pytest

from schema.catalog import Catalog
from schema.catalog.records import InputRole
from schema.catalog.values import Abilities
from schema.model.records import Capabilities, ComplexType, EntitySet, Model
from schema.operators import WhereOperator
from tests.support.small_models import (
    FINOPS,
    GENERIC,
    NO_YES,
    entity,
    enum,
    model,
    nav,
    prop,
    qualified,
)

ROW = entity(
    "Row",
    prop("Key", nullable=False),
    prop("Amount", "Edm.Decimal"),
    prop("Count", "Edm.Int32"),
    prop("Big", "Edm.Int64"),
    prop("Rate", "Edm.Double"),
    prop("On", "Edm.DateTimeOffset"),
    prop("Day", "Edm.DateTimeOffset", ax_type="Date"),
    prop("Plain", "Edm.Date"),
    prop("At", "Edm.TimeOfDay"),
    prop("Took", "Edm.Duration"),
    prop("Guid", "Edm.Guid"),
    prop("Flag", "Edm.Boolean"),
    prop("Active", "NoYes"),
    prop("Status", "Status"),
    prop("Days", "Days"),
    prop("Data", "Edm.Binary"),
    prop("Spot", "Edm.GeographyPoint"),
    prop("Tags", "Collection(Edm.String)"),
    prop("Home", "Place"),
    nav("Parent", "Row"),
    nav("Children", "Row", many=True),
    nav("Mine", "Row", declared=True, target_set="Rows"),
    key=("Key",),
)
PLACE = ComplexType(name=qualified("Place"), properties=(prop("Zip"),))
DAYS = enum("Days", "Mon", flags=True)


def rows(**capabilities: object) -> Model:
    entity_set = EntitySet(name="Rows", type=ROW.name, can=Capabilities(**capabilities))  # type: ignore[arg-type]
    return model(
        *(ROW, NO_YES, enum("Status", "Open"), DAYS),
        sets=[entity_set],
        complex_types={PLACE.name: PLACE},
    )


def where(catalog: Catalog) -> dict[str, str]:
    return {f.name: f.type_name for f in catalog.input_fields("RowWhere")}


def orders(catalog: Catalog) -> list[str]:
    return [f.name for f in catalog.input_fields("RowOrderBy")]


def test_finops_offers_no_filter_that_it_cannot_answer() -> None:
    assert where(Catalog(rows(), FINOPS)) == {
        "and": "RowWhere",
        "or": "RowWhere",
        "not": "RowWhere",
        "key": "StringFilter",
        "amount": "DecimalFilter",
        "count": "IntFilter",
        "big": "LongFilter",
        "rate": "FloatFilter",
        "on": "DateTimeFilter",
        "day": "DateFilter",
        "plain": "DateFilter",
        "at": "TimeOfDayFilter",
        "guid": "UUIDFilter",
        "flag": "BooleanFilter",
        "active": "BooleanFilter",
        "status": "StatusFilter",
        "parent": "RowWhere",
    }


def test_generic_odata_filters_durations_flags_and_related_rows() -> None:
    catalog = Catalog(rows(), GENERIC)
    more = {name: of for name, of in where(catalog).items() if name in ("took", "days", "children")}

    assert more == {
        "took": "DurationFilter",
        "days": "DaysFilter",
        "children": "RowCollectionWhere",
    }
    assert [(f.name, f.role, f.type_name) for f in catalog.input_fields("RowCollectionWhere")] == [
        ("some", InputRole.SOME, "RowWhere"),
        ("none", InputRole.NONE, "RowWhere"),
    ]


_COMPARED = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")


@pytest.mark.parametrize(
    ("name", "operators"),
    [
        ("StringFilter", tuple(o for o in WhereOperator if o is not WhereOperator.HAS)),
        ("DecimalFilter", _COMPARED),
        ("DateTimeFilter", (*_COMPARED, "isNull")),
        ("DateFilter", (*_COMPARED, "isNull")),
        ("BooleanFilter", ("eq", "ne")),
        ("StatusFilter", ("eq", "ne", "in", "nin")),
        ("UUIDFilter", ("eq", "ne", "in", "nin")),
        ("DurationFilter", ()),
        ("Base64Filter", ()),
    ],
)
def test_a_filter_has_the_operators_of_its_kind(name: str, operators: tuple[str, ...]) -> None:
    catalog = Catalog(rows(), FINOPS)

    assert tuple(f.name for f in catalog.input_fields(name)) == operators
    assert (catalog.entry(name) is not None) == bool(operators)


def test_operators_take_values_lists_and_booleans() -> None:
    catalog = Catalog(rows(), FINOPS)
    status = {f.name: (f.type_name, f.many) for f in catalog.input_fields("StatusFilter")}
    text = {f.name: (f.type_name, f.many) for f in catalog.input_fields("StringFilter")}

    assert status == {
        "eq": ("Status", False),
        "ne": ("Status", False),
        "in": ("Status", True),
        "nin": ("Status", True),
    }
    assert text["isNull"] == ("Boolean", False)


def test_order_is_offered_for_single_values_that_have_one() -> None:
    unordered = {"data", "spot", "tags", "home", "days", "parent", "children", "mine", "id", "etag"}
    unordered.add("customFields")
    everything = Catalog(rows(), FINOPS).object(ROW.name).fields

    assert orders(Catalog(rows(), FINOPS)) == [n for n in everything if n not in unordered]


def test_annotations_take_properties_out() -> None:
    catalog = Catalog(
        rows(non_filterable=("Amount", "Parent"), non_sortable=("Amount", "Count")), FINOPS
    )

    assert {"amount", "parent"}.isdisjoint(where(catalog))
    assert {"amount", "count"}.isdisjoint(orders(catalog))
    assert "big" in orders(catalog)


def test_a_set_that_cannot_be_asked_has_no_where_and_no_order_by() -> None:
    catalog = Catalog(rows(filterable=False, sortable=False), FINOPS)
    root = catalog.roots["rows"]

    assert [a.name for a in catalog.root_arguments(root)] == ["first", "after", "last", "before"]
    assert catalog.entry("RowWhere") is None
    assert catalog.entry("RowOrderBy") is None
    assert orders(catalog) == []
    assert list(where(catalog)) == ["and", "or", "not"]
    assert "RowWhere" not in {e.name for e in catalog.entries()}


def test_what_one_set_of_a_type_allows_is_offered() -> None:
    able = EntitySet(name="A", type=ROW.name, can=Capabilities(non_filterable=("Amount", "Count")))
    less = EntitySet(name="B", type=ROW.name, can=Capabilities(non_filterable=("Amount",)))
    none = EntitySet(name="C", type=ROW.name, can=Capabilities(filterable=False))
    catalog = Catalog(
        model(ROW, NO_YES, sets=[able, less, none], complex_types={PLACE.name: PLACE}), FINOPS
    )

    assert "amount" not in where(catalog)
    assert "count" in where(catalog)


def test_an_entity_without_conditions_has_no_where_or_order() -> None:
    blob = entity("Blob", prop("Data", "Edm.Binary"))
    owner = entity("Owner", prop("Name"), nav("Blob", "Blob"), nav("Blobs", "Blob", many=True))
    catalog = Catalog(model(blob, owner, sets={"Blobs": "Blob", "Owners": "Owner"}), GENERIC)

    assert [a.name for a in catalog.list_arguments(blob.name, root=True)] == [
        *("first", "after", "last", "before")
    ]
    assert [f.name for f in catalog.input_fields("OwnerWhere")] == ["and", "or", "not", "name"]


def test_a_product_may_not_filter_through_relations() -> None:
    able = Abilities(operators=FINOPS.operators, filter_to_one=False)

    assert "parent" not in where(Catalog(rows(), able))


def test_fields_called_like_the_logic_make_way_for_it() -> None:
    row = entity("Row", prop("And"), prop("not"))
    catalog = Catalog(model(row, sets={"Rows": "Row"}), FINOPS)
    by_name = {f.name: f.of and f.of.name for f in catalog.input_fields("RowWhere")}

    assert by_name == {"and": None, "or": None, "not": None, "and_2": "and", "not_2": "not"}
    assert orders(catalog) == ["and", "not"]


def test_only_input_types_have_input_fields() -> None:
    catalog = Catalog(rows(), FINOPS)

    with pytest.raises(KeyError):
        catalog.input_fields("Row")
    with pytest.raises(KeyError):
        catalog.input_fields("Nothing")


def test_a_property_knows_its_filter() -> None:
    catalog = Catalog(rows(), FINOPS)
    own = {p.name: catalog.property_filter(p) for p in ROW.properties}

    assert own["Amount"] == "DecimalFilter"
    assert own["Active"] == "BooleanFilter"
    assert own["Status"] == "StatusFilter"
    assert own["Spot"] is None
