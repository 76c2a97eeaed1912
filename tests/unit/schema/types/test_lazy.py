"""Lazy mappings, and generated definitions as Strawberry's own tools see them."""

from __future__ import annotations

import pytest
import strawberry
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLString,
    GraphQLUnionType,
    do_types_overlap,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryList, StrawberryOptional

from schema.catalog import Catalog
from schema.types.build import build_schema
from schema.types.lazy import LazyFields
from schema.types.strawberry_converter import GeneratingConverter
from schema.types.strawberry_definitions import (
    GeneratedArgument,
    GeneratedDefinition,
    GeneratedField,
    GeneratedInput,
    Ref,
    TypeTable,
)
from tests.support.small_models import GENERIC, DictResolvers, entity, model, prop


def numbers() -> tuple[LazyFields[int], list[str]]:
    made: list[str] = []

    def make(name: str) -> int | None:
        made.append(name)
        return len(name) if name in ("one", "three") else None

    return LazyFields(lambda: ("one", "three"), make, {"ready": 0}), made


def test_a_value_is_made_once_when_it_is_first_looked_up() -> None:
    found, made = numbers()

    assert (found["three"], found["three"], found.get("one")) == (5, 5, 3)
    assert made == ["three", "one"]


def test_names_are_given_without_making_anything() -> None:
    found, made = numbers()

    assert list(found) == ["ready", "one", "three"]
    assert len(found) == 3
    assert made == []


def test_a_name_that_is_not_there_is_not_there() -> None:
    found, _ = numbers()

    assert "two" not in found
    assert found.get("two") is None
    with pytest.raises(KeyError):
        found["two"]


def test_a_copy_and_a_dict_hold_everything() -> None:
    expected = {"ready": 0, "one": 3, "three": 5}

    assert numbers()[0].copy() == expected
    assert dict(numbers()[0]) == expected
    assert {**numbers()[0]} == expected
    assert numbers()[0].items() == expected.items()


TYPES = TypeTable({"String": str, "Int": int}.__getitem__)


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        (Ref("String"), StrawberryOptional(str)),
        (Ref("String", nullable=False), str),
        (Ref("Int", nullable=False, many=True), StrawberryList(int)),
        (Ref("Int", many=True), StrawberryOptional(StrawberryList(int))),
        (
            Ref("Int", nullable=False, many=True, gaps=True),
            StrawberryList(StrawberryOptional(int)),
        ),
    ],
)
def test_a_type_is_wrapped_as_strawberry_does(ref: Ref, expected: object) -> None:
    assert TYPES.of(ref) == expected
    assert GeneratedArgument("a", ref, TYPES).type == expected
    assert GeneratedField("a", ref, TYPES).resolve_type(type_definition=None) == expected


def test_a_field_resolves_for_tools_that_call_it_themselves() -> None:
    field = GeneratedField(
        "a", Ref("Int"), TYPES, resolve=lambda source, info, **kwargs: (source, info, kwargs)
    )

    assert field.get_result("row", None, [], {"x": 1}) == ("row", None, {"x": 1})


def test_nothing_resolves_an_input_field() -> None:
    with pytest.raises(NotImplementedError):
        GeneratedField("a", Ref("Int"), TYPES).get_result("row", None, [], {})


def test_input_values_stay_as_they_are() -> None:
    made = GeneratedInput("A", dict, lambda _: GeneratedField("a", Ref("Int"), TYPES))

    assert made.is_input
    assert made.from_input is not None
    assert made.from_input(object, {"a": 1}, None) == {"a": 1}


def test_a_definition_gives_its_fields_anew_each_time() -> None:
    made = GeneratedDefinition(
        "A", lambda: {"a": "b"}, lambda n: GeneratedField(n, Ref("Int"), TYPES)
    )

    assert [f.name for f in made.fields] == ["b"]
    assert made.field("c") is None
    assert list(made.names()) == ["a"]


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Box(Named):
    size: int


@strawberry.type
class Bag:
    size: int


@strawberry.input
class Wanted:
    size: int = 3


@strawberry.type
class Extra:
    @strawberry.field
    def box(self, wanted: Wanted) -> Box | Bag:
        return Box(name="b", size=wanted.size)

    @strawberry.field
    def named(self) -> Named:
        return Box(name="n", size=1)


def test_the_converter_leaves_hand_written_types_to_strawberry() -> None:
    started = strawberry.Schema(Extra)
    converter = GeneratingConverter(started.schema_converter, TYPES)
    converter.type_map = {}
    definition = Extra.__strawberry_definition__  # type: ignore[attr-defined]

    made = converter.from_object(definition)
    wanted = converter.from_input_object(Wanted)
    named = converter.from_interface(Named.__strawberry_definition__)  # type: ignore[attr-defined]

    assert list(made.fields) == ["box", "named"]
    assert str(made.fields["box"].args["wanted"].type) == "Wanted!"
    assert wanted.fields["size"].default_value == 3
    assert list(named.fields) == ["name"]
    assert isinstance(converter, GraphQLCoreConverter)


def test_hand_written_abstract_types_work_in_a_lazy_schema() -> None:
    catalog = Catalog(model(entity("Log", prop("Text")), sets={"Logs": "Log"}), GENERIC)
    schema = build_schema(catalog, DictResolvers(), extra_query=Extra, extra_types=[Box, Bag])
    core = schema.core
    box, bag, log = (core.type_map[n] for n in ("Box", "Bag", "Log"))
    named, union = core.type_map["Named"], core.type_map["BoxBag"]

    assert isinstance(union, GraphQLUnionType)
    assert core.get_possible_types(named) == [box]  # type: ignore[arg-type]
    assert core.is_sub_type(union, bag)
    assert not core.is_sub_type(union, log)
    assert not core.is_sub_type(named, bag)  # type: ignore[arg-type]
    assert do_types_overlap(core, named, union)  # type: ignore[arg-type]
    result = schema.execute_sync(
        "{ box(wanted: {}) { __typename ... on Box { size } } named { name } }"
    )
    assert result.data == {"box": {"__typename": "Box", "size": 3}, "named": {"name": "n"}}


def test_a_schema_may_be_extended_by_graphql_core() -> None:
    from graphql import extend_schema, parse

    catalog = Catalog(model(entity("Log", prop("Text")), sets={"Logs": "Log"}), GENERIC)
    core = build_schema(catalog, DictResolvers()).core
    made = extend_schema(core, parse("extend type Query { more: String }"))

    assert {"logs", "more"} == set(made.query_type.fields)  # type: ignore[union-attr]
    assert GraphQLObjectType("X", {"a": GraphQLField(GraphQLString)}).name not in core.type_map
