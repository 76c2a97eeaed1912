"""The fields of Query, their arguments, and which types they lead to."""

from __future__ import annotations

import pytest

from schema.catalog import Catalog
from schema.catalog.records import Result, RootKind
from schema.model.records import (
    ComplexType,
    Operation,
    OperationImport,
    OperationKind,
    Parameter,
    Singleton,
    TypeRef,
)
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

CUSTOMER = entity(
    "CustomerV3",
    prop("dataAreaId", nullable=False),
    prop("CustomerAccount", nullable=False),
    prop("Status", "Status"),
    nav("Group", "Group"),
    nav("Notes", "Note", many=True),
    key=("dataAreaId", "CustomerAccount"),
)
GROUP = entity("Group", prop("Name", nullable=False), prop("Level", "Edm.Byte"), key=("Name",))
NOTE = entity("Note", prop("Text"))
SETS = {"CustomersV3": "CustomerV3", "Groups": "Group"}
ENUMS = (NO_YES, enum("Status", "Open"), enum("Unused", "X"), enum("Mode", "A", flags=True))


def function(
    name: str, returns: TypeRef | None, *parameters: Parameter, **facts: object
) -> Operation:
    return Operation(
        name=qualified(name),
        kind=facts.pop("kind", OperationKind.FUNCTION),  # type: ignore[arg-type]
        returns=returns,
        parameters=parameters,
        **facts,  # type: ignore[arg-type]
    )


def importing(
    *names: str, kind: OperationKind = OperationKind.FUNCTION
) -> dict[str, OperationImport]:
    return {n: OperationImport(name=n, kind=kind, operation=qualified(n)) for n in names}


def text(
    name: str, type_name: str = "Edm.String", many: bool = False, nullable: bool = True
) -> Parameter:
    return Parameter(name=name, type=TypeRef(type_name, many), nullable=nullable)


STRING = TypeRef("Edm.String")


def arguments(catalog: Catalog, root: str) -> list[str]:
    """Arguments as SDL."""
    return [
        f"{a.name}: "
        + (f"[{a.type_name}!]" if a.many else a.type_name)
        + ("" if a.nullable else "!")
        for a in catalog.root_arguments(catalog.roots[root])
    ]


def test_a_set_gives_a_list_a_by_key_field_and_node() -> None:
    catalog = Catalog(model(CUSTOMER, GROUP, NOTE, *ENUMS, sets=SETS), FINOPS)

    assert {name: catalog.result(r) for name, r in catalog.roots.items()} == {
        "customersV3": Result("CustomerV3Connection", nullable=False),
        "groups": Result("GroupConnection", nullable=False),
        "customerV3": Result("CustomerV3"),
        "group": Result("Group"),
        "node": Result("Node"),
        "nodes": Result("Node", nullable=False, many=True, gaps=True),
    }


def test_the_company_is_an_argument_where_rows_have_one() -> None:
    catalog = Catalog(model(CUSTOMER, GROUP, NOTE, *ENUMS, sets=SETS), FINOPS)

    assert arguments(catalog, "customersV3") == [
        "first: Int",
        "after: String",
        "last: Int",
        "before: String",
        "where: CustomerV3Where",
        "orderBy: [CustomerV3OrderBy!]",
        "companies: [String!]",
    ]
    assert arguments(catalog, "groups")[-1] == "orderBy: [GroupOrderBy!]"
    assert arguments(catalog, "customerV3") == ["dataAreaId: String", "customerAccount: String!"]
    assert arguments(catalog, "group") == ["name: String!"]
    assert arguments(catalog, "node") == ["id: ID!"]
    assert arguments(catalog, "nodes") == ["ids: [ID!]!"]


def test_a_nested_list_has_no_companies_of_its_own() -> None:
    catalog = Catalog(model(CUSTOMER, GROUP, NOTE, *ENUMS, sets=SETS), FINOPS)

    names = [a.name for a in catalog.list_arguments(CUSTOMER.name, root=False)]
    assert names == ["first", "after", "last", "before", "where", "orderBy"]


