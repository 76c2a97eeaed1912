"""``gateway.documents.input_coercion`` against graphql-core: equal values in equal order, and equal errors."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    get_argument_values,
    parse,
    type_from_ast,
)
from graphql.execution.values import VariableValues, get_variable_values

from gateway.documents.input_coercion import (
    MAX_ERRORS,
    VariableReader,
    coerce_arguments,
    in_json_words,
)
from gateway.documents.refusal import OperationRefused
from tests.support.zoo_model import FO, schema_of

ZOO = schema_of(FO).core
WRITTEN = build_schema(
    """
    enum Kind { BIG SMALL }
    scalar Anything
    input Point { x: Int! y: Int! = 0 tags: [String!] next: Point kind: Kind = BIG }
    input Pick @oneOf { a: Int b: String p: Point }
    type Query {
      at(p: Point!, kind: Kind = SMALL, times: Int! = 1): Int
      ways(points: [Point!], grid: [[Int!]!], gaps: [Int]): Int
      pick(by: Pick!): Int
      any(value: Anything): Int
    }
    """
)


def operation_of(text: str) -> OperationDefinitionNode:
    (operation,) = parse(text).definitions
    assert isinstance(operation, OperationDefinitionNode)
    return operation


def both(
    schema: GraphQLSchema, operation: OperationDefinitionNode, given: dict[str, Any]
) -> tuple[VariableValues | list[str], VariableValues | list[GraphQLError]]:
    definitions = operation.variable_definitions or ()
    ours: VariableValues | list[str]
    try:
        ours = VariableReader(schema, definitions).read(given)
    except OperationRefused as refused:
        ours = [error["message"] for error in refused.errors]
    theirs = get_variable_values(
        schema, definitions, given, max_errors=MAX_ERRORS, hide_suggestions=True
    )
    return ours, theirs


def shown(values: VariableValues | Sequence[GraphQLError | str]) -> Any:
    """Return what can be compared: order counts, too."""
    if not isinstance(values, VariableValues):
        return [in_json_words(e.message) if isinstance(e, GraphQLError) else e for e in values]
    sources = {
        n: (s.signature.name, str(s.signature.type), s.value) for n, s in values.sources.items()
    }
    return ordered(sources), ordered(values.coerced)


def ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return [(k, ordered(v)) for k, v in value.items()]
    return [ordered(v) for v in value] if isinstance(value, list | tuple) else (type(value), value)


class Guess:
    """Random values of input types; one in ten is of another."""

    def __init__(self, chances: random.Random) -> None:
        self.chances = chances

    def value(self, wanted: Any, depth: int = 4) -> Any:
        chances = self.chances
        if chances.random() < 0.03:
            return chances.choice([None, 1, 2**40, "x", True, 1.5, [], {}, [[1]], {"gone": 1}])
        if isinstance(wanted, GraphQLNonNull):
            return self.value(wanted.of_type, depth)
        if chances.random() < 0.05:
            return None
        if isinstance(wanted, GraphQLList):
            if chances.random() < 0.1:
                return self.value(wanted.of_type, depth)
            return [self.value(wanted.of_type, depth - 1) for _ in range(chances.randrange(3))]
        if isinstance(wanted, GraphQLInputObjectType):
            most = 1 if wanted.is_one_of else (4 if depth > 0 else 0)
            names = chances.sample(list(wanted.fields), min(most, len(wanted.fields)))
            names += [n for n in wanted.fields if n == "x"]
            return {n: self.value(wanted.fields[n].type, depth - 1) for n in dict.fromkeys(names)}
        if isinstance(wanted, GraphQLEnumType):
            return chances.choice(list(wanted.values))
        return {
            "Int": 5,
            "Float": 1.5,
            "Boolean": True,
            "Decimal": "1.50",
            "Long": "5",
            "Date": "2024-01-31",
            "DateTime": "2024-01-31T12:00:00+02:00",
            "TimeOfDay": "12:30",
            "UUID": "00000000-0000-0000-0000-00000000000A",
        }.get(wanted.name, "text")


TYPES = (
    (ZOO, "OrderWhere"),
    (ZOO, "[OrderWhere!]!"),
    (ZOO, "[OrderOrderBy!]"),
    (ZOO, "[Decimal]"),
    (ZOO, "Date!"),
    (WRITTEN, "Point!"),
    (WRITTEN, "[[Point!]]"),
    (WRITTEN, "Pick"),
    (WRITTEN, "Kind"),
    (WRITTEN, "Anything"),
)


@pytest.mark.heavy
@pytest.mark.parametrize(("schema", "type_name"), TYPES, ids=[t for _, t in TYPES])
def test_variables_are_those_of_graphql_core(schema: GraphQLSchema, type_name: str) -> None:
    operation = operation_of(f"query($v: {type_name}) {{ x }}")
    (definition,) = operation.variable_definitions or ()
    wanted = type_from_ast(schema, definition.type)
    good = 0
    for seed in range(300):
        given = {"v": Guess(random.Random(f"{type_name} {seed}")).value(wanted)}
        ours, theirs = both(schema, operation, given)
        good += isinstance(theirs, VariableValues)

        assert shown(ours) == shown(theirs), given
    assert good > 20


@pytest.mark.parametrize(
    ("definitions", "given"),
    [
        ("$a: Int", {}),
        ("$a: Int!", {}),
        ("$a: Int = 3", {}),
        ("$a: Int = 3", {"a": None}),
        ("$a: Int! = 3", {"a": None}),
        ("$a: [Int!] = 3, $b: Point = {x: 1}", {}),
        ("$a: Point = {x: 1, next: {x: 2, y: 5}}", {}),
        ("$a: Gone", {"a": 1}),
        ("$a: Int, $b: String", {"b": "x", "c": 1}),
        ("$a: [Int]", {"a": (1, 2)}),
    ],
)
def test_defaults_and_missing_variables(definitions: str, given: dict[str, Any]) -> None:
    ours, theirs = both(WRITTEN, operation_of(f"query({definitions}) {{ x }}"), given)

    assert shown(ours) == shown(theirs)


@pytest.mark.parametrize(
    ("schema", "head", "call", "given"),
    [
        (ZOO, "", 'orders(first: 2, where: {text: {eq: "a"}, area: {in: ["b", "c"]}})', {}),
        (ZOO, "", "orders(orderBy: [{text: DESC}, {area: ASC}], first: null)", {}),
        (ZOO, "", "orders(orderBy: {text: DESC})", {}),
        (ZOO, "$n: Int", "orders(first: $n)", {}),
        (ZOO, "$n: Int", "orders(first: $n)", {"n": None}),
        (ZOO, "$n: Int", "orders(first: $n)", {"n": 3}),
        (ZOO, "$t: String", "orders(where: {text: {eq: $t, ne: $t}, not: {area: {eq: $t}}})", {}),
        (ZOO, "$t: String", 'orders(where: {text: {eq: $t, gt: "b"}})', {"t": "x"}),
        (ZOO, "$w: OrderWhere", "orders(where: {or: [$w, {text: {eq: null}}]})", {"w": {}}),
        (
            ZOO,
            "",
            'orders(where: {amount: {lt: 1.50}, big: {in: [1, 2]}, due: {eq: "2024-01-01"}})',
            {},
        ),
        (WRITTEN, "", "at(p: {x: 1})", {}),
        (WRITTEN, "", "at(p: {x: 1, y: 2, kind: SMALL}, kind: BIG, times: 4)", {}),
        (WRITTEN, "$x: Int = 1", "at(p: {x: 1, y: $x})", {}),
        (WRITTEN, "$k: Kind", "at(p: {x: 1, y: 1, kind: $k})", {}),
        (WRITTEN, "$x: Int = 1", "at(p: {x: $x, y: 1})", {"x": None}),
        (WRITTEN, "$x: Int", "ways(gaps: [1, $x, null], grid: [[1], 2])", {}),
        (WRITTEN, "$x: Int", "pick(by: {a: $x})", {}),
        (WRITTEN, "$x: Int", "pick(by: {a: $x})", {"x": 1}),
        (WRITTEN, "$x: Int", "any(value: {a: [1, $x]})", {"x": 2}),
        (WRITTEN, "", "any(value: RED)", {}),
    ],
)
def test_arguments_are_those_of_graphql_core(
    schema: GraphQLSchema, head: str, call: str, given: dict[str, Any]
) -> None:
    operation = operation_of(f"query{f'({head})' if head else ''} {{ {call} }}")
    variables = get_variable_values(schema, operation.variable_definitions or (), given)
    assert isinstance(variables, VariableValues)
    (node,) = operation.selection_set.selections
    assert isinstance(node, FieldNode)
    assert schema.query_type is not None
    field = schema.query_type.fields[node.name.value]

    def told(read: Any) -> Any:
        try:
            return ordered(read(field, node, variables))
        except GraphQLError as error:
            return in_json_words(error.message)

    assert told(coerce_arguments) == told(get_argument_values)


def test_only_the_fields_of_the_input_are_made() -> None:
    schema = schema_of(FO).core
    where: Any = schema.type_map["OrderWhere"]
    operation = operation_of("query($w: OrderWhere) { orders(where: $w) { totalCount } }")
    read = VariableReader(schema, operation.variable_definitions or ()).read
    read({"w": {"text": {"eq": "a"}, "area": {"eq": "b"}}})

    assert sorted(where.fields._made) == ["area", "text"]


def test_variables_nested_too_deeply_are_an_error() -> None:
    given: Any = {}
    for _ in range(5_000):
        given = {"not": given}
    ours, theirs = both(
        ZOO, operation_of("query($w: OrderWhere) { orders { totalCount } }"), {"w": given}
    )

    assert shown(ours) == shown(theirs) == ["Variable values are nested too deeply."]


@pytest.mark.parametrize(
    ("type_name", "given", "said"),
    [
        ("Int!", None, "Expected value of non-null type 'Int!' not to be null."),
        ("Int!", True, "Int cannot represent non-integer value: true"),
        (
            "Int",
            {"a": [None, False]},
            "Int cannot represent non-integer value: {'a': [null, false]}",
        ),
        ("Boolean", "None", "Boolean cannot represent a non boolean value: 'None'"),
        ("Boolean", "it's True", 'Boolean cannot represent a non boolean value: "it\'s True"'),
    ],
)
def test_errors_of_variables_have_no_words_of_python(
    type_name: str, given: object, said: str
) -> None:
    operation = operation_of(f"query($v: {type_name}) {{ x }}")
    variables = VariableReader(WRITTEN, operation.variable_definitions or ())

    with pytest.raises(OperationRefused) as refused:
        variables.read({"v": given})
    assert [e["message"] for e in refused.value.errors] == [
        f"Variable '$v' has invalid value: {said}"
    ]


def test_variables_may_be_nested() -> None:
    operation = operation_of("query($w: [OrderWhere!]) { orders { totalCount } }")
    given = json.loads('[{"and":' * 50 + "[]" + "}]" * 50)
    ours, theirs = both(ZOO, operation, {"w": given})

    assert shown(ours) == shown(theirs)
