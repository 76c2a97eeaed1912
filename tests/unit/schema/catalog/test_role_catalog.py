"""What exists for whom: catalogues of roles, table by table, and against metadata that lacks what they hide."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import pytest

from schema.catalog import Catalog
from schema.catalog.records import RootKind, TypeKind
from schema.catalog.role_catalog import RoleCatalog
from schema.introspection import print_types
from schema.model.records import (
    ComplexType,
    EntitySet,
    Model,
    Operation,
    OperationImport,
    OperationKind,
    ReferentialConstraint,
    Singleton,
    TypeRef,
)
from schema.types.build import ODataSchema
from schema.writes import Writes
from tests.support.metadata_documents import RELATIONSHIPS, SMALL, model_of
from tests.support.policies import WRITES, removed, schema_of, view_of
from tests.support.small_models import (
    FINOPS,
    GENERIC,
    NS,
    entity,
    enum,
    model,
    nav,
    prop,
    qualified,
)

BANK = ComplexType(name=f"{NS}.Bank", properties=(prop("Iban"),))


def function(name: str, returns: str, bound_to: str | None = None) -> Operation:
    return Operation(
        name=qualified(name),
        kind=OperationKind.FUNCTION,
        bound_to=None if bound_to is None else TypeRef(qualified(bound_to)),
        returns=TypeRef(returns if returns.startswith("Edm.") else qualified(returns)),
    )


RATE = function("Rate", "Edm.String")
MODEL = model(
    enum("Terms", "Net", "Cash"),
    entity(
        "Customer",
        prop("dataAreaId"),
        prop("Id"),
        prop("Name"),
        prop("name"),
        prop("Group"),
        prop("Terms", "Terms"),
        prop("Bank", "Bank"),
        nav("Groups", "Group", on=(ReferentialConstraint("Group", "Id"),)),
        nav("Orders", "Order", many=True),
        key=("dataAreaId", "Id"),
    ),
    entity("Group", prop("Id"), prop("Text"), key=("Id",)),
    entity(
        "Order", prop("Id"), prop("Total", "Edm.Decimal"), nav("Payer", "Customer"), key=("Id",)
    ),
    complex_types={BANK.name: BANK},
    sets=(
        EntitySet(name="Customers", type=qualified("Customer"), bindings={"Orders": "Orders"}),
        EntitySet(name="Groups", type=qualified("Group")),
        EntitySet(name="Orders", type=qualified("Order")),
        EntitySet(name="Archive", type=qualified("Order")),
    ),
    singletons={"Me": Singleton(name="Me", type=qualified("Customer"))},
    operations=(
        RATE,
        function("Best", "Customer"),
        function("Score", "Edm.Int32", "Customer"),
        Operation(
            name=qualified("Post"), kind=OperationKind.ACTION, bound_to=TypeRef(qualified("Order"))
        ),
    ),
    imports={
        n: OperationImport(name=n, kind=OperationKind.FUNCTION, operation=qualified(n))
        for n in ("Rate", "Best")
    },
)
WHOLE = Catalog(MODEL, GENERIC)
CUSTOMER, ORDER = qualified("Customer"), qualified("Order")
ALL: Mapping[str, Any] = {"sets": {"*": {}}}


def only(*sets: str, **more: Any) -> dict[str, Any]:
    return {"sets": {name: {} for name in sets}, **more}


def columns(**rights: Any) -> dict[str, Any]:
    return {"sets": {"Customers": rights, "Groups": {}, "Me": rights}}


@pytest.mark.parametrize(
    ("role", "there", "absent"),
    [
        (only("Customers"), ["customers", "customer", "node", "nodes"], ["groups", "me", "rate"]),
        (only("Me"), ["me"], ["customers", "customer", "node"]),
        (only("Order*"), ["orders", "order"], ["archive", "customers"]),
        (only("Archive"), ["archive", "archiveByKey"], ["orders", "order"]),
        (only(actions=["Rate"]), ["rate"], ["best", "customers", "node"]),
        (only("*", actions=["*"]), ["rate", "best", "customerScore"], []),
        (only("Groups", actions=["*"]), ["rate"], ["best", "customerScore"]),
        (
            {"sets": {"*": {}, "Customers": {"read": False}}},
            ["groups", "orders", "me"],
            ["customers", "customer"],
        ),
        # rules do not bound what functions return
        ({"sets": {"*": {"where": {"id": {"eq": "1"}}}}, "actions": ["*"]}, ["rate"], ["best"]),
        ({"sets": {"*": {"masks": {"Name": "null"}}}, "actions": ["*"]}, ["rate"], ["best"]),
        ({"sets": {"*": {"deny_columns": ["Name"]}}, "actions": ["*"]}, ["best"], []),
        ({"sets": {"*": {}}, "companies": ["usmf"], "actions": ["*"]}, ["rate"], ["best"]),
    ],
)
def test_root_fields_exist_for_granted_sets(
    role: Mapping[str, Any], there: Collection[str], absent: Collection[str]
) -> None:
    view = view_of(WHOLE, r=role)

    assert {n for n in (*there, *absent) if n in view.roots} == set(there)
    assert {n for n in view.roots if n in absent} == set()
    assert len(view.roots) == len(list(view.roots))
    assert all(view.roots[name].name == name for name in view.roots)


@pytest.mark.parametrize(
    ("rights", "shown"),
    [
        ({}, ["bank", "groups", "name", "name_2", "terms"]),
        ({"columns": ["name"]}, ["name_2"]),
        ({"deny_columns": ["Name", "T*"]}, ["bank", "groups", "name_2"]),
        ({"deny_columns": ["Group"]}, ["bank", "name", "name_2", "terms"]),
        ({"masks": {"Group": "hash"}}, ["bank", "name", "name_2", "terms"]),
    ],
)
def test_fields_keep_the_names_of_the_whole(rights: Mapping[str, Any], shown: list[str]) -> None:
    view = view_of(WHOLE, r=columns(**rights))
    fields = view.object(CUSTOMER).fields

    assert (
        sorted(fields.keys() - {"id", "etag", "customFields", "rowId", "dataAreaId", "group"})
        == shown
    )
    assert {"id", "etag", "customFields", "rowId", "dataAreaId"} <= fields.keys()


def test_keys_and_the_company_are_never_hidden() -> None:
    catalog = Catalog(MODEL, FINOPS)
    view = view_of(catalog, r={"sets": {"Customers": {"columns": [], "masks": {"*": "null"}}}})

    assert [a.name for a in view.key_arguments(CUSTOMER)] == ["dataAreaId", "rowId"]
    assert [p.name for p in view.properties_of(CUSTOMER)] == ["dataAreaId", "Id"]


def test_a_masked_column_is_nullable_and_cannot_be_tested() -> None:
    rights = {"masks": {"Name": "last4"}, **WRITES}
    view = view_of(WHOLE, r={"sets": {"Customers": rights}})
    writes = Writes(view)

    assert view.object(CUSTOMER).fields["name"].nullable
    assert "name" not in view.inputs_of("CustomerWhere")
    assert "name" not in view.inputs_of("CustomerOrderBy")
    assert "name" not in writes.inputs_of("CustomerCreateInput")
    assert "name_2" in writes.inputs_of("CustomerPatch")


def test_a_preset_is_no_input_field() -> None:
    rights = {"presets": {"Group": "10"}, **WRITES}
    writes = Writes(view_of(WHOLE, r={"sets": {"Customers": rights}}))

    assert "group" not in writes.inputs_of("CustomerCreateInput")
    assert "group" not in writes.inputs_of("CustomerPatch")
    assert "group" in writes.catalog.object(CUSTOMER).fields


def test_a_preset_of_one_role_leaves_the_field_of_another() -> None:
    preset = {"sets": {"Customers": {"presets": {"Group": "10"}, **WRITES}}}
    writes = Writes(view_of(WHOLE, a=preset, b={"sets": {"Customers": WRITES}}))

    assert "group" in writes.inputs_of("CustomerCreateInput")


@pytest.mark.parametrize(
    ("second", "is_visible", "is_filterable"),
    [
        ({"where": {"id": {"eq": "1"}}}, True, True),
        ({"where": {"id": {"eq": "1"}}, "columns": ["Group"]}, True, False),
        ({"masks": {"Name": "null"}}, True, False),
    ],
)
def test_roles_unite_by_cell(
    second: Mapping[str, Any], is_visible: bool, is_filterable: bool
) -> None:
    view = view_of(WHOLE, a={"sets": {"Customers": {}}}, b={"sets": {"Customers": second}})

    assert ("name" in view.object(CUSTOMER).fields) is is_visible
    assert ("name" in view.inputs_of("CustomerWhere")) is is_filterable


def test_a_cell_that_no_row_decides_does_not_exist() -> None:
    related = {"groups": {"text": {"eq": "x"}}}
    a = {"sets": {"Customers": {"where": related}, "Groups": {}}}
    view = view_of(WHOLE, a=a, b={"sets": {"Customers": {"columns": ["Group"]}}})

    assert "name" not in view.object(CUSTOMER).fields


@pytest.mark.parametrize(
    ("sets", "there"),
    [
        (("Customers", "Orders", "Groups"), {"groups", "orders"}),
        (("Customers", "Orders"), {"orders"}),
        (("Customers", "Archive"), set()),  # bound to a set that is not granted
        (("Customers",), set()),
    ],
)
def test_a_navigation_needs_its_target_set(sets: tuple[str, ...], there: set[str]) -> None:
    fields = view_of(WHOLE, r=only(*sets)).object(CUSTOMER).fields

    assert {"groups", "orders"} & fields.keys() == there


def test_a_navigation_to_unknown_sets_needs_all_of_them() -> None:
    sets = (*MODEL.entity_sets.values(), EntitySet(name="Leads", type=CUSTOMER))
    catalog = Catalog(model(*MODEL.entity_types.values(), sets=sets), GENERIC)

    def has_payer(*sets: str) -> bool:
        return "payer" in view_of(catalog, r=only("Orders", *sets)).object(ORDER).fields

    assert not has_payer("Customers")
    assert has_payer("Customers", "Leads")


def test_a_type_in_two_sets_has_the_columns_of_both() -> None:
    role = {"sets": {"Orders": {}, "Archive": {"deny_columns": ["Total"]}}}

    assert "total" not in view_of(WHOLE, r=role).object(ORDER).fields
    assert "total" in view_of(WHOLE, r=only("Orders")).object(ORDER).fields


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (only("Customers"), {"Customer", "Terms", "TermsFilter", "Bank", "StringFilter"}),
        (columns(deny_columns=["Terms", "Bank"]), {"Customer", "Group", "StringFilter"}),
        (columns(masks={"Terms": "null"}), {"Customer", "Group", "Terms", "Bank", "StringFilter"}),
        (only("Orders"), {"Order", "StringFilter", "DecimalFilter"}),
        (only("Me"), {"Customer", "Terms", "Bank"}),
    ],
)
def test_types_exist_if_something_visible_uses_them(
    role: Mapping[str, Any], names: set[str]
) -> None:
    view = view_of(WHOLE, r=role)
    shown = (TypeKind.OBJECT, TypeKind.ENUM, TypeKind.FILTER)
    listed = {entry.name for entry in view.entries() if entry.kind in shown}

    assert listed == names
    assert {n for n in WHOLE.known_names() if view.entry(n)} == {e.name for e in view.entries()}


@pytest.mark.parametrize(
    ("reads", "writes", "inputs"),
    [
        ({"deny_columns": ["Group"]}, WRITES, {"CustomerCreateInput", "CustomerPatch"}),
        ({"masks": {"Group": "hash"}}, WRITES, {"CustomerCreateInput", "CustomerPatch"}),
        ({"deny_columns": ["Group"]}, {"update": True}, {"CustomerPatch"}),
        (WRITES, {"masks": {"Group": "hash"}}, {"CustomerCreateInput", "CustomerPatch"}),
        ({"deny_columns": ["Group"], **WRITES}, {}, set()),
    ],
)
def test_a_column_is_written_if_any_role_gives_it_with_the_right(
    reads: Mapping[str, Any], writes: Mapping[str, Any], inputs: set[str]
) -> None:
    roles = {name: {"sets": {"Customers": r}} for name, r in (("a", reads), ("b", writes))}
    fields = Writes(view_of(WHOLE, **roles))

    names = [n for n in ("CustomerCreateInput", "CustomerPatch") if fields.entry(n) is not None]
    assert {name for name in names if "group" in fields.inputs_of(name)} == inputs


@pytest.mark.parametrize(
    ("rights", "mutations"),
    [
        ({}, set()),
        ({"create": True}, {"createGroup", "createGroups"}),
        ({"update": True}, {"updateGroup", "updateGroups"}),
        ({"delete": True}, {"deleteGroup", "deleteGroups"}),
    ],
)
def test_mutations_exist_by_right(rights: Mapping[str, Any], mutations: set[str]) -> None:
    writes = Writes(view_of(WHOLE, r={"sets": {"Groups": rights, "Orders": {}}}))

    assert set(writes) == mutations
    assert bool(writes) is bool(mutations)


@pytest.mark.parametrize(
    ("role", "actions"),
    [
        (only("Orders", actions=["Post"]), {"orderPost"}),
        (only("Archive", actions=["Post"]), set()),
        (only("Orders"), set()),
    ],
)
def test_actions_exist_if_a_role_names_them(role: Mapping[str, Any], actions: set[str]) -> None:
    assert set(Writes(view_of(WHOLE, r=role)).actions) == actions


def test_subscriptions_need_a_right_on_any_set() -> None:
    assert not view_of(WHOLE, r=ALL).has_watchable
    assert view_of(WHOLE, r={"sets": {"Groups": {"subscribe": True}}}).has_watchable


def test_a_copy_hides_the_same() -> None:
    view = view_of(WHOLE, r=columns(deny_columns=["Name"])).fresh_copy()
    view.forget()

    assert "name" not in view.object(CUSTOMER).fields
    assert sum(map(len, view.tables())) > 0


# Against metadata without what is hidden


def half(model: Model) -> dict[str, Any]:
    names = (*model.entity_sets, *model.singletons)
    sets = {n: WRITES if i % 4 == 0 else {} for i, n in enumerate(names) if i % 2 == 0}
    return {"r": {"sets": sets, "actions": ["*"]}}


POLICIES: Mapping[str, Mapping[str, Any]] = {
    "columns": {"r": {"sets": {"*": {"deny_columns": ["*e*"], **WRITES}}}},
    "masks": {"r": {"sets": {"*": {"masks": {"*a*": "null"}, **WRITES}}, "actions": ["*"]}},
    "cells": {
        "a": {"sets": {"*": {"columns": ["*a*"]}}},
        "b": {"sets": {"*": {"columns": ["*i*"], "where": {"x": {"eq": 1}}}}},
    },
}


@cache
def whole_of(document: str) -> Catalog:
    return Catalog(model_of(document), GENERIC)


def text(schema: ODataSchema) -> str:
    return "\n".join(print_types(schema))


CASES = [(d, n) for d in (*SMALL, RELATIONSHIPS) for n in ("half", *POLICIES)]
# There, the view knows joins that are stated by navigations that it hides.
CASES.remove((RELATIONSHIPS, "half"))


@pytest.mark.parametrize(("document", "name"), CASES)
def test_a_view_is_as_if_the_rest_had_never_been(document: str, name: str) -> None:
    whole = whole_of(document)
    roles = half(whole.model) if name == "half" else POLICIES[name]
    view = view_of(whole, **roles)

    assert text(schema_of(view)) == text(removed(view, GENERIC))


@pytest.mark.parametrize("document", SMALL[:1])
def test_a_role_that_may_everything_sees_everything(document: str) -> None:
    whole = whole_of(document)
    view = view_of(whole, r={"sets": {"*": WRITES}, "actions": ["*"]})

    assert isinstance(view, RoleCatalog)
    assert text(schema_of(view)) == text(schema_of(whole))
    assert {r.kind for r in view.roots.values()} >= {RootKind.LIST, RootKind.NODE}
