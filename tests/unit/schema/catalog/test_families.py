"""Families of types, relations and singletons: what the catalogue makes of them."""

from __future__ import annotations

import pytest

from schema.catalog import Catalog
from schema.catalog.records import FieldKind, TypeKind
from schema.model.records import ComplexType, EntitySet, Model, Singleton, TypeRef
from tests.support.small_models import (
    FINOPS,
    GENERIC,
    NS,
    entity,
    enum,
    fields_of,
    model,
    nav,
    prop,
    qualified,
)

# Families


def zoo() -> Model:
    return model(
        entity("Animal", prop("Id"), prop("Name"), key=("Id",), open=True),
        entity("Dog", prop("AdditionalProperties"), base="Animal"),
        entity("Puppy", prop("Name"), prop("Age", "Edm.Int32"), base="Dog"),
        entity("Plant", abstract=True, key=()),
        entity("Tree", prop("Height", "Edm.Double"), base="Plant"),
        entity("Thing", prop("Size"), abstract=True),
        entity("Stone", prop("Weight"), base="Thing", key=("Size",)),
        entity("Void"),
        entity("OnlyStream", prop("S", "Edm.Stream")),
        entity("Pointer", nav("To", "Animal")),
        entity("PointsNowhere", nav("To", "Void"), nav("Off", "Gone")),
        sets={"Animals": "Animal", "Trees": "Tree", "Stones": "Stone", "Pointers": "Pointer"},
    )


def test_a_base_that_is_not_abstract_is_an_interface_and_an_object() -> None:
    catalog = Catalog(zoo(), GENERIC)
    animal, puppy = (catalog.object(qualified(n)) for n in ("Animal", "Puppy"))

    assert (animal.name, animal.interfaces) == ("Animal", ("Node", "Animal"))
    assert [e.kind for e in catalog.entries() if e.csdl == qualified("Animal")][:2] == [
        TypeKind.INTERFACE,
        TypeKind.OBJECT,
    ]
    assert puppy.interfaces == ("Node", "Animal", "Dog")
    assert catalog.concrete_name(qualified("Animal")) == "AnimalObject"
    assert catalog.possible_types(qualified("Animal")) == tuple(
        qualified(n) for n in ("Animal", "Dog", "Puppy")
    )
    assert catalog.implementers("Animal") == (["AnimalObject", "DogObject", "Puppy"], ["Dog"])
    assert catalog.implementers("Dog") == (["DogObject", "Puppy"], [])
    assert catalog.set_for(qualified("Puppy")) == "Animals"


def test_a_derived_type_shares_field_names_with_its_base() -> None:
    catalog = Catalog(zoo(), GENERIC)

    base = fields_of(catalog, "Animal")
    assert base == {
        "id": "ID!",
        "etag": "String",
        "rowId": "String!",
        "name": "String",
        "additionalProperties": "JSON",
    }
    assert fields_of(catalog, "Puppy") == {
        **base,
        "additionalProperties_2": "String",
        "age": "Int",
    }
    rest = catalog.object(qualified("Puppy")).fields["additionalProperties"]
    assert (rest.kind, catalog.object(qualified("Puppy")).is_open) == (FieldKind.REST, True)


def test_an_abstract_base_is_an_interface_only() -> None:
    catalog = Catalog(zoo(), GENERIC)

    assert catalog.concrete_name(qualified("Thing")) is None
    assert catalog.possible_types(qualified("Thing")) == (qualified("Stone"),)
    # the base itself has no key; its property still must be what the derived type's interface says
    assert fields_of(catalog, "Thing") == {"size": "String"}
    assert fields_of(catalog, "Stone") == {
        "id": "ID!",
        "etag": "String",
        "size": "String!",
        "weight": "String",
    }


def test_types_without_fields_are_not_served() -> None:
    catalog = Catalog(zoo(), GENERIC)

    served = {
        n: catalog.is_served(qualified(n)) for n in ("Plant", "Void", "OnlyStream", "Pointer")
    }
    assert served == {"Plant": False, "Void": False, "OnlyStream": False, "Pointer": True}
    assert not catalog.is_served(qualified("PointsNowhere"))
    assert catalog.object(qualified("Tree")).interfaces == ()


