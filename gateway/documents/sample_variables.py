"""Makes up variables of an operation, so that it can be planned before a client has sent any.

    query ($first: Int, $key: CustomerV3Key!)  →  {"key": {"dataAreaId": "A", "customerAccount": "A"}}

Only what is needed gets a value: nullable variables and fields are left out, so that defaults hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    is_input_type,
    is_required_input_field,
    type_from_ast,
)
from msgspec import Struct

from .store import Document

VALUE_FROM = "valueFrom"
"""Directive of variables that get their values while the operation runs."""
_DEEPEST = 8
"""Levels of input objects; a type that needs itself has no finite value."""
_SAMPLES: Mapping[str, Any] = {
    "Int": 1,
    "Float": 1.0,
    "Boolean": True,
    "Decimal": "1",
    "Long": "1",
    "Date": "2024-01-01",
    "DateTime": "2024-01-01T00:00:00Z",
    "TimeOfDay": "00:00:00",
    "Duration": "PT0S",
    "UUID": "00000000-0000-0000-0000-000000000000",
    "Base64": "",
    "JSON": {},
}
_TEXT = "A"


class SampleOperation(Struct, frozen=True):
    """An operation of a document, with variables that fit it."""

    name: str | None
    kind: str
    """``query``, ``mutation`` or ``subscription``."""
    variables: Mapping[str, Any]


def sample_operations(core: GraphQLSchema, document: Document) -> Iterator[SampleOperation]:
    """Yield the operations of a valid document."""
    for operation in document.operations():
        name = None if operation.name is None else operation.name.value
        variables = _variables(core, operation)
        yield SampleOperation(name, operation.operation.value, variables)


def _variables(core: GraphQLSchema, operation: OperationDefinitionNode) -> dict[str, Any]:
    variables: dict[str, Any] = {}
    for definition in operation.variable_definitions or ():
        later = any(d.name.value == VALUE_FROM for d in definition.directives or ())
        kind = type_from_ast(core, definition.type)
        needed = isinstance(kind, GraphQLNonNull) and definition.default_value is None
        if needed and not later and is_input_type(kind):
            variables[definition.variable.name.value] = _sample(kind, _DEEPEST)
    return variables


def _sample(kind: GraphQLInputType, levels: int) -> Any:
    match kind:
        case GraphQLNonNull():
            return _sample(kind.of_type, levels)
        case GraphQLList():
            return [_sample(kind.of_type, levels)]
        case GraphQLEnumType():
            return next(iter(kind.values))
        case GraphQLInputObjectType():
            return _object(kind, levels - 1)
        case _:
            return _SAMPLES.get(kind.name, _TEXT)


def _object(kind: GraphQLInputObjectType, levels: int) -> dict[str, Any]:
    if levels == 0:
        return {}
    if kind.is_one_of:
        name, field = next(iter(kind.fields.items()))
        return {name: _sample(field.type, levels)}
    needed = {
        name: field.type for name, field in kind.fields.items() if is_required_input_field(field)
    }
    return {name: _sample(each, levels) for name, each in needed.items()}
