"""The Strawberry schema over a catalog: types, and the slow path."""

from __future__ import annotations

import decimal
import inspect
import sys
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    build_schema as schema_of_sdl,
)
from graphql import (
    execute_sync,
    graphql_sync,
    introspection_from_schema,
    is_input_object_type,
    parse,
    print_schema,
    validate,
)

from schema.catalog import Catalog
from schema.catalog.records import RootField
from schema.catalog.values import Cleaning
from schema.types.build import build_schema
from schema.types.printing import print_sdl
from tests.support.shop import CUSTOMER, SHOP, shop
from tests.support.small_models import (
    FINOPS,
    GENERIC,
    DictResolvers,
    eager,
    entity,
    faults,
    model,
    nav,
    prop,
)

# Exactness


@pytest.mark.parametrize("abilities", [FINOPS, GENERIC])
@pytest.mark.parametrize("cleaning", [Cleaning(), Cleaning(no_yes=False, dates=False)])
def test_the_lazy_schema_is_the_eager_one(abilities: Any, cleaning: Cleaning) -> None:
    core = build_schema(Catalog(SHOP, abilities, cleaning=cleaning), DictResolvers()).core
    other = eager(core)

    assert faults(core) == []
    assert print_sdl(core) == print_schema(other) + "\n"
    assert introspection_from_schema(core) == introspection_from_schema(other)
    assert print_schema(schema_of_sdl(print_sdl(core))) + "\n" == print_sdl(core)


def test_the_sdl_equals_the_snapshot() -> None:
    expected = (Path(__file__).parent / "shop.graphql").read_text("utf-8")

    assert shop().as_str() == expected


def test_a_schema_without_keys_has_no_node() -> None:
    catalog = Catalog(model(entity("Log", prop("Text")), sets={"Logs": "Log"}), FINOPS)
    core = build_schema(catalog, DictResolvers()).core

    assert "Node" not in core.type_map
    assert "interface Node" not in print_sdl(core)
    assert core.get_type("Node") is None


# Laziness


def test_an_entity_is_created_on_first_use() -> None:
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

    found: Any = None

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
    variables = coerced(
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

    assert variables == {
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
    assert type(variables["where"]) is dict
    assert type(variables["where"]["and"][1]["status"]["in"][0]) is str
    assert type(variables["orderBy"][0]["customerAccount"]) is str


def test_variables_arrive_the_same_way() -> None:
    variables = coerced(
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

    assert variables == {
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


@pytest.mark.heavy
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