def test_complex_types_are_objects_and_may_have_families() -> None:
    types = (
        ComplexType(name=qualified("Place"), properties=(prop("Zip"), prop("Days", "Days"))),
        ComplexType(name=qualified("City"), properties=(prop("Mayor"),), base=qualified("Place")),
        ComplexType(name=qualified("Nothing")),
    )
    row = entity(
        "A",
        prop("Home", "Place", nullable=False),
        prop("Others", "Collection(Place)"),
        prop("Empty", "Nothing"),
    )
    catalog = Catalog(
        model(
            row,
            enum("Days", "Mon"),
            sets={"As": "A"},
            complex_types={t.name: t for t in types},
        ),
        GENERIC,
    )

    assert fields_of(catalog, "A") == {"home": "Place!", "others": "[Place!]", "empty": "JSON"}
    assert catalog.object(qualified("City")).interfaces == ("Place",)
    assert catalog.concrete_name(qualified("Place")) == "PlaceObject"
    assert catalog.entry("City") is not None
    assert (TypeKind.CONNECTION, qualified("Place")) not in [
        (e.kind, e.csdl) for e in catalog.known_names().values()
    ]


# Relations


@pytest.mark.parametrize(
    ("sets", "navigation", "target_set"),
    [
        ([("Cs", "C", {"To": "T2"}), ("T1", "T", {}), ("T2", "T", {})], {}, "T2"),
        ([("Cs", "C", {f"{NS}.C/To": "T1"}), ("T1", "T", {}), ("T2", "T", {})], {}, "T1"),
        ([("Cs", "C", {}), ("T1", "T", {})], {}, "T1"),
        ([("Cs", "C", {}), ("T1", "T", {}), ("T2", "T", {})], {}, None),
        ([("Cs", "C", {}), ("T1", "T", {})], {"contains_target": True}, None),
        ([("Cs", "C", {}), ("T1", "T", {})], {"target_set": "Mine", "declared": True}, "Mine"),
    ],
)
def test_a_navigation_leads_to_the_set_it_is_bound_to(
    sets: list[tuple[str, str, dict[str, str]]],
    navigation: dict[str, object],
    target_set: str | None,
) -> None:
    made = [EntitySet(name=n, type=qualified(t), bindings=b) for n, t, b in sets]
    catalog = Catalog(
        model(
            entity("C", prop("K"), nav("To", "T", **navigation)), entity("T", prop("K")), sets=made
        ),
        FINOPS,
    )

    assert catalog.object(qualified("C")).fields["to"].target_set == target_set


def test_a_navigation_to_a_type_that_is_not_there_is_no_field() -> None:
    place = ComplexType(name=qualified("Place"), properties=(prop("Zip"),))
    row = entity(
        "A", prop("K"), nav("Off", "Gone"), nav("Bad", "Place"), nav("K", "A"), nav("Ok", "A")
    )
    catalog = Catalog(model(row, sets={"As": "A"}, complex_types={place.name: place}), GENERIC)

    assert list(fields_of(catalog, "A")) == ["k", "ok"]
    assert [n.name for n in catalog.navigations_of(qualified("A"))] == ["Ok"]


def test_a_type_definition_is_its_underlying_type() -> None:
    from schema.model.records import TypeDefinition

    weight = TypeDefinition(name=qualified("Weight"), underlying="Edm.Decimal")
    catalog = Catalog(
        model(
            entity("A", prop("W", "Weight")),
            sets={"As": "A"},
            type_definitions={weight.name: weight},
        ),
        GENERIC,
    )

    assert fields_of(catalog, "A") == {"w": "Decimal"}
    assert catalog.value_of(TypeRef("Edm.Int16")).scalar == "Int"


def test_a_singleton_adds_its_type_without_a_list() -> None:
    me = entity("Person", prop("Name"), key=("Name",))
    catalog = Catalog(model(me, singletons={"Me": Singleton(name="Me", type=me.name)}), GENERIC)

    assert {e.name for e in catalog.entries()} == {"Person"}
    assert list(catalog.roots) == ["me"]
    assert catalog.entry("PersonConnection") is None
