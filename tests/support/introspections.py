"""Introspection by the project and by graphql-core, and where the two differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from graphql import (
    GraphQLSchema,
    OperationDefinitionNode,
    execute_sync,
    get_introspection_query,
    parse,
    validate,
)
from graphql.execution.values import VariableValues, get_variable_values

from gateway.documents.collect_fields import Selection, fragments_of
from gateway.introspection.introspection_selection import read_selection
from schema.introspection import Selected, introspect
from schema.types.build import ODataSchema

EVERYTHING = get_introspection_query(
    specified_by_url=True,
    directive_is_repeatable=True,
    schema_description=True,
    input_value_deprecation=True,
    experimental_directive_deprecation=True,
    one_of=True,
)


def introspection_selection(
    core: GraphQLSchema, query: str, given: Mapping[str, Any] | None = None
) -> tuple[Selected, ...]:
    """What a query asks; it must be valid, and ask of nothing but the schema."""
    document = parse(query)
    errors = [error.message for error in validate(core, document)]
    assert not errors, errors
    (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    variables = get_variable_values(core, operation.variable_definitions or (), dict(given or {}))
    assert isinstance(variables, VariableValues)
    selection = Selection(operation, fragments_of(document), variables.coerced)
    asked = read_selection(selection, variables.coerced)
    assert asked is not None
    return asked


def introspect_with_gateway(
    schema: ODataSchema, query: str, given: Mapping[str, Any] | None = None
) -> Any:
    """The answer, written from a fresh walk through the catalogue."""
    asked = introspection_selection(schema.core, query, given)
    fresh = schema.copy_for(schema.catalog.fresh_copy())
    return json.loads(b"".join(introspect(fresh, asked)))["data"]


def introspect_with_graphql_core(
    core: GraphQLSchema, query: str, given: Mapping[str, Any] | None = None
) -> Any:
    result = execute_sync(core, parse(query), variable_values=dict(given or {}))
    assert result.errors is None
    return result.data


def build_eagerly(core: GraphQLSchema) -> GraphQLSchema:
    """The schema of the same types that graphql-core walks when it is made."""
    return GraphQLSchema(**core.to_kwargs())


def assert_same(found: Any, wanted: Any) -> None:
    """Equal, also in the order of keys; else say at which type and place they differ at first."""
    difference = first_difference(found, wanted)
    assert difference is None, difference


def first_difference(found: Any, wanted: Any, path: str = "") -> str | None:
    if isinstance(found, dict) and isinstance(wanted, dict):
        if list(found) != list(wanted):
            return f"{path}: keys {list(found)}, wanted {list(wanted)}"
        pairs = [(f"{path}.{key}", found[key], wanted[key]) for key in wanted]
    elif isinstance(found, list) and isinstance(wanted, list):
        names = [_name(item) for item in found], [_name(item) for item in wanted]
        if names[0] != names[1]:
            missing = [n for n in names[1] if n not in names[0]]
            surplus = [n for n in names[0] if n not in names[1]]
            said = (
                f"missing {missing[:9]}, surplus {surplus[:9]}" if missing or surplus else "order"
            )
            return f"{path}: {len(found)} items, wanted {len(wanted)}: {said}"
        pairs = [
            (f"{path}[{name}]", f, w) for name, f, w in zip(names[1], found, wanted, strict=True)
        ]
    elif found == wanted and type(found) is type(wanted):
        return None
    else:
        return f"{path}: {found!r}, wanted {wanted!r}"
    return next((d for p, f, w in pairs if (d := first_difference(f, w, p)) is not None), None)


def _name(item: Any) -> Any:
    return item.get("name", "") if isinstance(item, dict) else item
