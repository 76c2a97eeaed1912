"""The Strawberry schema over a catalog: types, the slow path, hand-written fields beside generated ones."""

from __future__ import annotations

import asyncio
import decimal
import inspect
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import strawberry
from graphql import (
    GraphQLSchema,
    execute_sync,
    graphql_sync,
    introspection_from_schema,
    is_input_object_type,
    parse,
    print_schema,
    validate,
    validate_schema,
)
from graphql import (
    build_schema as schema_of_sdl,
)
from strawberry.permission import BasePermission

from schema import scalars
from schema.build import ODataSchema, build_schema, catalog_field
from schema.catalog import Catalog
from schema.errors import NameCollisionError, SchemaError
from schema.fields import Field, RootField
from schema.model import (
    ComplexType,
    Operation,
    OperationImport,
    OperationKind,
    Parameter,
    Singleton,
    TypeRef,
)
from schema.printing import print_sdl
from schema.values import Cleaning
from tests.support.apis import (
    FINOPS,
    GENERIC,
    NO_YES,
    DictResolvers,
    eager,
    entity,
    enum,
    model,
    nav,
    prop,
    qualified,
)

PLACE = ComplexType(
    name=qualified("Place"), properties=(prop("Zip"), prop("Spot", "Edm.Geography"))
)
SHOP = model(
    entity(
        "CustomerV3",
        prop("dataAreaId", nullable=False),
        prop("CustomerAccount", nullable=False),
        prop("CreditLimit", "Edm.Decimal"),
        prop("Version", "Edm.Int64"),
        prop("OnHold", "NoYes"),
        prop("Status", "Status"),
        prop("Since", "Edm.DateTimeOffset", ax_type="Date"),
        prop("Home", "Place"),
        prop("Tags", "Collection(Edm.String)"),
        nav("Group", "Group"),
        nav("Orders", "Order", many=True),
        key=("dataAreaId", "CustomerAccount"),
        label="Customers",
    ),
    entity("Group", prop("Name", nullable=False), key=("Name",)),
    entity("Order", prop("Number", nullable=False), key=("Number",), open=True),
    entity("ReturnOrder", prop("Reason"), base="Order"),
    NO_YES,
    enum("Status", "Open", "ClosedForGood"),
    sets={"CustomersV3": "CustomerV3", "Groups": "Group", "Orders": "Order"},
    complex_types={PLACE.name: PLACE},
    singletons={"Me": Singleton(name="Me", type=qualified("Group"))},
    operations=(
        Operation(
            name=qualified("Total"),
            kind=OperationKind.FUNCTION,
            parameters=(Parameter(name="Day", type=TypeRef("Edm.Date"), nullable=False),),
            returns=TypeRef("Edm.Decimal"),
        ),
    ),
    imports={
        "Total": OperationImport(
            name="Total", kind=OperationKind.FUNCTION, operation=qualified("Total")
        )
    },
)


def shop(roots: dict[str, Any] | None = None, **extra: Any) -> ODataSchema:
    return build_schema(Catalog(SHOP, FINOPS), DictResolvers(roots), **extra)


CUSTOMER = {
    "__typename": "CustomerV3",
    "id": "QzE=",
    "customerAccount": "C1",
    "creditLimit": decimal.Decimal("100.50"),
    "version": 2**60,
    "onHold": True,
    "status": "CLOSED_FOR_GOOD",
    "since": None,
    "home": {"__typename": "Place", "zip": "8000", "spot": {"type": "Point"}},
    "tags": ["a", "b"],
    "group": None,
    "orders": {"nodes": [{"__typename": "ReturnOrder", "number": "1", "reason": "broken"}]},
}


# Exactness


@pytest.mark.parametrize("abilities", [FINOPS, GENERIC])
@pytest.mark.parametrize("cleaning", [Cleaning(), Cleaning(no_yes=False, dates=False)])
def test_the_lazy_schema_is_the_eager_one(abilities: Any, cleaning: Cleaning) -> None:
    core = build_schema(Catalog(SHOP, abilities, cleaning=cleaning), DictResolvers()).core
    other = eager(core)

    assert validate_schema(GraphQLSchema(**{**core.to_kwargs(), "assume_valid": False})) == []
    assert print_sdl(core) == print_schema(other) + "\n"
    assert introspection_from_schema(core) == introspection_from_schema(other)
    assert print_schema(schema_of_sdl(print_sdl(core))) + "\n" == print_sdl(core)


