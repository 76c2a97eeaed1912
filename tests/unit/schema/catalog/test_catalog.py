"""What the catalog makes of a model: names, values, keys, families of types."""

from __future__ import annotations

import pytest

from schema.catalog import Catalog
from schema.catalog.records import Clean, TypeKind
from schema.catalog.values import Cleaning
from schema.errors import SchemaError
from schema.model.records import ComplexType, EnumMember, EnumType
from tests.support.small_models import (
    FINOPS,
    GENERIC,
    NO_YES,
    entity,
    enum,
    fields_of,
    model,
    nav,
    prop,
    qualified,
)

CUSTOMER = entity(
    "CustomerV3",
    prop("dataAreaId", nullable=False),
    prop("CustomerAccount", nullable=False, label="@SYS1"),
    prop(
        "CreditLimit", "Edm.Decimal", nullable=False, allow_edit=False, allow_edit_on_create=False
    ),
    prop("OnHold", "NoYes"),
    prop("CreatedOn", "Edm.DateTimeOffset", nullable=False, allow_edit=False),
    prop("ValidFrom", "Edm.DateTimeOffset", nullable=False, ax_type="Date"),
    prop("Photo", "Edm.Stream"),
    nav("Orders", "OrderV2", many=True),
    key=("dataAreaId", "CustomerAccount"),
    label="Customers",
)
ORDER = entity(
    "OrderV2",
    prop("Number", nullable=False),
    prop("ShipDate", "Edm.DateTimeOffset", nullable=False, ax_type="Date"),
    nav("Customer", "CustomerV3"),
    key=("Number", "ShipDate"),
)
SHOP = model(CUSTOMER, ORDER, NO_YES, sets={"CustomersV3": "CustomerV3", "OrdersV2": "OrderV2"})


def shop(**settings: object) -> Catalog:
    return Catalog(SHOP, FINOPS, **settings)  # type: ignore[arg-type]


def test_a_type_has_camel_case_fields_with_nullability() -> None:
    assert fields_of(shop(), "CustomerV3") == {
        "id": "ID!",
        "etag": "String",
        "dataAreaId": "String!",
        "customerAccount": "String!",
        "creditLimit": "Decimal!",
        "onHold": "Boolean",
        "createdOn": "DateTime",
        "validFrom": "Date",
        "orders": "OrderV2Connection",
    }


def test_a_date_in_a_key_is_a_date_that_is_never_null() -> None:
    key = shop().object(qualified("OrderV2")).key

    assert [(f.name, f.type_name, f.nullable) for f in key] == [
        ("number", "String", False),
        ("shipDate", "Date", False),
    ]
    assert key[1].value is not None
    assert key[1].value.clean is Clean.KEY_DATE


@pytest.mark.parametrize(
    ("cleaning", "expected"),
    [
        (Cleaning(), {"onHold": "Boolean", "createdOn": "DateTime", "validFrom": "Date"}),
        (Cleaning(no_yes=False), {"onHold": "NoYes", "createdOn": "DateTime", "validFrom": "Date"}),
        (
            Cleaning(dates=False),
            {"onHold": "Boolean", "createdOn": "DateTime", "validFrom": "DateTime"},
        ),
        (
            Cleaning(null_dates=False),
            {"onHold": "Boolean", "createdOn": "DateTime!", "validFrom": "Date"},
        ),
        (
            Cleaning(no_yes=False, dates=False, null_dates=False),
            {"onHold": "NoYes", "createdOn": "DateTime!", "validFrom": "DateTime!"},
        ),
    ],
)
def test_each_cleaning_can_be_turned_off(cleaning: Cleaning, expected: dict[str, str]) -> None:
    found = fields_of(shop(cleaning=cleaning), "CustomerV3")

    assert {name: found[name] for name in expected} == expected


def test_null_dates_are_only_of_products_without_nulls() -> None:
    catalog = Catalog(SHOP, GENERIC)

    assert fields_of(catalog, "CustomerV3")["createdOn"] == "DateTime!"