def test_every_root_field_describes_itself() -> None:
    shop = model(
        *(CUSTOMER, GROUP, NOTE, *ENUMS),
        sets=SETS,
        singletons={"Me": Singleton(name="Me", type=GROUP.name, label="I")},
        operations=(function("Now", STRING, description="The time."),),
        imports=importing("Now"),
    )
    catalog = Catalog(shop, FINOPS)

    assert {n: catalog.root_description(r) for n, r in catalog.roots.items()} == {
        "customersV3": "The rows of `CustomersV3`.",
        "groups": "The rows of `Groups`.",
        "customerV3": "One row of `CustomersV3`, by its key.",
        "group": "One row of `Groups`, by its key.",
        "me": "I. The singleton `Me`.",
        "now": "The time. Calls the function `Now`.",
        "node": "The object with this global ID.",
        "nodes": "The objects with these global IDs.",
    }


def test_functions_become_fields_with_their_parameters() -> None:
    operations = (
        function("Plain", TypeRef("Edm.Decimal"), text("Day", "Edm.Date", nullable=False)),
        function("Names", TypeRef("Edm.String", many=True), text("Codes", many=True)),
        function("Rows", TypeRef(GROUP.name, many=True)),
        function("One", TypeRef(GROUP.name), text("Mode", qualified("Mode"))),
        function("Modes", TypeRef(qualified("Mode"))),
    )
    names = ("Plain", "Names", "Rows", "One", "Modes")
    catalog = Catalog(
        model(
            GROUP,
            *ENUMS,
            sets={"Groups": "Group"},
            operations=operations,
            imports=importing(*names),
        ),
        GENERIC,
    )
    by_name = {
        n: catalog.result(r) for n, r in catalog.roots.items() if r.kind is RootKind.FUNCTION
    }

    assert by_name == {
        "plain": Result("Decimal"),
        "names": Result("String", many=True),
        "rows": Result("Group", many=True),
        "one": Result("Group"),
        "modes": Result("Mode", many=True),
    }
    assert catalog.findings == ()
    assert arguments(catalog, "plain") == ["day: Date!"]
    assert arguments(catalog, "names") == ["codes: [String!]"]
    assert arguments(catalog, "one") == ["mode: [Mode!]"]
    assert catalog.roots["one"].operation_import is not None


def test_a_bound_function_takes_the_key_of_its_row() -> None:
    bound = TypeRef(GROUP.name)
    operations = (
        function("Size", TypeRef("Edm.Int32"), text("Name"), bound_to=bound),
        function("Size", TypeRef("Edm.Int32"), bound_to=TypeRef(GROUP.name, many=True)),
        function("Size", TypeRef("Edm.Int32"), bound_to=TypeRef(NOTE.name)),
    )
    catalog = Catalog(model(GROUP, NOTE, sets={"Groups": "Group"}, operations=operations), GENERIC)

    assert list(catalog.roots) == ["groups", "group", "groupSize", "node", "nodes"]
    assert arguments(catalog, "groupSize") == ["name: String!", "name_2: String"]


def test_the_overload_with_most_parameters_is_served() -> None:
    operations = (
        function("Near", STRING, bound_to=TypeRef(GROUP.name)),
        function("Near", STRING),
        function("Near", STRING, text("Lat"), text("Lon")),
    )
    catalog = Catalog(
        model(GROUP, sets={"Groups": "Group"}, operations=operations, imports=importing("Near")),
        GENERIC,
    )

    assert arguments(catalog, "near") == ["lat: String", "lon: String"]
    assert "groupNear" in catalog.roots
    assert catalog.findings == (
        f"{NS}.Near has 2 overloads; the one with parameters (Lat, Lon) is served.",
    )