def test_the_sdl_is_the_one_that_was_agreed_upon() -> None:
    expected = (Path(__file__).parent / "shop.graphql").read_text("utf-8")

    assert shop().as_str() == expected


def test_a_schema_without_keys_has_no_node() -> None:
    catalog = Catalog(model(entity("Log", prop("Text")), sets={"Logs": "Log"}), FINOPS)
    core = build_schema(catalog, DictResolvers()).core

    assert "Node" not in core.type_map
    assert "interface Node" not in print_sdl(core)
    assert core.get_type("Node") is None


# Laziness


def test_nothing_of_an_entity_is_made_before_an_operation_touches_it() -> None:
    schema = shop()
    before = schema.made_types
    document = parse('{ groups(where: {name: {eq: "x"}}) { nodes { name } } }')

    assert validate(schema.core, document) == []
    made = set(schema.schema_converter.type_map)
    assert {"Group", "GroupConnection", "GroupWhere", "StringFilter"} <= made
    assert {"CustomerV3", "OrderConnection", "Status"}.isdisjoint(made)
    assert schema.made_types > before


def test_names_are_known_without_making_types() -> None:
    schema = shop()
    before = schema.made_types

    assert "CustomerV3Where" in list(schema.core.type_map)
    assert len(schema.core.type_map) == len(list(schema.core.type_map))
    assert len(list(schema.core.query_type.fields)) == 10  # type: ignore[union-attr]
    assert schema.made_types == before


@pytest.mark.parametrize("name", ["Nothing", "NoYes", "PlaceWhere", "DurationFilter"])
def test_names_that_are_no_types_are_not_there(name: str) -> None:
    core = shop().core

    assert core.get_type(name) is None
    assert name not in core.type_map
    assert core.query_type is not None
    assert core.get_field(core.query_type, name) is None


def test_fragments_on_node_make_only_the_types_they_name() -> None:
    schema = shop()
    document = parse('{ node(id: "x") { id ... on Group { name } ... on Order { number } } }')

    assert validate(schema.core, document) == []
    assert "CustomerV3" not in schema.schema_converter.type_map


def test_fragments_that_can_never_match_are_refused() -> None:
    document = parse("{ groups { nodes { ... on CustomerV3 { id } ... on Order { id } } } }")

    assert [e.message for e in validate(shop().core, document)] == [
        "Fragment cannot be spread here as objects of type 'Group' can never be of type 'CustomerV3'.",
        "Fragment cannot be spread here as objects of type 'Group' can never be of type 'Order'.",
    ]


# Records


def test_the_planner_finds_the_record_of_a_generated_field() -> None:
    core = shop().core
    query, customer = core.get_type("Query"), core.get_type("CustomerV3")
    connection = core.get_type("CustomerV3Connection")
    root = catalog_field(query.fields["customersV3"])  # type: ignore[union-attr]
    field = catalog_field(customer.fields["creditLimit"])  # type: ignore[union-attr]

    assert isinstance(root, RootField)
    assert isinstance(field, Field)
    assert (root.name, field.source) == ("customersV3", "CreditLimit")
    assert catalog_field(connection.fields["nodes"]) is None  # type: ignore[union-attr]


def test_strawberry_finds_the_definitions() -> None:
    schema = shop()

    assert schema.get_type_by_name("CustomerV3").name == "CustomerV3"
    assert schema.get_type_by_name("Status").name == "Status"
    assert schema.get_type_by_name("Nothing") is None
    field = schema.get_field_for_type("creditLimit", "CustomerV3")
    assert field is not None
    assert field.python_name == "creditLimit"
    assert [f.name for f in schema.query.__strawberry_definition__.fields][:2] == [  # type: ignore[attr-defined]
        "customersV3",
        "groups",
    ]


# Execution


def test_a_loaded_row_is_completed_by_graphql_core() -> None:
    schema = shop({"customersV3": {"nodes": [CUSTOMER], "totalCount": 1}})
    query = """{ customersV3 { totalCount nodes {
        customerAccount creditLimit version onHold status since tags group { name }
        home { zip spot }
        orders { nodes { __typename number ... on ReturnOrder { reason } } }
    } } }"""

    result = graphql_sync(schema.core, query)

    assert result.errors is None
    assert result.data == {
        "customersV3": {
            "totalCount": 1,
            "nodes": [
                {
                    "customerAccount": "C1",
                    "creditLimit": "100.50",
                    "version": "1152921504606846976",
                    "onHold": True,
                    "status": "CLOSED_FOR_GOOD",
                    "since": None,
                    "tags": ["a", "b"],
                    "group": None,
                    "home": {"zip": "8000", "spot": {"type": "Point"}},
                    "orders": {
                        "nodes": [{"__typename": "ReturnOrder", "number": "1", "reason": "broken"}]
                    },
                }
            ],
        }
    }