def test_descriptions_hold_label_name_and_marks() -> None:
    catalog = shop(labels={"@SYS1": "Customer account"})
    info = catalog.object(qualified("CustomerV3"))

    assert info.description == "Customers. CSDL: `CustomerV3` (set `CustomersV3`)."
    assert {n: f.description for n, f in info.fields.items()} == {
        "id": "Opaque global ID, for `node(id:)` and client caches.",
        "customFields": "Columns by their upstream names; null for those that this environment lacks.",
        "etag": "Version of the row, for `ifMatch`; null if the upstream service returns none.",
        "dataAreaId": "CSDL: `dataAreaId`. Key. Company.",
        "customerAccount": "Customer account. CSDL: `CustomerAccount`. Key.",
        "creditLimit": "CSDL: `CreditLimit`. Read-only.",
        "onHold": "CSDL: `OnHold`.",
        "createdOn": "CSDL: `CreatedOn`. Fixed after creation.",
        "validFrom": "CSDL: `ValidFrom`.",
        "orders": "CSDL: `Orders`.",
    }


def test_a_property_called_custom_fields_makes_way() -> None:
    row = entity("A", prop("Text"), prop("CustomFields"))
    catalog = Catalog(model(row, sets={"As": "A"}), GENERIC)

    sources = {f.name: f.source for f in catalog.object(qualified("A")).fields.values()}

    assert sources == {"customFields": "", "text": "Text", "customFieldsColumn": "CustomFields"}


def test_lookups_answer_by_csdl_names() -> None:
    catalog = shop()
    info = catalog.object(qualified("CustomerV3"))

    assert info.has_company
    assert not catalog.object(qualified("OrderV2")).has_company
    assert info.by_source("CreditLimit").name == "creditLimit"
    with pytest.raises(KeyError):
        info.by_source("Nothing")
    assert catalog.name_of(TypeKind.EDGE, qualified("OrderV2")) == "OrderV2Edge"
    assert catalog.reference_name(qualified("OrderV2")) == "OrderV2"
    assert catalog.concrete_name(qualified("OrderV2")) == "OrderV2"
    assert catalog.possible_types(qualified("OrderV2")) == (qualified("OrderV2"),)
    assert catalog.set_for(qualified("OrderV2")) == "OrdersV2"
    assert catalog.entry("OrderV2Edge") == ("OrderV2Edge", TypeKind.EDGE, qualified("OrderV2"))
    assert catalog.entry("Nothing") is None


# Enums


def test_both_members_of_one_value_stay() -> None:
    half = EnumType(
        name=qualified("Half"),
        members=(
            EnumMember(name="None", value=0, label="@SYS9"),
            EnumMember(name="NoneOld", value=0, description="Not used any more."),
            EnumMember(name="none", value=1),
        ),
    )
    catalog = Catalog(
        model(entity("A", prop("Half", "Half")), half, sets={"As": "A"}),
        FINOPS,
        labels={"@SYS9": "Nothing"},
    )
    info = catalog.enum(qualified("Half"))

    assert info.to_graphql == {"None": "NONE", "NoneOld": "NONE_OLD", "none": "NONE_2"}
    assert info.to_csdl == {"NONE": "None", "NONE_OLD": "NoneOld", "NONE_2": "none"}
    assert info.descriptions == {
        "NONE": "Nothing (`None`)",
        "NONE_OLD": "Not used any more (`NoneOld`)",
        "NONE_2": "`none`",
    }
    assert catalog.findings == (
        "Half.none: the GraphQL name NONE is taken by Half.None; it is named NONE_2 (enum Half).",
    )


def test_a_flags_enum_is_a_list_and_a_collection_of_flags_is_json() -> None:
    days = enum("Days", "Mon", "Tue", flags=True)
    row = entity("A", prop("Open", "Days", nullable=False), prop("Weeks", "Collection(Days)"))
    catalog = Catalog(model(row, days, sets={"As": "A"}), GENERIC)

    assert fields_of(catalog, "A") == {"open": "[Days!]!", "weeks": "[JSON!]"}
    value = catalog.object(qualified("A")).fields["open"].value
    assert value is not None
    assert (value.is_enum, value.many, value.kind) == (True, True, "flags")


