"""Small documents, one idea each (tests/csdl), and what is read of them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from schema.csdl.parse import parse_csdl
from schema.model.records import (
    Capabilities,
    EnumMember,
    Model,
    Navigation,
    Operation,
    OperationImport,
    OperationKind,
    Parameter,
    Property,
    ReferentialConstraint,
    TypeRef,
)

DOCUMENTS = Path(__file__).resolve().parents[3] / "csdl"


def read(name: str) -> Model:
    return parse_csdl((DOCUMENTS / f"{name}.xml").read_bytes(), name=name)


def properties(model: Model, type_name: str) -> dict[str, Property]:
    return {p.name: p for p in model.structured(type_name).properties}


def navigations(model: Model, type_name: str) -> dict[str, Navigation]:
    return {n.name: n for n in model.structured(type_name).navigations}


def test_an_alias_is_replaced_in_every_name() -> None:
    model = read("aliases")

    order = model.entity_types["Shop.Sales.Order"]
    assert model.findings == ()
    assert model.namespace == "Shop.Sales"
    assert order.base == "Shop.Base.Entity"
    assert order.properties[0].type == TypeRef("Shop.Base.State")
    assert order.properties[1].type == TypeRef("Shop.Base.State", many=True)
    assert navigations(model, order.name)["Lines"] == Navigation(
        name="Lines", target="Shop.Sales.Line", many=True, partner="Order", contains_target=True
    )
    assert navigations(model, order.name)["Parent"].partner == "Shop.Sales.Order/Children"
    assert model.key_of(order.name) == ("Id",)
    assert model.entity_sets["Orders"].type == "Shop.Sales.Order"
    assert model.entity_sets["Orders"].bindings == {
        "Parent": "Orders",
        "Shop.Sales.Order/Children": "Orders",
    }
    assert model.operations == (
        Operation(
            name="Shop.Sales.Close",
            kind=OperationKind.ACTION,
            bound_to=TypeRef("Shop.Sales.Order"),
            parameters=(Parameter(name="state", type=TypeRef("Shop.Base.State"), nullable=False),),
            returns=TypeRef("Shop.Sales.Order", many=True),
            returns_nullable=False,
        ),
        Operation(
            name="Shop.Sales.Newest",
            kind=OperationKind.FUNCTION,
            returns=TypeRef("Shop.Sales.Order"),
        ),
    )
    assert model.imports == {
        "Newest": OperationImport(
            name="Newest",
            kind=OperationKind.FUNCTION,
            operation="Shop.Sales.Newest",
            entity_set="Orders",
        )
    }


def test_an_alias_may_be_declared_after_its_use() -> None:
    model = read("aliases")

    state = properties(model, "Shop.Sales.Order")["State"]
    assert state.description == "Where the order stands"
    assert state.label == "@SYS1"
    assert model.enum_types["Shop.Base.State"].members == (
        EnumMember(name="Open", value=0, description="Nothing is shipped"),
        EnumMember(name="Closed", value=1),
    )


@pytest.mark.parametrize(
    "expected",
    [
        Property(
            name="Id",
            type=TypeRef("Edm.String"),
            nullable=False,
            label="@SYS2",
            required=True,
            allow_edit=False,
            ax_type="String",
        ),
        Property(
            name="Day",
            type=TypeRef("Edm.DateTimeOffset"),
            ax_type="Date",
            allow_edit_on_create=False,
            description="The day",
        ),
        Property(
            name="Computed",
            type=TypeRef("Edm.Int32"),
            allow_edit=False,
            allow_edit_on_create=False,
        ),
        Property(name="NotComputed", type=TypeRef("Edm.Int32")),
        Property(name="Perhaps", type=TypeRef("Edm.Int32")),
        Property(name="Fixed", type=TypeRef("Edm.Int32"), allow_edit=False),
        Property(
            name="Read", type=TypeRef("Edm.Int32"), allow_edit=False, allow_edit_on_create=False
        ),
        Property(name="Both", type=TypeRef("Edm.Int32")),
        Property(
            name="Outside",
            type=TypeRef("Edm.Int32"),
            allow_edit=False,
            allow_edit_on_create=False,
            description="From outside",
        ),
    ],
    ids=lambda expected: expected.name,
)
def test_annotations_become_facts_of_a_property(expected: Property) -> None:
    assert properties(read("annotations"), "N.T")[expected.name] == expected


def test_annotations_describe_every_kind_of_element() -> None:
    model = read("annotations")

    assert model.entity_types["N.T"].read_only
    assert model.entity_types["N.T"].description == "A <long> story & more"
    assert navigations(model, "N.T")["Next"].label == "@N1"
    assert navigations(model, "N.T")["Last"].description == "The last one"
    assert model.enum_types["N.E"].label == "@E1"
    assert model.enum_types["N.E"].description == "Letters"
    assert model.enum_types["N.E"].members == (
        EnumMember(name="A", value=0, label="@A1"),
        EnumMember(name="B", value=1, description="The second"),
    )
    assert model.operations[0].description == "A function"
    assert model.entity_sets["S"].description == "A set"
    assert model.singletons["One"].description == "A singleton"


def test_capabilities_are_allowed_unless_denied() -> None:
    model = read("capabilities")

    assert model.entity_sets["Free"].can == Capabilities()
    assert model.entity_sets["Closed"].description == "Closed"
    assert model.entity_sets["Closed"].label == "@C1"
    assert model.entity_sets["Closed"].can == Capabilities(
        filterable=False,
        sortable=False,
        expandable=False,
        countable=False,
        top=False,
        skip=False,
        insertable=False,
        updatable=False,
        deletable=False,
        non_filterable=("A", "B/C"),
        non_sortable=("A",),
        non_expandable=("N",),
        tracked=True,
        tracked_filters=("A",),
    )


def test_what_leads_nowhere_is_left_out_alone() -> None:
    model = read("dangling")

    assert list(model.entity_sets) == ["Ts", "Keylesses"]
    assert list(model.singletons) == ["One"]
    assert model.entity_sets["Ts"].bindings == {"Half": "Keylesses"}
    assert list(properties(model, "N.T")) == ["Id", "Place"]
    assert list(navigations(model, "N.T")) == ["Free", "Half", "OtherHalf", "Whole"]
    assert navigations(model, "N.T")["Half"].on == ()
    assert navigations(model, "N.T")["OtherHalf"].on == ()
    assert navigations(model, "N.T")["Whole"].on == (ReferentialConstraint("Id", "A"),)
    assert navigations(model, "N.CT")["There"].on == ()
    assert properties(model, "N.Keyless")["A"].type == TypeRef("Edm.Int32")
    assert [model.key_of(n) for n in ("N.T", "N.Keyless", "N.LostKey", "N.PathKey")] == [
        ("Id",),
        (),
        (),
        (),
    ]
    assert [o.name for o in model.operations] == ["N.G"]
    assert list(model.imports) == ["G"]
    assert model.imports["G"].entity_set is None


def test_a_finding_says_what_was_left_out_and_why() -> None:
    not_there = "names a property that is not there."
    expected = {
        "N.T has no base type: N.Gone is not defined in the document.",
        "Property N.T/Lost is left out: its type N.Gone is not defined in the document.",
        "Property N.T/NotAValue is left out: its type N.Ring is not defined in the document.",
        "Navigation N.T/Lost is defined twice; it is left out.",
        "Navigation N.T/Nowhere is left out: its type N.Gone is not defined in the document.",
        f"The constraints of navigation N.T/Half are left out: Gone = A {not_there}",
        f"The constraints of navigation N.T/OtherHalf are left out: Id = Gone {not_there}",
        f"The constraints of navigation N.CT/There are left out: Gone = A {not_there}",
        "Property N.Keyless/A is defined twice; the first is used.",
        "N.Keyless is defined twice; the first definition is used.",
        "N.LostKey is served without a key: it has no property Gone.",
        "N.PathKey is served without a key: its key part Place/Id is a path or has an alias.",
        "N.Ring2 has no base type: its bases lead back to itself.",
        "Action N.A is left out: N.Gone2, N.Gone is not defined in the document.",
        "Function N.F is left out: N.Gone is not defined in the document.",
        "Container N.C extends N.Gone, whose own content is not read.",
        "Container N.Second is left out: N.C is already the service's container.",
        "The binding of Ts/OtherHalf is left out: there is no entity set Gones.",
        "The binding of Ts/Whole is left out: there is no entity set Gones2.",
        "The binding of Ts/Lost is left out: there is no entity set Other.Container/Keylesses.",
        "The binding of One/Half is left out: there is no entity set Gones.",
        "Gones2 is left out: its type N.Gone is not defined in the document.",
        "None is left out: its type N.Gone is not defined in the document.",
        "G2 is left out: there is no unbound action N.G.",
    }

    findings = read("dangling").findings

    assert set(findings) == expected
    assert len(findings) == len(expected)


def test_facets_and_type_definitions_are_read() -> None:
    of = properties(read("types"), "N.Base")

    assert of["Id"].max_length == 20
    assert of["dataAreaId"].max_length is None
    assert (of["Amount"].precision, of["Amount"].scale) == (10, 2)
    assert of["Rate"].scale is None
    assert of["Price"].type == TypeRef("Edm.Decimal")
    assert of["Prices"].type == TypeRef("Edm.Decimal", many=True)
    assert of["Where"].type == TypeRef("N.Address")
    assert [p.name for p in of.values() if not p.nullable] == ["Id", "dataAreaId", "Prices"]


def test_an_enum_member_without_a_value_follows_its_predecessor() -> None:
    model = read("types")

    assert [(m.name, m.value) for m in model.enum_types["N.Implicit"].members] == [
        ("A", 0),
        ("B", 1),
        ("Z", -5),
        ("Y", -4),
    ]
    assert model.enum_types["N.Flags"].flags
    assert [m.value for m in model.enum_types["N.Flags"].members] == [4294967296, 4294967296]


def test_inheritance_and_the_marks_of_a_type_are_read() -> None:
    model = read("types")

    base = model.entity_types["N.Base"]
    assert (base.abstract, base.open, base.has_stream) == (True, True, True)
    assert (model.complex_types["N.Address"].open, model.complex_types["N.Address"].abstract) == (
        True,
        False,
    )
    assert model.complex_types["N.Abroad"].base == "N.Address"
    assert model.key_of("N.Größe") == ("Id", "dataAreaId")
    assert model.properties_of("N.Größe")[-1].name == "名前"
    assert model.entity_sets["Größen"].type == "N.Größe"


def test_an_enum_and_an_entity_type_may_share_a_name() -> None:
    model = read("types")

    assert "N.Both" in model.enum_types
    assert "N.Both" in model.entity_types
    assert properties(model, "N.Base")["Ambiguous"].type == TypeRef("N.Both")
    assert navigations(model, "N.Base")["Partner"].target == "N.Both"


def test_overloads_are_kept_without_their_binding_parameter() -> None:
    model = read("types")

    assert [(o.name, o.bound_to, len(o.parameters), o.composable) for o in model.operations] == [
        ("N.Get", None, 1, False),
        ("N.Get", None, 1, True),
        ("N.Do", TypeRef("N.Both", many=True), 0, False),
        ("N.Do", None, 0, False),
    ]
    assert [o.returns_nullable for o in model.operations] == [False, True, True, True]
    assert model.operations[1].returns == TypeRef("Edm.Decimal")


def test_elements_of_other_namespaces_are_skipped() -> None:
    assert "N.NotThis" not in read("types").entity_types


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_any_encoding_that_the_document_declares_is_read(encoding: str) -> None:
    text = (DOCUMENTS / "aliases.xml").read_text("utf-8").replace("Orders", "Aufträge")
    declared = encoding.removesuffix("-sig")

    model = parse_csdl(text.replace('"utf-8"', f'"{declared}"').encode(encoding))

    assert list(model.entity_sets) == ["Aufträge"]


def test_a_document_may_come_whole_as_a_file_or_in_chunks() -> None:
    content = (DOCUMENTS / "annotations.xml").read_bytes()
    whole = parse_csdl(content)

    assert parse_csdl(io.BytesIO(content)) == whole
    assert parse_csdl(content[at : at + 7] for at in range(0, len(content), 7)) == whole


def test_progress_is_told_in_bytes() -> None:
    content = (DOCUMENTS / "types.xml").read_bytes()
    sizes: list[int] = []

    parse_csdl([content[:100], content[100:]], progress=sizes.append)

    assert sizes == [100, len(content)]


def test_names_are_shared_between_records() -> None:
    model = read("aliases")

    order = model.entity_types["Shop.Sales.Order"]
    assert model.entity_sets["Orders"].type is order.name