@pytest.mark.parametrize(
    "operation",
    [
        function("F", None),
        function("F", STRING, kind=OperationKind.ACTION),
        function("F", TypeRef("Edm.Stream")),
        function("F", STRING, text("Row", GROUP.name)),
        function("F", STRING, text("Spot", qualified("Place"))),
        function("F", TypeRef(qualified("Void"))),
    ],
)
def test_what_cannot_be_asked_in_a_query_is_no_field(operation: Operation) -> None:
    place = ComplexType(name=qualified("Place"), properties=(prop("Zip"),))
    catalog = Catalog(
        model(
            *(GROUP, entity("Void")),
            operations=(operation,),
            imports=importing("F") | importing("G", kind=OperationKind.ACTION),
            complex_types={place.name: place},
        ),
        GENERIC,
    )

    assert catalog.roots == {}


def test_sets_of_unserved_types_are_not_fields() -> None:
    void = entity("Void")
    shop = model(
        void, sets={"Voids": "Void"}, singletons={"V": Singleton(name="V", type=void.name)}
    )

    assert Catalog(shop, GENERIC).roots == {}


# Which types are part of the schema


def reached(catalog: Catalog) -> set[str]:
    names = {e.name for e in catalog.entries()}
    assert names == {n for n in catalog.known_names() if catalog.entry(n) is not None}
    return names


def test_only_types_that_query_leads_to_are_part_of_the_schema() -> None:
    catalog = Catalog(
        model(CUSTOMER, GROUP, NOTE, entity("Lost", prop("A")), *ENUMS, sets={"Cs": "CustomerV3"}),
        FINOPS,
    )

    assert reached(catalog) == {
        *("CustomerV3", "CustomerV3Connection", "CustomerV3Edge", "CustomerV3Where"),
        "CustomerV3OrderBy",
        *("Group", "GroupWhere"),
        *("Note", "NoteConnection", "NoteEdge", "NoteWhere", "NoteOrderBy"),
        *("Status", "StatusFilter", "StringFilter", "IntFilter"),
    }


def test_enums_of_parameters_and_results_are_part_of_the_schema() -> None:
    operations = (
        function("F", TypeRef(qualified("Mode")), text("S", qualified("Status"))),
        function("G", TypeRef(qualified("Place")), bound_to=TypeRef(GROUP.name)),
    )
    place = ComplexType(
        name=qualified("Place"), properties=(prop("On", "NoYes"), prop("U", "Unused"))
    )
    catalog = Catalog(
        model(
            *(GROUP, *ENUMS),
            sets={"Groups": "Group"},
            operations=operations,
            imports=importing("F"),
            complex_types={place.name: place},
        ),
        GENERIC,
    )

    assert {"Mode", "Status", "Place", "Unused"} <= reached(catalog)
    assert {"NoYes", "ModeFilter", "StatusFilter"}.isdisjoint(reached(catalog))


def test_one_member_of_a_family_brings_the_others_along() -> None:
    catalog = Catalog(
        model(
            entity("Root", prop("A"), key=("A",)),
            entity("Left", prop("B", "Status"), base="Root"),
            entity("Right", prop("C"), base="Root"),
            *ENUMS,
            sets={"Lefts": "Left"},
        ),
        GENERIC,
    )

    assert {"Root", "RootObject", "Left", "Right", "Status"} <= reached(catalog)
    assert "RootConnection" not in reached(catalog)
    # only rows of Left can be read again by their key
    assert catalog.implementers("Node") == (["Left"], [])


def test_collections_are_filtered_if_the_product_can() -> None:
    catalog = Catalog(model(CUSTOMER, GROUP, NOTE, *ENUMS, sets={"Cs": "CustomerV3"}), GENERIC)

    assert "NoteCollectionWhere" in reached(catalog)
    assert {"CustomerV3CollectionWhere", "GroupCollectionWhere"}.isdisjoint(reached(catalog))
