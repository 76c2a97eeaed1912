"""Reads ``@valueFrom``: a variable whose value is a field of a row that an earlier mutation of the operation writes.

    mutation ($journal: String @valueFrom(path: "header.journalBatchNumber")) {
      header: createLedgerJournalHeader(input: {journalName: "GenJrn"}) { userErrors { message } }
      line: createLedgerJournalLine(input: {journalBatchNumber: $journal, …}) { userErrors { message } }
    }

``header`` is the response key, ``journalBatchNumber`` a field of its row. Mutations run one after the other, so a
number sequence may give the value. In an ``@atomic`` operation nothing is written before everything is sent, so the
value must be in the earlier mutation's own input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    Node,
    NonNullTypeNode,
    OperationDefinitionNode,
    StringValueNode,
    VariableDefinitionNode,
    VariableNode,
    type_from_ast,
)
from graphql.execution.values import VariableValues, get_variable_values
from msgspec import Struct

from gateway.documents.collect_fields import Nodes
from gateway.documents.input_coercion import MAX_ERRORS
from gateway.documents.refusal import OperationRefused
from gateway.errors import BadArgument

ATOMIC = "atomic"
VALUE_FROM = "valueFrom"


class Reference(Struct, frozen=True):
    """Where the value of a variable comes from."""

    variable: str
    key: str
    """Response key of the earlier mutation."""
    field: str
    """GraphQL field of its row."""


def is_atomic(operation: OperationDefinitionNode) -> bool:
    """Return whether the operation has the directive ``@atomic``."""
    return any(d.name.value == ATOMIC for d in operation.directives or ())


def references_of(operation: OperationDefinitionNode) -> tuple[Reference, ...]:
    """Return the ``@valueFrom`` directives of an operation. Raises BadArgument for a malformed path."""
    return tuple(r for d in operation.variable_definitions or () for r in _reference(d))


def _reference(definition: VariableDefinitionNode) -> Iterator[Reference]:
    for directive in definition.directives or ():
        if directive.name.value != VALUE_FROM:
            continue
        # Valid documents have exactly this argument, and it is a constant.
        value = (directive.arguments or ())[0].value
        path = value.value if isinstance(value, StringValueNode) else ""
        key, dot, field = path.partition(".")
        name = definition.variable.name.value
        if not dot or not key or not field or "." in field:
            raise BadArgument(
                f'@valueFrom of ${name}: "{path}" is not a path of the form alias.field.',
                hint='Name an earlier mutation of the operation and a field of its row: "order.salesOrderNumber".',
            )
        yield Reference(name, key, field)


def has_references(operation: OperationDefinitionNode) -> bool:
    """Return whether some variable gets its value only while the operation runs."""
    definitions = operation.variable_definitions or ()
    return any(x.name.value == VALUE_FROM for d in definitions for x in d.directives or ())


def with_nullable_references(operation: OperationDefinitionNode) -> OperationDefinitionNode:
    """Return the operation with the variables of references nullable, as their values come later.

    Raises BadArgument.
    """
    references = references_of(operation)
    names = {r.variable for r in references}
    definitions = tuple(
        _nullable(d) if d.variable.name.value in names else d
        for d in operation.variable_definitions or ()
    )
    return replace(operation, variable_definitions=definitions)


def early_variables(
    core: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> VariableValues:
    """Return the variables of an operation that are known before it runs. Raises OperationRefused, BadArgument."""
    # ``$x: String! @valueFrom(…)`` is declared as it is used; that its value is missing now must not be an error.
    definitions = with_nullable_references(operation).variable_definitions or ()
    coerced = get_variable_values(core, definitions, dict(variables), max_errors=MAX_ERRORS)
    if isinstance(coerced, list):
        raise OperationRefused(coerced, "BAD_USER_INPUT")
    return coerced


def _nullable(definition: VariableDefinitionNode) -> VariableDefinitionNode:
    if not isinstance(definition.type, NonNullTypeNode):
        return definition
    return replace(definition, type=definition.type.type)


_ANY_VALUE: tuple[Any, ...] = (
    *("", "0", 0, False, "2000-01-01", "2000-01-01T00:00:00Z", "00:00:00", "PT0S"),
    *("00000000-0000-0000-0000-000000000000", {}),
)
"""Some value of every scalar is among these."""


def placeholder_values(
    core: GraphQLSchema, operation: OperationDefinitionNode, references: tuple[Reference, ...]
) -> dict[str, Any]:
    """Return a value of the right type for each reference.

    Completion reads all arguments once more, also those whose reference never got a value.
    """
    definitions = {d.variable.name.value: d for d in operation.variable_definitions or ()}
    return {
        r.variable: _any_value(type_from_ast(core, definitions[r.variable].type))
        for r in references
    }


def _any_value(kind: object) -> Any:
    if isinstance(kind, GraphQLNonNull):
        return _any_value(kind.of_type)
    if isinstance(kind, GraphQLList):
        return []
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if isinstance(kind, GraphQLScalarType):
        return next((v for v in _ANY_VALUE if _fits(kind, v)), None)
    return None


def _fits(scalar: GraphQLScalarType, value: Any) -> bool:
    try:
        scalar.parse_value(value)
    except (GraphQLError, ValueError, TypeError):
        return False
    return True


def check_order(references: tuple[Reference, ...], mutations: Mapping[str, Nodes]) -> None:
    """Raise BadArgument if a reference is used before the mutation that it names."""
    keys = list(mutations)
    for reference in references:
        if reference.key not in mutations:
            raise BadArgument(
                f"@valueFrom of ${reference.variable}: the operation has no mutation {reference.key}.",
                hint="Name a response key (alias) of this operation.",
            )
        if any(_uses_below(node, reference.variable) for n in mutations.values() for node in n):
            raise BadArgument(
                f"${reference.variable} is used below a mutation, where its value comes too late.",
                hint="Use it in the arguments of a mutation only.",
            )
        at = keys.index(reference.key)
        for number, nodes in enumerate(mutations.values()):
            if number <= at and any(uses_variable(node, reference.variable) for node in nodes):
                raise BadArgument(
                    f"${reference.variable} is used before {reference.key} has written its row.",
                    hint="Put the mutation that uses it after the one that it names.",
                )


def _uses_below(node: FieldNode, variable: str) -> bool:
    """Return whether the directives of a field, or its selection set, use a variable."""
    stack: list[Any] = [*(node.directives or ()), node.selection_set]
    while stack:
        part = stack.pop()
        if isinstance(part, VariableNode) and part.name.value == variable:
            return True
        if isinstance(part, Node):
            stack.extend(getattr(part, key, None) for key in part.keys)
        elif isinstance(part, tuple):
            stack.extend(part)
    return False


def uses_variable(node: FieldNode, variable: str) -> bool:
    """Return whether the arguments of a field use a variable."""
    stack: list[Any] = [a.value for a in node.arguments or ()]
    while stack:
        value = stack.pop()
        if isinstance(value, VariableNode):
            if value.name.value == variable:
                return True
            continue
        stack.extend(getattr(value, "values", None) or ())
        stack.extend(f.value for f in getattr(value, "fields", None) or ())
    return False
