"""Patterns over set names, and what must go with a set that is not exposed."""

from __future__ import annotations

import dataclasses

import pytest
from msgspec import structs

from schema.errors import ExposureError
from schema.model.exposure import expose
from schema.model.records import (
    ComplexType,
    EntitySet,
    EntityType,
    EnumType,
    Model,
    Navigation,
    Operation,
    OperationImport,
    OperationKind,
    Parameter,
    Property,
    Singleton,
    TypeRef,
)


def property_(name: str, type_name: str = "Edm.String", many: bool = False) -> Property:
    return Property(name=name, type=TypeRef(type_name, many))


def action(name: str, **facts: object) -> Operation:
    return Operation(name=f"N.{name}", kind=OperationKind.ACTION, **facts)  # type: ignore[arg-type]


def import_of(name: str, entity_set: str | None = None) -> OperationImport:
    return OperationImport(
        name=name, kind=OperationKind.ACTION, operation=f"N.{name}", entity_set=entity_set
    )


def by_name(*records: object) -> dict[str, object]:
    return {record.name: record for record in records}  # type: ignore[attr-defined]


SHOP = Model(
    namespace="N",
    entity_sets=by_name(  # type: ignore[arg-type]
        EntitySet(
            name="Customers",
            type="N.Customer",
            bindings={
                "Orders": "Orders",
                "Best": "Orders",
                "Former": "OldCustomers",
                "Address/Country": "Countries",
                "N.Gone/Country": "Countries",
                "N.KeyCustomer/Manager": "Managers",
            },
        ),
        EntitySet(name="OldCustomers", type="N.Customer", bindings={"Best": "Orders"}),
        EntitySet(name="Orders", type="N.Order", bindings={"Customer": "Customers"}),
        EntitySet(name="Countries", type="N.Country"),
        EntitySet(name="Managers", type="N.Manager"),
        EntitySet(name="NoYes", type="N.NoYes"),
    ),
    singletons={"Me": Singleton(name="Me", type="N.Manager", bindings={"Customer": "Customers"})},
    entity_types=by_name(  # type: ignore[arg-type]
        EntityType(
            name="N.Party",
            abstract=True,
            key=("Id",),
            properties=(property_("Id"), property_("Address", "N.Address")),
            navigations=(Navigation(name="Former", target="N.Customer"),),
        ),
        EntityType(
            name="N.Customer",
            base="N.Party",
            properties=(property_("Blocked", "N.NoYes"),),
            navigations=(
                Navigation(name="Orders", target="N.Order", many=True),
                Navigation(name="Best", target="N.Order"),
                Navigation(name="Notes", target="N.Note", many=True, contains_target=True),
                Navigation(name="Anyone", target="N.Party"),
                Navigation(name="Joined", target="N.Country", target_set="Countries"),
            ),
        ),
        EntityType(
            name="N.KeyCustomer",
            base="N.Customer",
            navigations=(Navigation(name="Manager", target="N.Manager"),),
        ),
        EntityType(
            name="N.Order",
            navigations=(Navigation(name="Customer", target="N.Customer"),),
            properties=(property_("State", "N.State"), property_("Total", "N.Money")),
        ),
        EntityType(
            name="N.Note",
            properties=(property_("Kinds", "N.Kind", many=True),),
            navigations=(Navigation(name="Pages", target="N.Page", contains_target=True),),
        ),
        EntityType(name="N.Page"),
        EntityType(name="N.Country"),
        EntityType(
            name="N.Manager", navigations=(Navigation(name="Customer", target="N.Customer"),)
        ),
        EntityType(name="N.NoYes"),
    ),
    complex_types=by_name(  # type: ignore[arg-type]
        ComplexType(
            name="N.Address",
            properties=(property_("Lines", "N.Line", many=True),),
            navigations=(Navigation(name="Country", target="N.Country"),),
        ),
        ComplexType(name="N.Abroad", base="N.Address", properties=(property_("Kind", "N.Kind"),)),
        ComplexType(name="N.Line"),
        ComplexType(name="N.Money"),
        ComplexType(name="N.Result", properties=(property_("State", "N.State"),)),
        ComplexType(name="N.Unused"),
    ),
    enum_types=by_name(*(EnumType(name=f"N.{n}") for n in ("NoYes", "State", "Kind", "Mode"))),  # type: ignore[arg-type]
    operations=(
        action("Bill", bound_to=TypeRef("N.Order")),
        action("Greet", bound_to=TypeRef("N.Party"), returns=TypeRef("N.Result")),
        action("Find", returns=TypeRef("N.Country")),
        action("Switch", parameters=(Parameter(name="to", type=TypeRef("N.NoYes")),)),
        action("Set", parameters=(Parameter(name="mode", type=TypeRef("N.Mode")),)),
        action("Pay", bound_to=TypeRef("N.Money")),
        action("Any", parameters=(Parameter(name="whom", type=TypeRef("N.Party")),)),
    ),
    imports={
        "Find": import_of("Find", "Countries"),
        "Set": import_of("Set", "Orders"),
        "Switch": import_of("Switch", "Customers"),
    },
)


