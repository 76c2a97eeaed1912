"""Internals of Strawberry and graphql-core that ``lazy`` and the ``strawberry_…`` modules rely on.

Each test names what an upgrade moved: look here first when other tests of this folder fail too.
"""

from __future__ import annotations

import dataclasses
import inspect

import graphql
import pytest
import strawberry
from graphql import (
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.schema.types.concrete_type import ConcreteType
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.union import StrawberryUnion

from schema.types.strawberry_definitions import (
    GeneratedArgument,
    GeneratedDefinition,
    GeneratedField,
    GeneratedUnion,
    Ref,
    TypeTable,
)

TYPES = TypeTable(lambda _name: str)
MOVED = "an upgrade moved what schema.types (lazy, strawberry_definitions, strawberry_converter) relies on: "


@strawberry.type
class Query:
    a: int = 1


def test_the_schema_keeps_what_the_lazy_one_takes_over() -> None:
    made = vars(GraphQLSchema(query=GraphQLObjectType("Query", {"a": GraphQLField(GraphQLString)})))

    assert set(made) == {
        *("assume_valid", "_validation_errors", "description", "extensions", "ast_node"),
        *("extension_ast_nodes", "query_type", "mutation_type", "subscription_type", "directives"),
        *("type_map", "_sub_type_map", "_implementations_map"),
    }, MOVED + "GraphQLSchema has other attributes; see LazySchema.__init__"


@pytest.mark.parametrize(
    "method", ["get_type", "get_implementations", "get_possible_types", "is_sub_type", "get_field"]
)
def test_the_schema_answers_by_the_methods_that_are_known(method: str) -> None:
    assert callable(getattr(GraphQLSchema, method, None)), MOVED + f"GraphQLSchema.{method}"


def test_the_lazy_schema_answers_every_method_of_graphql_core() -> None:
    public = {n for n, _ in inspect.getmembers(GraphQLSchema, callable) if not n.startswith("_")}

    assert public == {
        *("get_type", "get_implementations", "get_possible_types", "is_sub_type", "get_field"),
        *("get_directive", "get_root_type", "to_kwargs"),
    }, MOVED + "GraphQLSchema has new methods; check what they read"


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (GraphQLObjectType("A", {"a": GraphQLField(GraphQLString)}), "GraphQLObjectType"),
        (GraphQLInterfaceType("A", {"a": GraphQLField(GraphQLString)}), "GraphQLInterfaceType"),
        (GraphQLInputObjectType("A", {"a": GraphQLInputField(GraphQLString)}), "Input"),
    ],
)
def test_types_keep_their_fields_as_they_were_given(made: object, name: str) -> None:
    given = vars(made).get("_fields")

    assert given is not None, MOVED + f"{name} no longer keeps _fields"
    assert "fields" not in vars(made), MOVED + f"{name} makes its fields at once"


def test_a_union_keeps_its_members_as_they_were_given() -> None:
    members = [GraphQLObjectType("A", {"a": GraphQLField(GraphQLString)})]
    made = GraphQLUnionType("U", members)

    assert vars(made).get("_types") is members, MOVED + "GraphQLUnionType no longer keeps _types"
    assert "types" not in vars(made), MOVED + "GraphQLUnionType makes its members at once"


def test_a_generated_union_has_every_attribute_of_a_union() -> None:
    ours = GeneratedUnion("U", "Node", lambda *_: "A", description="")
    missing = {n for n in vars(StrawberryUnion("U")) if not hasattr(ours, n)}

    assert missing == set(), MOVED + f"StrawberryUnion sets {missing}; see GeneratedUnion"


def test_a_field_s_arguments_may_be_set_after_it_was_made() -> None:
    field = GraphQLField(GraphQLString)
    field.args = {"a": graphql.GraphQLArgument(GraphQLString)}

    assert list(field.args) == ["a"]


def instance_names(made: object) -> set[str]:
    """Attributes of an instance, those of slots too."""
    slots = {s for c in type(made).__mro__ for s in getattr(c, "__slots__", ())}
    return {n for n in slots | set(vars(made)) if hasattr(made, n)}


def test_a_generated_field_has_every_attribute_of_a_field() -> None:
    usual = instance_names(StrawberryField(python_name="a", graphql_name="a"))
    ours = GeneratedField("a", Ref("String"), TYPES)
    missing = {n for n in usual if not hasattr(ours, n)}

    assert missing == set(), MOVED + f"StrawberryField sets {missing}; see GeneratedField"
    assert isinstance(ours, dataclasses.Field)


def test_a_generated_argument_has_every_attribute_of_an_argument() -> None:
    annotation = strawberry.annotation.StrawberryAnnotation(str)
    usual = vars(StrawberryArgument("a", "a", annotation))
    ours = GeneratedArgument("a", Ref("String"), TYPES)
    # the annotation is what we do without: ``type`` answers from the name
    missing = {n for n in usual if not hasattr(ours, n)} - {"type_annotation"}

    assert missing == set(), MOVED + f"StrawberryArgument sets {missing}; see GeneratedArgument"


def test_a_generated_definition_has_every_field_of_a_definition() -> None:
    ours = GeneratedDefinition("A", dict, lambda _: GeneratedField("a", Ref("String"), TYPES))
    usual = {f.name for f in dataclasses.fields(StrawberryObjectDefinition)}
    missing = {n for n in usual if not hasattr(ours, n)}

    assert missing == set(), MOVED + f"definitions have {missing}; see GeneratedDefinition"


def test_the_converter_has_the_methods_that_are_overridden() -> None:
    wanted = {
        "from_type": ["self", "type_"],
        "from_maybe_optional": ["self", "type_"],
        "from_object": ["self", "object_type"],
        "from_interface": ["self", "interface"],
        "from_union": ["self", "union"],
        "from_input_object": ["self", "object_type"],
        "from_argument": ["self", "argument"],
        "from_field": ["self", "field", "type_definition"],
        "from_input_field": ["self", "field", "type_definition"],
    }
    by_name = {
        name: list(inspect.signature(getattr(GraphQLCoreConverter, name)).parameters)
        for name in wanted
        if hasattr(GraphQLCoreConverter, name)
    }

    assert by_name == wanted, MOVED + "GraphQLCoreConverter; see GeneratingConverter"
    assert [f.name for f in dataclasses.fields(ConcreteType)] == ["definition", "implementation"]


def test_the_converter_is_made_and_kept_as_it_was() -> None:
    schema = strawberry.Schema(Query)
    converter = schema.schema_converter
    parameters = list(inspect.signature(GraphQLCoreConverter.__init__).parameters)

    assert parameters[:5] == ["self", "config", "scalar_overrides", "scalar_map", "get_fields"], (
        MOVED + "GraphQLCoreConverter.__init__; see GeneratingConverter"
    )
    assert set(converter.type_map) >= {"Query", "Int"}, MOVED + "GraphQLCoreConverter.type_map"
    assert isinstance(schema._schema, GraphQLSchema), MOVED + "Schema._schema"
    assert schema._schema._strawberry_schema is schema, MOVED + "GraphQLSchema._strawberry_schema"  # type: ignore[attr-defined]
    back = schema._schema.type_map["Query"].extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    assert back is Query.__strawberry_definition__, MOVED + "DEFINITION_BACKREF"  # type: ignore[attr-defined]
