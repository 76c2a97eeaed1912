"""Where names come from, and why operators are or are not offered."""

from __future__ import annotations

import re
import time

import pytest

from gateway.config.settings import Settings
from schema.catalog import Catalog
from schema.errors import SchemaError
from schema.model.records import Capabilities, ComplexType, EntitySet, ReferentialConstraint
from schema.why.reads import why
from tests.support.small_models import (
    FINOPS,
    GENERIC,
    NO_YES,
    NS,
    entity,
    enum,
    model,
    nav,
    prop,
    qualified,
)

CAN = Capabilities(non_filterable=("Secret", "Hidden"), non_sortable=("Secret",))
SHOP = model(
    entity(
        "CustomerV3",
        prop("dataAreaId", nullable=False),
        prop(
            "CreditLimit",
            "Edm.Decimal",
            label="@SYS1",
            ax_type="Real",
            allow_edit=False,
            allow_edit_on_create=False,
            required=True,
        ),
        prop("OnHold", "NoYes", label="On hold"),
        prop("Status", "Status"),
        prop("Secret"),
        prop("Tags", "Collection(Edm.String)"),
        prop("Spot", "Edm.Geography"),
        prop("Home", "Place"),
        nav("Group", "Group", on=(ReferentialConstraint("GroupId", "Name"),)),
        nav("Groups", "Group", many=True),
        nav("Mine", "Group", declared=True, target_set="Groups"),
        nav("Hidden", "Group"),
        key=("dataAreaId",),
        open=True,
    ),
    entity("Group", prop("Name")),
    entity("Base", prop("A"), key=("A",)),
    entity("Derived", prop("B"), base="Base"),
    NO_YES,
    enum("Status", "Open", "ClosedForGood", label="@SYS2"),
    enum("Unused", "X"),
    sets=[
        EntitySet(name="CustomersV3", type=qualified("CustomerV3"), can=CAN),
        EntitySet(name="Groups", type=qualified("Group")),
        EntitySet(name="Bases", type=qualified("Base")),
    ],
    complex_types={
        qualified("Place"): ComplexType(name=qualified("Place"), properties=(prop("Zip"),))
    },
)
CATALOG = Catalog(SHOP, FINOPS, labels={"@SYS1": "Credit limit"})


def explained(name: str, catalog: Catalog = CATALOG) -> list[tuple[str, str]]:
    """The lines under the title as pairs."""
    lines = why(catalog, name).splitlines()[1:]
    return [(a.strip(), b.strip()) for a, b in (line[2:].split("  ", 1) for line in lines)]


def test_a_value_tells_its_origin_its_cleaning_and_its_operators() -> None:
    assert (
        why(CATALOG, "CustomerV3.creditLimit")
        == f"""\
CustomerV3.creditLimit
  type            Decimal
  CSDL            {NS}.CustomerV3.CreditLimit
  sets            CustomersV3
  CSDL type       Edm.Decimal, nullable
  annotations     AXType Real, AllowEdit false, AllowEditOnCreate false, IsRequired
  label           Credit limit (@SYS1)
  key             no
  cleaning        none
  operators       eq ne gt gte lt lte in nin
  not contains    applies to text only
  not startsWith  applies to text only
  not endsWith    applies to text only
  not isNull      this product's OData does not support it for values of kind number
  orderBy         offered
  description     Credit limit. CSDL: `CreditLimit`. Read-only."""
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "Query.customersV3Aggregate",
            {
                "kind": "aggregate",
                "CSDL": "CustomersV3",
                "description": "Aggregates of the rows of `CustomersV3`.",
            },
        ),
        (
            "CustomerV3",
            {
                "kind": "object",
                "sets": "CustomersV3",
                "key": "dataAreaId",
                "interfaces": "Node",
                "fields": "16",
            },
        ),
        ("Group", {"key": "none, so rows have no id and no by-key field"}),
        (
            "Base",
            {"kind": "interface", "derived": qualified("Derived"), "interfaces": "Node, Base"},
        ),
        ("CustomerV3Edge", {"kind": "edge", "CSDL": qualified("CustomerV3")}),
        ("CustomerV3Where", {"kind": "where", "fields": "8"}),
        ("Status", {"kind": "enum", "values": "2"}),
        (
            "StatusFilter",
            {
                "operators": "eq ne in nin",
                "not gt": "values of kind enum have no order in the upstream service",
            },
        ),
        ("StatusFilter.eq", {"origin": "this product's OData supports it for such values"}),
        (
            "CustomerV3Where.and",
            {"input": "[CustomerV3Where!]", "origin": "the same in every where type"},
        ),
        (
            "CustomerV3Where.creditLimit",
            {"input": "DecimalFilter", "meaning": "value", "type": "Decimal"},
        ),
        ("CustomerV3OrderBy.status", {"input": "SortDirection", "meaning": "order"}),
        ("CustomerV3Connection.nodes", {"origin": "Relay connection (the same for every list)"}),
        ("Status.CLOSED_FOR_GOOD", {"CSDL": f"{NS}.Status.ClosedForGood = 1"}),
        ("Status.Open", {"GraphQL": "OPEN"}),
        ("CustomerV3.id", {"origin": "added by the gateway: encodes type and key, for node(id:)"}),
        (
            "CustomerV3.additionalProperties",
            {"origin": "added by the gateway: undeclared properties of an open type"},
        ),
        ("CustomerV3.dataAreaId", {"key": "part of the key, so not null", "annotations": "none"}),
        ("CustomerV3.OnHold", {"type": "Boolean", "label": "On hold", "operators": "eq ne"}),
        (
            "CustomerV3.secret",
            {
                "where": "not offered: a Capabilities.FilterRestrictions annotation forbids it",
                "orderBy": "not offered: the values have no order, or an annotation forbids it",
            },
        ),
        (
            "CustomerV3.tags",
            {
                "CSDL type": "Collection(Edm.String), nullable",
                "where": "not offered: it is a collection",
            },
        ),
        (
            "CustomerV3.spot",
            {
                "operators": "none",
                "not gt": "values of kind other have no order in the upstream service",
            },
        ),
        ("CustomerV3.home", {"type": "Place", "CSDL type": f"{NS}.Place, nullable"}),
        (
            "CustomerV3.group",
            {
                "origin": "navigation property",
                "leads to": f"{NS}.Group (set Groups)",
                "join": "GroupId = Name",
                "where": "offered",
            },
        ),
        (
            "CustomerV3.groups",
            {
                "join": "not in the metadata",
                "where": "not offered: this product cannot filter through such a navigation property",
            },
        ),
        (
            "CustomerV3.mine",
            {
                "origin": "declared in the settings (relations)",
                "where": "not offered: the upstream service does not know declared relations",
            },
        ),
        (
            "CustomerV3.hidden",
            {
                "where": "not offered: a Capabilities annotation forbids it, or the target has no field to filter by"
            },
        ),
        ("Query.groups", {"kind": "list", "CSDL": "Groups", "rows": qualified("Group")}),
        ("customerV3", {"kind": "by key", "argument": "dataAreaId: String"}),
        ("CustomersV3", {"type": "CustomerV3Connection!", "CSDL": "CustomersV3"}),
        (
            "nodes",
            {"type": "[Node]!", "CSDL": "none: added by the gateway", "argument": "ids: [ID!]!"},
        ),
    ],
)
def test_every_kind_of_name_is_explained(name: str, expected: dict[str, str]) -> None:
    found = explained(name)

    assert expected.items() <= set(found)