def test_an_enum_without_members_and_an_unknown_type_are_json() -> None:
    row = entity("A", prop("Empty", "Empty"), prop("Where", "Edm.GeographyPoint"))
    catalog = Catalog(model(row, EnumType(name=qualified("Empty")), sets={"As": "A"}), GENERIC)

    assert fields_of(catalog, "A") == {"empty": "JSON", "where": "JSON"}
    assert "Empty" not in catalog.known_names()


def test_an_enum_with_the_name_of_an_entity_gets_a_suffix() -> None:
    other = EnumType(name="Other.Status", members=(EnumMember(name="On", value=1),))
    row = entity("Status", prop("Kind", "Other.Status"))
    catalog = Catalog(model(row, other, sets={"Statuses": "Status"}), FINOPS)

    assert fields_of(catalog, "Status") == {"kind": "StatusEnum"}
    assert catalog.findings == ()


def test_types_that_differ_in_case_only_are_told_apart() -> None:
    lower, upper = entity("axType", prop("A")), entity("AxType", prop("B"))
    catalog = Catalog(model(upper, lower, sets={"X": "axType", "Y": "AxType"}), FINOPS)

    assert [catalog.reference_name(qualified(n)) for n in ("AxType", "axType")] == [
        "AxType",
        "AxType_2",
    ]
    assert catalog.findings == (
        "axType: the GraphQL name AxType is taken by AxType; it is named AxType_2.",
    )


def test_a_type_may_not_take_a_name_of_the_gateway() -> None:
    catalog = Catalog(model(entity("Node", prop("A")), sets={"Nodes": "Node"}), FINOPS)

    assert catalog.reference_name(qualified("Node")) == "Node_2"
    assert set(catalog.roots) == {"nodes_2"}


# Renames


def test_every_kind_of_name_can_be_renamed() -> None:
    catalog = shop(
        cleaning=Cleaning(no_yes=False),
        renames={
            "CustomerV3": "Customer",
            "CustomerV3.CreditLimit": "limit",
            "CustomerV3.Orders": "salesOrders",
            "NoYes.Yes": "JA",
            "Query.CustomersV3": "customers",
            "Query.OrderV2": "order",
        },
    )

    assert {"limit", "salesOrders"} < set(fields_of(catalog, "CustomerV3"))
    assert catalog.enum(NO_YES.name).to_graphql == {"No": "NO", "Yes": "JA"}
    assert list(catalog.roots) == ["customers", "ordersV2", "customer", "order", "node", "nodes"]
    assert catalog.name_of(TypeKind.WHERE, qualified("CustomerV3")) == "CustomerWhere"


def test_a_qualified_rename_picks_one_of_two_equal_names() -> None:
    other = EnumType(name="Other.Status", members=(EnumMember(name="On", value=1),))
    row = entity("Status", prop("Kind", "Other.Status"))
    catalog = Catalog(
        model(row, other, sets={"S": "Status"}), FINOPS, renames={"Other.Status": "State"}
    )

    assert fields_of(catalog, "Status") == {"kind": "State"}


def test_renames_that_cannot_be_done_stop_the_start_all_at_once() -> None:
    with pytest.raises(SchemaError) as refused:
        shop(renames={"CustomerV3": "1st", "CustomerV4": "C", "NoYes.Maybe": "M", "X.Y": "__z"})

    assert refused.value.problems == (
        "CustomerV3: '1st' is not a GraphQL name.",
        "CustomerV4: the metadata has no such name. Did you mean CustomerV3 or Query.CustomerV3 or Query.CustomersV3?",
        "NoYes.Maybe: the metadata has no such name. Did you mean NoYes?",
        "X.Y: '__z' is not a GraphQL name.",
        "X.Y: the metadata has no such name.",
    )
    assert refused.value.hint


# Keys and ids


def test_a_keyless_type_has_a_list_and_nothing_by_key() -> None:
    catalog = Catalog(model(entity("Log", prop("Text")), sets={"Logs": "Log"}), FINOPS)

    assert fields_of(catalog, "Log") == {"text": "String"}
    assert catalog.object(qualified("Log")).interfaces == ()
    assert list(catalog.roots) == ["logs"]


