"""Declared relations become navigations; missing ones are found by equal key names."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from msgspec import structs

from schema.errors import RelationError
from schema.model.records import (
    EntitySet,
    EntityType,
    Model,
    Navigation,
    Property,
    ReferentialConstraint,
    TypeRef,
)
from schema.model.relations import Relation, declare, preset, suggest


def entity(
    name: str,
    key: str,
    fields: str = "",
    base: str | None = None,
    navigations: tuple[Navigation, ...] = (),
) -> EntityType:
    """Fields are strings but those named ``x:Int32``; the key is the first of them."""
    properties = []
    for word in f"{key} {fields}".split():
        field, _, type_name = word.partition(":")
        properties.append(Property(name=field, type=TypeRef(f"Edm.{type_name or 'String'}")))
    names = tuple(word.partition(":")[0] for word in key.split())
    return EntityType(
        name=f"N.{name}",
        key=names,
        properties=tuple(properties),
        base=base,
        navigations=navigations,
    )


def model_of(**sets: EntityType) -> Model:
    return Model(
        namespace="N",
        entity_sets={name: EntitySet(name=name, type=t.name) for name, t in sets.items()},
        entity_types={t.name: t for t in sets.values()},
    )


SHOP = model_of(
    CustomersV3=entity("CustomerV3", "dataAreaId CustomerAccount", "Name GroupId Level:Int32"),
    SalesOrders=entity(
        "SalesOrder", "dataAreaId OrderNumber", "CustomerAccount InvoiceAccount Level"
    ),
    CustomerGroups=entity("CustomerGroup", "GroupId", "Name"),
    Notes=entity("Note", "", "Text"),
)


def navigation(model: Model, type_name: str, name: str) -> Navigation:
    return next(n for n in model.entity_types[type_name].navigations if n.name == name)


def relation(**changes: object) -> Relation:
    facts: dict[str, object] = {
        "from_set": "SalesOrders",
        "fields": ("dataAreaId", "CustomerAccount"),
        "to_set": "CustomersV3",
        "name": "Customer",
    }
    return Relation(**{**facts, **changes})  # type: ignore[arg-type]


def test_a_relation_that_covers_the_key_is_to_one() -> None:
    model = declare(SHOP, [relation(inverse="Orders")])

    assert navigation(model, "N.SalesOrder", "Customer") == Navigation(
        name="Customer",
        target="N.CustomerV3",
        many=False,
        partner="Orders",
        on=(
            ReferentialConstraint("dataAreaId", "dataAreaId"),
            ReferentialConstraint("CustomerAccount", "CustomerAccount"),
        ),
        target_set="CustomersV3",
        declared=True,
    )
    assert navigation(model, "N.CustomerV3", "Orders") == Navigation(
        name="Orders",
        target="N.SalesOrder",
        many=True,
        partner="Customer",
        on=navigation(model, "N.SalesOrder", "Customer").on,
        target_set="SalesOrders",
        declared=True,
    )


def test_the_given_model_is_not_changed() -> None:
    declare(SHOP, [relation(inverse="Orders")])

    assert SHOP.entity_types["N.SalesOrder"].navigations == ()


@pytest.mark.parametrize(
    ("fields", "to_fields", "expected"),
    [
        (("dataAreaId", "InvoiceAccount"), (), ("dataAreaId", "CustomerAccount")),
        (("CustomerAccount", "dataAreaId"), (), ("CustomerAccount", "dataAreaId")),
        (("CustomerAccount",), (), ("CustomerAccount",)),
        (("InvoiceAccount",), ("Name",), ("Name",)),
    ],
    ids=["the key in order", "the key by name", "the same names", "as given"],
)
def test_fields_of_the_other_side_have_a_sensible_default(
    fields: tuple[str, ...], to_fields: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    model = declare(SHOP, [relation(fields=fields, to_fields=to_fields)])

    on = navigation(model, "N.SalesOrder", "Customer").on
    assert tuple(pair.referenced for pair in on) == expected


@pytest.mark.parametrize(
    ("changes", "many"),
    [
        ({}, False),
        ({"fields": ("CustomerAccount",)}, True),
        ({"fields": ("CustomerAccount",), "many": False}, False),
        ({"many": True}, True),
        ({"to_set": "Notes", "fields": ("CustomerAccount",), "to_fields": ("Text",)}, True),
    ],
    ids=["key covered", "key not covered", "said one", "said many", "no key"],
)
def test_a_relation_leads_to_one_just_where_the_key_is_covered(
    changes: dict[str, object], many: bool
) -> None:
    model = declare(SHOP, [relation(**changes)])

    assert navigation(model, "N.SalesOrder", "Customer").many is many


def test_an_inverse_that_covers_the_key_is_to_one() -> None:
    one_to_one = relation(
        from_set="CustomersV3",
        to_set="SalesOrders",
        to_fields=("dataAreaId", "CustomerAccount"),
        name="Orders",
        inverse="Customer",
    )

    model = declare(SHOP, [one_to_one])

    assert navigation(model, "N.CustomerV3", "Orders").many
    assert not navigation(model, "N.SalesOrder", "Customer").many


def test_a_set_may_be_related_to_itself() -> None:
    itself = relation(
        to_set="SalesOrders", fields=("InvoiceAccount",), name="Same", inverse="SameBack"
    )

    model = declare(SHOP, [itself])

    assert [n.name for n in model.entity_types["N.SalesOrder"].navigations] == ["Same", "SameBack"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"to_set": "CustomerV3"},
            "there is no entity set CustomerV3. Did you mean CustomersV3",
        ),
        ({"fields": ()}, "it has no fields to join on."),
        ({"to_fields": ("GroupId",)}, "2 fields cannot be joined with 1."),
        (
            {"fields": ("CustomerAcount",)},
            "SalesOrders has no field CustomerAcount. Did you mean CustomerAccount?",
        ),
        (
            {"fields": ("OrderNumber",), "to_fields": ("Qqq",)},
            "CustomersV3 has no field Qqq.",
        ),
        (
            {"fields": ("Level",)},
            "Level is Edm.String and Level is Edm.Int32: fields of different types are never equal.",
        ),
        ({"name": "OrderNumber"}, "SalesOrders already has a field OrderNumber."),
        ({"inverse": "Name"}, "CustomersV3 already has a field Name."),
        (
            {"to_set": "SalesOrders", "inverse": "Customer"},
            "both directions on SalesOrders are called Customer.",
        ),
    ],
)
def test_a_relation_that_does_not_fit_is_an_error(changes: dict[str, object], problem: str) -> None:
    wrong = relation(**changes)

    with pytest.raises(RelationError) as caught:
        declare(SHOP, [wrong])

    assert problem in str(caught.value)
    assert f"{wrong.from_set} → {wrong.to_set} ({wrong.name}): " in str(caught.value)


def test_a_collection_is_not_joined_with_a_single_value() -> None:
    tags = Property(name="Tags", type=TypeRef("Edm.String", many=True))
    model = model_of(A=EntityType(name="N.A", properties=(tags,)), B=entity("B", "Tags", "Other"))

    with pytest.raises(RelationError, match=r"Tags is Collection\(Edm.String\)"):
        declare(model, [Relation(from_set="A", fields=("Tags",), to_set="B", name="B")])


def test_all_problems_of_all_relations_are_told_at_once() -> None:
    with pytest.raises(RelationError) as caught:
        declare(
            SHOP,
            [
                relation(from_set="Nope", to_set="Nada"),
                relation(),
                relation(inverse="GroupId"),
                relation(fields=("A", "B")),
            ],
        )

    assert len(caught.value.problems) == 2 + 2 + 3
    assert "SalesOrders already has a field Customer." in caught.value.problems[2]


def test_a_name_taken_by_a_derived_type_is_taken() -> None:
    model = model_of(Orders=entity("Order", "Id", "Ref"), Others=entity("Other", "Ref"))
    derived = entity("BigOrder", "", "Other", base="N.Order")
    model = Model(
        entity_sets=model.entity_sets,
        entity_types={**model.entity_types, derived.name: derived},
    )

    with pytest.raises(RelationError, match="Orders already has a field Other"):
        declare(
            model, [Relation(from_set="Orders", fields=("Ref",), to_set="Others", name="Other")]
        )


def pairs(model: Model) -> list[tuple[str, str]]:
    return [
        (s.relation.from_set, s.relation.to_set) for s in suggest(model, company_property=COMPANY)
    ]


def test_a_set_with_the_key_fields_of_another_refers_to_it() -> None:
    assert pairs(SHOP) == [
        ("SalesOrders", "CustomersV3"),
        ("CustomersV3", "CustomerGroups"),
    ]


def test_a_suggestion_prints_itself_as_settings() -> None:
    first = next(suggest(SHOP))

    assert tomllib.loads(str(first)) == {
        "relations": [
            {
                "from_set": "SalesOrders",
                "fields": ["dataAreaId", "CustomerAccount"],
                "to_set": "CustomersV3",
                "name": "CustomerV3",
                "inverse": "SalesOrders",
            }
        ]
    }


def test_every_suggestion_can_be_declared() -> None:
    model = declare(SHOP, [s.relation for s in suggest(SHOP)])

    assert pairs(model) == []


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ("dataAreaId", "dataAreaId"),
        ("RecordId", "RecordId"),
        ("Name", "Name"),
        ("dataAreaId Name LineNumber", "dataAreaId Name LineNumber"),
        ("ItemNumber:Int32", "ItemNumber"),
        ("dataAreaId ItemNumber", "ItemNumber"),
        ("", "ItemNumber"),
    ],
    ids=["company", "RecordId", "Name", "several", "other type", "no company", "no key"],
)
def test_fields_that_prove_nothing_suggest_nothing(key: str, fields: str) -> None:
    model = model_of(Lines=entity("Line", "LineId", fields), Items=entity("Item", key))

    assert pairs(model) == []


def test_what_is_already_related_is_not_suggested() -> None:
    to_item = Navigation(name="Item", target="N.Item")
    model = model_of(
        Lines=entity("Line", "LineId", "ItemNumber", navigations=(to_item,)),
        Items=entity("Item", "ItemNumber"),
    )

    assert pairs(model) == []


def test_the_most_useful_suggestions_come_first() -> None:
    model = model_of(
        Lines=entity("Line", "LineId", "ItemNumber Site Spot Batch"),
        ItemsV2=entity("ItemV2", "ItemNumber", "A"),
        Items=entity("Item", "ItemNumber", "B"),
        ItemBatches=entity("ItemBatch", "ItemNumber Batch"),
        Places=entity("Place", "Site Spot"),
    )

    assert pairs(model) == [
        ("ItemBatches", "ItemsV2"),
        ("Lines", "ItemsV2"),
        ("ItemBatches", "Items"),
        ("Lines", "Items"),
        ("Lines", "ItemBatches"),
        ("Lines", "Places"),
        ("Items", "ItemsV2"),
        ("ItemsV2", "Items"),
    ]
    assert [s.rivals for s in suggest(model)] == [2] * 4 + [1, 1, 2, 2]


def test_suggested_names_avoid_taken_ones() -> None:
    model = model_of(
        Lines=entity("Line", "LineId", "ItemNumber Item"),
        Items=entity("Item", "ItemNumber", "Lines"),
    )

    (only,) = suggest(model)

    assert (only.relation.name, only.relation.inverse) == ("ItemByItemNumber", None)
    assert "inverse" not in str(only)


COMPANY = "dataAreaId"
ORDERS = Relation(
    from_set="CustomersV3",
    fields=("dataAreaId", "CustomerAccount"),
    to_set="SalesOrders",
    to_fields=("dataAreaId", "CustomerAccount"),
    name="Orders",
    inverse="Customer",
)


def navigations(model: Model, entity_set: str) -> dict[str, tuple[str, ...]]:
    """Name of each navigation of a set → the fields of the other side."""
    return {
        n.name: tuple(c.referenced for c in n.on)
        for n in model.navigations_of(model.entity_sets[entity_set].type)
    }


def test_a_preset_is_added_in_both_directions() -> None:
    model = preset(SHOP, [ORDERS])

    assert model == declare(SHOP, [ORDERS])


@pytest.mark.parametrize(
    "changes",
    [
        {"to_set": "Nowhere"},
        {"to_fields": ("dataAreaId", "Nothing")},
        {"fields": ("dataAreaId", "Level")},
    ],
    ids=["no such set", "no such field", "another type"],
)
def test_a_preset_that_does_not_fit_is_passed_over(changes: dict[str, Any]) -> None:
    assert preset(SHOP, [structs.replace(ORDERS, **changes)]) == SHOP


def test_a_taken_name_leaves_a_preset_its_other_direction() -> None:
    model = preset(SHOP, [structs.replace(ORDERS, name="Name")])

    assert navigations(model, "CustomersV3") == {}
    assert navigations(model, "SalesOrders") == {"Customer": ("dataAreaId", "CustomerAccount")}


def test_the_first_of_two_presets_of_one_name_is_taken() -> None:
    other = structs.replace(ORDERS, to_fields=("dataAreaId", "InvoiceAccount"), inverse="Payer")

    model = preset(SHOP, [ORDERS, other])

    assert navigations(model, "CustomersV3") == {"Orders": ("dataAreaId", "CustomerAccount")}
    assert set(navigations(model, "SalesOrders")) == {"Customer", "Payer"}


@pytest.mark.parametrize(
    "changes",
    [
        {"to_fields": ("dataAreaId", "InvoiceAccount")},
        {"name": "Purchases"},
        {"name": "Purchases", "fields": ("CustomerAccount",), "to_fields": ("CustomerAccount",)},
    ],
    ids=["same set and name", "same columns", "same columns beside the company"],
)
def test_a_declared_relation_replaces_the_preset(changes: dict[str, Any]) -> None:
    declared = declare(SHOP, [structs.replace(ORDERS, inverse=None, **changes)])

    model = preset(declared, [ORDERS], company_property=COMPANY)

    assert navigations(model, "CustomersV3") == navigations(declared, "CustomersV3")
    assert "Customer" in navigations(model, "SalesOrders")


def test_what_the_metadata_relate_is_not_preset() -> None:
    pairs = (
        ReferentialConstraint("dataAreaId", "dataAreaId"),
        ReferentialConstraint("CustomerAccount", "CustomerAccount"),
    )
    buyer = Navigation(name="Buyer", target="N.CustomerV3", many=False, on=pairs, partner="Sales")
    sales = Navigation(name="Sales", target="N.SalesOrder", many=True, partner="Buyer")
    order = entity("SalesOrder", "dataAreaId OrderNumber", "CustomerAccount", navigations=(buyer,))
    customer = entity("CustomerV3", "dataAreaId CustomerAccount", navigations=(sales,))
    model = model_of(CustomersV3=customer, SalesOrders=order)

    assert preset(model, [ORDERS]) == model