def test_a_type_that_orders_nothing_says_so() -> None:
    blob = model(entity("Blob", prop("Data", "Edm.Binary")), sets={"Blobs": "Blob"})
    found = dict(explained("Blob.data", Catalog(blob, GENERIC)))

    assert found["orderBy"] == "not offered: the values have no order, or an annotation forbids it"


def test_a_member_with_a_label_shows_it() -> None:
    from schema.model.records import EnumMember, EnumType

    kind = EnumType(
        name=qualified("Kind"), members=(EnumMember(name="A", value=0, label="@L"),), flags=True
    )
    catalog = Catalog(
        model(entity("Row", prop("Kind", "Kind")), kind, sets={"Rows": "Row"}),
        GENERIC,
        labels={"@L": "First"},
    )

    assert ("label", "First (@L)") in explained("Kind.A", catalog)
    assert ("values", "1 (flags)") in explained("Kind", catalog)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "CustomerV4",
            "There is no type or root field CustomerV4. Did you mean CustomerV3",
        ),
        (
            "CustomerV3.creditLimt",
            "There is no field CustomerV3.creditLimt. Did you mean creditLimit?",
        ),
        ("CustomerV3Where.secret", "There is no field CustomerV3Where.secret."),
        ("Status.CLOSED_FOR", "There is no value Status.CLOSED_FOR. Did you mean CLOSED_FOR_GOOD?"),
        ("Query.group", "There is no field Query.group. Did you mean groups?"),
        ("Decimal", "Decimal is a type of the gateway and does not come from the metadata."),
        (
            "Unused",
            "Unused is not part of the API: no root field leads to it, or it would have no fields",
        ),
        ("zzz", "There is no type or root field zzz."),
    ],
)
def test_an_unknown_name_is_an_error_with_near_names(name: str, message: str) -> None:
    with pytest.raises(SchemaError) as refused:
        why(CATALOG, name)

    assert refused.value.message.startswith(message)


@pytest.mark.heavy
def test_a_wrong_name_costs_little_in_a_large_catalogue() -> None:
    sets = {f"SalesOrderLine{i}s": f"SalesOrderLine{i}" for i in range(2_000)}
    catalog = Catalog(
        model(*(entity(t, prop("K"), key=("K",)) for t in sets.values()), sets=sets), FINOPS
    )
    start = time.process_time()

    with pytest.raises(SchemaError):
        why(catalog, "SalesOrderLine")

    assert time.process_time() - start < 5  # of the processor, however busy it is


def test_the_settings_that_it_names_are_settings() -> None:
    things = entity(
        "Thing",
        prop("Id"),
        prop("Flag", "NoYes"),
        prop("Day", "Edm.DateTimeOffset", ax_type="Date"),
        prop("Moment", "Edm.DateTimeOffset"),
        key=("Id",),
    )
    catalog = Catalog(model(NO_YES, things, sets={"Things": "Thing"}), FINOPS)
    explanations = [why(catalog, f"Thing.{field}") for field in ("flag", "day", "moment")]
    named = re.findall(r"\(setting (\w+)\)", "".join(explanations))

    assert named == ["clean_noyes", "clean_dates", "clean_null_dates"]
    assert set(named) <= Settings.model_fields.keys()