def test_wrong_values_are_errors_at_their_place() -> None:
    row = {**CUSTOMER, "creditLimit": 1.5, "status": "GONE", "customerAccount": None}
    schema = shop({"customerV3": row})
    result = graphql_sync(
        schema.core, '{ customerV3(customerAccount: "x") { creditLimit status } }'
    )

    assert result.data == {"customerV3": {"creditLimit": None, "status": None}}
    assert [(e.path, e.message) for e in result.errors or ()] == [
        (["customerV3", "creditLimit"], "Decimal cannot represent 1.5: it must be a string."),
        (["customerV3", "status"], "Enum 'Status' cannot represent value: 'GONE'"),
    ]


def test_a_node_is_of_the_type_that_the_resolvers_tell() -> None:
    schema = shop({"node": {"__typename": "Group", "name": "A"}, "nodes": [CUSTOMER, None]})
    query = '{ node(id: "1") { __typename ... on Group { name } } nodes(ids: ["1"]) { id } }'

    result = graphql_sync(schema.core, query)

    assert result.errors is None
    assert result.data == {
        "node": {"__typename": "Group", "name": "A"},
        "nodes": [{"id": "QzE="}, None],
    }


class Arguments(DictResolvers):
    """Keeps the arguments of the root field as graphql-core coerced them."""

    def root(self, field: RootField, info: Any) -> object:
        from graphql.execution.values import get_argument_values

        definition = info.parent_type.fields[info.field_name]
        self.found = get_argument_values(definition, info.field_nodes[0], info.variable_values)
        return None


def coerced(
    query: str, variables: dict[str, Any] | None = None, catalog: Catalog | None = None
) -> Any:
    resolvers = Arguments()
    core = build_schema(catalog or Catalog(SHOP, FINOPS), resolvers).core
    document = parse(query)
    assert validate(core, document) == []
    execute_sync(core, document, variable_values=variables)
    return resolvers.found


def test_arguments_arrive_as_plain_dicts_of_graphql_names() -> None:
    found = coerced(
        """query ($limit: Decimal) {
            customersV3(
                where: {and: [
                    {group: {name: {eq: "A"}}}
                    {status: {in: [OPEN]}}
                    {creditLimit: {gt: $limit}}
                ]}
                orderBy: [{customerAccount: DESC}]
                first: 2
            ) { totalCount }
        }""",
        {"limit": "1.10"},
    )

    assert found == {
        "first": 2,
        "where": {
            "and": [
                {"group": {"name": {"eq": "A"}}},
                {"status": {"in": ["OPEN"]}},
                {"creditLimit": {"gt": decimal.Decimal("1.10")}},
            ]
        },
        "orderBy": [{"customerAccount": "DESC"}],
    }
    assert type(found["where"]) is dict
    assert type(found["where"]["and"][1]["status"]["in"][0]) is str
    assert type(found["orderBy"][0]["customerAccount"]) is str


def test_variables_arrive_the_same_way() -> None:
    found = coerced(
        "query ($w: CustomerV3Where, $o: [CustomerV3OrderBy!]) { customersV3(where: $w, orderBy: $o) { totalCount } }",
        {
            "w": {
                "not": {"version": {"lt": "5"}},
                "onHold": {"eq": True},
                "since": {"isNull": False},
            },
            "o": [{"status": "ASC"}],
        },
    )

    assert found == {
        "where": {
            "onHold": {"eq": True},
            "since": {"isNull": False},
            "not": {"version": {"lt": 5}},
        },
        "orderBy": [{"status": "ASC"}],
    }


@pytest.mark.parametrize("literal", ["{}", "{status: ASC, version: ASC}", "{status: null}"])
def test_an_order_names_exactly_one_field(literal: str) -> None:
    schema = shop()
    document = parse(f"{{ customersV3(orderBy: [{literal}]) {{ totalCount }} }}")

    assert len(validate(schema.core, document)) == 1
    made = schema.core.get_type("CustomerV3OrderBy")
    assert is_input_object_type(made)
    assert made.is_one_of