def navigations(model: Model, type_name: str) -> list[str]:
    return [n.name for n in model.structured(type_name).navigations]


def test_without_patterns_the_model_is_the_same_object() -> None:
    assert expose(SHOP, include=[], exclude=[]) is SHOP


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["Customers"], [], ["Customers"]),
        (["*Customers"], [], ["Customers", "OldCustomers"]),
        (["[CO]*"], ["Old*", "Orders"], ["Customers", "Countries"]),
        ([], ["Countries", "Me"], ["Customers", "OldCustomers", "Orders", "Managers", "NoYes"]),
        (["Me"], [], ["Me"]),
    ],
)
def test_patterns_choose_sets_and_singletons(
    include: list[str], exclude: list[str], expected: list[str]
) -> None:
    model = expose(SHOP, include=include, exclude=exclude)

    assert [*model.entity_sets, *model.singletons] == expected


def test_a_type_stays_with_its_bases_derived_and_contained_types() -> None:
    model = expose(SHOP, include=["Customers"], exclude=[])

    assert list(model.entity_types) == [
        "N.Party",
        "N.Customer",
        "N.KeyCustomer",
        "N.Note",
        "N.Page",
    ]
    assert navigations(model, "N.Note") == ["Pages"]


def test_only_navigations_that_an_exposed_set_serves_stay() -> None:
    model = expose(SHOP, include=["Customers", "Managers"], exclude=[])

    assert navigations(model, "N.Customer") == ["Notes"]
    assert navigations(model, "N.KeyCustomer") == ["Manager"]
    assert navigations(model, "N.Address") == []
    assert model.entity_sets["Customers"].bindings == {"N.KeyCustomer/Manager": "Managers"}


def test_a_declared_navigation_stays_with_its_set() -> None:
    model = expose(SHOP, include=["Customers", "Countries"], exclude=[])

    assert navigations(model, "N.Customer") == ["Notes", "Joined"]
    assert navigations(model, "N.Address") == ["Country"]


def test_a_navigation_bound_to_excluded_sets_only_is_removed() -> None:
    assert navigations(expose(SHOP, include=["Customers"], exclude=[]), "N.Party") == []
    assert navigations(expose(SHOP, include=["*Customers"], exclude=[]), "N.Party") == ["Former"]


def test_a_navigation_that_one_exposed_set_still_binds_stays() -> None:
    sets = {
        **SHOP.entity_sets,
        "Archive": EntitySet(name="Archive", type="N.Order"),
        "OldCustomers": structs.replace(
            SHOP.entity_sets["OldCustomers"], bindings={"Best": "Archive"}
        ),
    }
    model = dataclasses.replace(SHOP, entity_sets=sets)

    exposed = expose(model, include=["*Customers", "Archive"], exclude=[])

    assert navigations(exposed, "N.Customer") == ["Best", "Notes"]


def test_complex_and_enum_types_stay_while_something_uses_them() -> None:
    model = expose(SHOP, include=["Customers"], exclude=[])

    assert list(model.complex_types) == [
        "N.Address",
        "N.Abroad",
        "N.Line",
        "N.Money",
        "N.Result",
    ]
    assert list(model.enum_types) == ["N.NoYes", "N.State", "N.Kind", "N.Mode"]
    bare = expose(
        dataclasses.replace(SHOP, operations=(), imports={}), include=["Orders"], exclude=[]
    )
    assert list(bare.complex_types) == ["N.Money"]
    assert list(bare.enum_types) == ["N.State"]


def test_operations_go_with_the_entities_they_need() -> None:
    model = expose(SHOP, include=["Customers"], exclude=[])

    assert [o.name for o in model.operations] == ["N.Greet", "N.Switch", "N.Set", "N.Pay"]
    assert {name: i.entity_set for name, i in model.imports.items()} == {
        "Set": None,
        "Switch": "Customers",
    }


def test_every_pattern_that_matches_nothing_is_named() -> None:
    with pytest.raises(ExposureError) as caught:
        expose(SHOP, include=["customers", "Orders", "Zzz*"], exclude=["Countrys*"])

    nothing = "include: no entity set or singleton matches"
    assert caught.value.problems == (
        f'{nothing} "customers". Did you mean Customers or OldCustomers?',
        f'{nothing} "Zzz*".',
        'exclude: no entity set or singleton matches "Countrys*". Did you mean Countries?',
    )
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    assert caught.value.hint is not None


def test_patterns_that_leave_nothing_are_an_error() -> None:
    with pytest.raises(ExposureError, match="leave no entity set"):
        expose(SHOP, include=["Orders"], exclude=["*"])