def test_a_key_whose_part_is_no_plain_value_counts_as_none() -> None:
    place = ComplexType(name=qualified("Place"), properties=(prop("Zip"),))
    row = entity("A", prop("Where", "Place"), prop("N"), key=("N", "Where"))
    gone = entity("B", prop("N"), key=("M",))
    catalog = Catalog(
        model(row, gone, sets={"As": "A", "Bs": "B"}, complex_types={place.name: place}), GENERIC
    )

    assert [catalog.key_of(qualified(n)) for n in ("A", "B")] == [(), ()]
    assert catalog.key_of(place.name) == ()
    assert list(catalog.roots) == ["as", "bs"]


def test_a_key_without_a_set_gives_no_id() -> None:
    parent = entity(
        "P", prop("K"), nav("Parts", "Part", many=True, contains_target=True), key=("K",)
    )
    part = entity("Part", prop("N"), key=("N",))
    catalog = Catalog(model(parent, part, sets={"Ps": "P"}), GENERIC)

    assert fields_of(catalog, "Part") == {"n": "String!"}
    assert catalog.object(qualified("Part")).interfaces == ()
    assert catalog.object(qualified("P")).fields["parts"].target_set is None


def test_a_property_called_id_makes_way_for_the_global_id() -> None:
    row = entity("A", prop("Id", "Edm.Guid", nullable=False), key=("Id",))
    catalog = Catalog(model(row, sets={"As": "A"}), GENERIC)

    assert fields_of(catalog, "A") == {"id": "ID!", "etag": "String", "rowId": "UUID!"}
    assert [a.name for a in catalog.key_arguments(qualified("A"))] == ["rowId"]
    assert catalog.findings == ()


def test_properties_give_way_to_the_gateways_fields_amid_clashes() -> None:
    row = entity(
        "A", prop("ID", nullable=False), prop("etag"), prop("RowId"), prop("Id"), key=("ID",)
    )
    catalog = Catalog(model(row, sets={"As": "A"}), GENERIC)

    assert [(f.name, f.source) for f in catalog.object(qualified("A")).fields.values()] == [
        ("id", ""),
        ("etag", "@odata.etag"),
        ("customFields", ""),
        ("rowId", "ID"),
        ("rowEtag", "etag"),
        ("rowId_2", "RowId"),
        ("rowId_3", "Id"),
    ]
    assert catalog.findings == (
        "A.RowId: the GraphQL name rowId is taken by A.ID; it is named rowId_2.",
        "A.Id: the GraphQL name rowId is taken by A.ID; it is named rowId_3.",
    )


def test_a_property_id_keeps_its_name_without_global_ids() -> None:
    catalog = Catalog(model(entity("A", prop("Id", "Edm.Guid")), sets={"As": "A"}), GENERIC)

    assert fields_of(catalog, "A") == {"id": "UUID"}


def test_a_property_called_id_can_be_renamed() -> None:
    row = entity("A", prop("Id", "Edm.Guid", nullable=False), key=("Id",))
    catalog = Catalog(model(row, sets={"As": "A"}), GENERIC, renames={"A.Id": "number"})

    assert fields_of(catalog, "A") == {"id": "ID!", "etag": "String", "number": "UUID!"}


def test_a_set_that_bears_the_name_of_another_type_keeps_it() -> None:
    catalog = Catalog(
        model(
            entity("Site", prop("K"), key=("K",)),
            entity("Warehouse", prop("K"), key=("K",)),
            sets={"Warehouse": "Site", "Warehouses": "Warehouse", "OldWarehouses": "Warehouse"},
        ),
        FINOPS,
    )

    assert {name: (r.kind.value, r.csdl) for name, r in catalog.roots.items() if r.csdl} == {
        "warehouse": ("list", qualified("Site")),
        "warehouses": ("list", qualified("Warehouse")),
        "oldWarehouses": ("list", qualified("Warehouse")),
        "site": ("by_key", qualified("Site")),
        "warehousesByKey": ("by_key", qualified("Warehouse")),
        "oldWarehousesByKey": ("by_key", qualified("Warehouse")),
    }