# Hand-written fields


def execute(schema: ODataSchema, query: str, **context: Any) -> Any:
    return asyncio.run(schema.execute(query, **context))  # type: ignore[arg-type]


class IsFriend(BasePermission):
    message = "Friends only."

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return bool(info.context["friend"])


@strawberry.type
class Report:
    title: str
    total: scalars.Decimal
    exact: decimal.Decimal


@strawberry.type
class Extra:
    @strawberry.field(description="By hand.", permission_classes=[IsFriend])
    async def report(
        self, info: strawberry.Info, title: str = "none", at: scalars.Date | None = None
    ) -> Report:
        shown = f"{title} {at} for {info.context['name']}"
        return Report(
            title=shown,
            total=scalars.Decimal(decimal.Decimal("1.50")),
            exact=decimal.Decimal("2.0"),
        )


@strawberry.type
class Unlisted:
    name: str


def test_hand_written_fields_work_by_the_normal_path_beside_generated_ones() -> None:
    schema = shop(
        {"me": {"__typename": "Group", "name": "A"}}, extra_query=Extra, extra_types=[Unlisted]
    )
    query = '{ report(title: "T", at: "2020-01-01") { title total exact } me { name } }'

    result = execute(schema, query, context_value={"friend": True, "name": "Bo"})

    assert result.errors is None
    assert result.data == {
        "report": {"title": "T 2020-01-01 for Bo", "total": "1.50", "exact": "2.0"},
        "me": {"name": "A"},
    }
    assert list(schema.core.query_type.fields)[:2] == ["report", "customersV3"]  # type: ignore[union-attr]
    assert schema.core.get_type("Unlisted") is not None
    field = schema.core.query_type.fields["report"]  # type: ignore[union-attr]
    assert catalog_field(field) is None


def test_permissions_of_hand_written_fields_hold() -> None:
    schema = shop({"me": None}, extra_query=Extra)

    result = execute(schema, "{ report { title } }", context_value={"friend": False})

    assert result.data is None
    assert [e.message for e in result.errors or ()] == ["Friends only."]


def test_a_schema_with_hand_written_fields_prints_and_introspects() -> None:
    core = shop(extra_query=Extra, extra_types=[Unlisted]).core

    assert print_schema(schema_of_sdl(print_sdl(core))) + "\n" == print_sdl(core)
    assert 'report(title: String! = "none", at: Date = null): Report!' in print_sdl(core)
    names = {t["name"] for t in introspection_from_schema(core)["__schema"]["types"]}
    assert names == set(core.type_map)


def named(name: str) -> type:
    """A hand-written type of that GraphQL name."""
    return strawberry.type(type("Made", (), {"__annotations__": {"a": int}}), name=name)


@pytest.mark.parametrize("name", ["CustomerV3", "GroupWhere", "Node", "PageInfo"])
def test_a_hand_written_type_may_not_have_the_name_of_a_generated_one(name: str) -> None:
    with pytest.raises(NameCollisionError, match=f"hand-written {name} has the name"):
        shop(extra_types=[named(name)])


def test_a_hand_written_field_may_not_have_the_name_of_a_generated_one() -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def groups(self) -> int:
            return 1

    with pytest.raises(NameCollisionError, match=r"hand-written Query\.groups has the name"):
        shop(extra_query=Query)


def test_another_scalar_of_a_generated_name_is_refused() -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def today(self) -> date:
            return date(2020, 1, 1)

    with pytest.raises(NameCollisionError) as refused:
        shop(extra_query=Query)

    assert refused.value.hint == "Annotate with schema.scalars.Date."


def test_an_undecorated_class_is_refused() -> None:
    class Query:
        pass

    with pytest.raises(SchemaError, match="extra_query Query is not a Strawberry type"):
        shop(extra_query=Query)


def test_a_deep_ring_of_types_never_hits_the_recursion_limit() -> None:
    size = 200
    ring = model(
        *(
            entity(f"T{i}", prop("K"), nav("Next", f"T{(i + 1) % size}"), key=("K",))
            for i in range(size)
        ),
        sets={f"S{i}": f"T{i}" for i in range(size)},
    )
    core = build_schema(Catalog(ring, FINOPS), DictResolvers()).core
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        printed = print_sdl(core)
    finally:
        sys.setrecursionlimit(limit)

    assert printed.count("\ntype T") == size * 3
