"""Coercion of variables and arguments (GraphQL sections 6.1.2 and 6.4.1) for valid input.

graphql-core visits every field of an input type, to find required ones and defaults: 300 for the ``where`` of a wide
entity, each time, and a field is made when it is visited. Here only the fields that the input has are visited. The
values are the same, in the order of the definition, which decides URLs and cursors. Whatever may be invalid is read by
graphql-core again, which words the errors.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    get_argument_values,
)
from graphql.execution.get_variable_signature import (
    GraphQLVariableSignature,
    get_variable_signature,
)
from graphql.execution.values import VariableValues, VariableValueSource, get_variable_values
from graphql.utilities import validate_input_value

from gateway.errors import BadArgument
from schema.types.lazy import in_order, required_or_defaulted

from .refusal import OperationRefused
from .suggestions import Suggestions

MAX_ERRORS = 20
"""Errors of the variables of one request."""
_QUOTED_OR_PYTHON = re.compile(
    r"""'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | \b(?:None|True|False)\b""", re.VERBOSE
)
_IN_JSON = {"None": "null", "True": "true", "False": "false"}


class _NotProvablyValid(Exception):
    """The value may not be of its type."""


class VariableReader:
    """Reads the variables of one operation."""

    def __init__(
        self,
        schema: GraphQLSchema,
        definitions: Sequence[VariableDefinitionNode],
        suggestions: Suggestions | None = None,
    ) -> None:
        self._schema = schema
        self._suggestions = suggestions
        self._definitions = definitions
        signatures = [get_variable_signature(schema, d) for d in definitions]
        self._signatures = [s for s in signatures if isinstance(s, GraphQLVariableSignature)]

    def read(self, values: Mapping[str, Any]) -> VariableValues:
        """Return the coerced values. Raises OperationRefused with what is wrong with them."""
        try:
            return self._read(values)
        except (_NotProvablyValid, RecursionError):
            result = get_variable_values(
                self._schema,
                self._definitions,
                dict(values),
                max_errors=MAX_ERRORS,
                hide_suggestions=True,
            )
            if not isinstance(result, list):
                return result
            if self._suggestions is not None:
                result = self._suggestions.for_variables(self._definitions, values, result)
            errors = [_in_json(error) for error in result]
            raise OperationRefused(errors, "BAD_USER_INPUT") from None

    def _read(self, values: Mapping[str, Any]) -> VariableValues:
        # A type that is unknown or no input type has an error instead of a signature.
        if len(self._signatures) < len(self._definitions):
            raise _NotProvablyValid
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for signature in self._signatures:
            name = signature.name
            value = values.get(name, Undefined)
            if value is not Undefined:
                sources[name] = VariableValueSource(signature, value)
                coerced[name] = _value(value, signature.type)
                continue
            sources[name] = VariableValueSource(signature)
            default = None if signature.default is None else signature.default.literal
            if default is not None:
                coerced[name] = _literal(default, signature.type, {})
            elif type(signature.type) is GraphQLNonNull:
                raise _NotProvablyValid
        return VariableValues(sources, coerced)


def coerce_valid_variables(
    schema: GraphQLSchema,
    definitions: Sequence[VariableDefinitionNode],
    values: Mapping[str, Any],
) -> VariableValues | None:
    """Return the coerced values of variables, None if one may be invalid."""
    try:
        return VariableReader(schema, definitions)._read(values)  # noqa: SLF001 - the reader's own module
    except (_NotProvablyValid, RecursionError):
        return None


def coerce_json(value: object, expected: GraphQLInputType, *, what: str) -> Any:
    """Return the coerced value of JSON that is not a variable. Raises BadArgument; ``what`` names the value."""
    try:
        return _value(value, expected)
    except (_NotProvablyValid, RecursionError) as error:
        messages: list[str] = []
        validate_input_value(
            value, expected, lambda e, _: messages.append(e.message), hide_suggestions=True
        )
        reason = in_json_words(messages[0]) if messages else f"it is not of type {expected}."
        raise BadArgument(
            f"{what}: {reason}", hint="Send the value as this API answers it."
        ) from error


def coerce_arguments(
    field: GraphQLField, node: FieldNode, variables: VariableValues
) -> Mapping[str, Any]:
    """Return the coerced arguments of a field. Raises GraphQLError for a null variable at a non-null position."""
    try:
        return _arguments(field, node, variables.coerced)
    except (_NotProvablyValid, RecursionError):
        try:
            return get_argument_values(field, node, variables)
        except GraphQLError as error:
            raise _in_json(error) from error


def in_json_words(message: str) -> str:
    """Return a message of graphql-core with JSON's words: ``null`` for ``None``, except in quoted text."""
    return _QUOTED_OR_PYTHON.sub(lambda match: _IN_JSON.get(match[0], match[0]), message)


def _in_json(error: GraphQLError) -> GraphQLError:
    message = in_json_words(error.message)
    return GraphQLError(message, error.nodes, original_error=error.original_error)


def _arguments(
    field: GraphQLField, node: FieldNode, variables: Mapping[str, Any]
) -> Mapping[str, Any]:
    nodes = {a.name.value: a.value for a in node.arguments or ()}
    arguments: dict[str, Any] = {}
    for name, definition in field.args.items():
        value = nodes.get(name)
        if value is not None and not _is_missing(value, variables):
            arguments[definition.out_name or name] = _literal(value, definition.type, variables)
        elif (
            type(definition.type) is GraphQLNonNull
            or definition.default is not None
            or definition.default_value is not Undefined
        ):
            raise _NotProvablyValid
    return arguments


def _is_missing(node: ValueNode, variables: Mapping[str, Any]) -> bool:
    return isinstance(node, VariableNode) and node.name.value not in variables


def _literal(node: ValueNode, expected: Any, variables: Mapping[str, Any]) -> Any:
    """Return the value of a literal that has passed validation."""
    if isinstance(node, VariableNode):
        value = variables.get(node.name.value)
        if value is None and type(expected) is GraphQLNonNull:
            raise _NotProvablyValid
        return value
    if type(expected) is GraphQLNonNull:
        if isinstance(node, NullValueNode):
            raise _NotProvablyValid
        expected = expected.of_type
    if isinstance(node, NullValueNode):
        return None
    if type(expected) is GraphQLList:
        # A single value stands for a list of one (section 3.11).
        items = node.values if isinstance(node, ListValueNode) else (node,)
        return [_literal(item, expected.of_type, variables) for item in items]
    if isinstance(expected, GraphQLInputObjectType):
        return _object_literal(node, expected, variables)
    if isinstance(node, ListValueNode | ObjectValueNode):
        raise _NotProvablyValid
    # Scalars without coerce_input_literal are read by the older parse_literal.
    return _leaf(expected.coerce_input_literal or expected.parse_literal, node)


def _object_literal(
    node: ValueNode, expected: GraphQLInputObjectType, variables: Mapping[str, Any]
) -> Any:
    if not isinstance(node, ObjectValueNode):
        raise _NotProvablyValid
    nodes = {f.name.value: f.value for f in node.fields if not _is_missing(f.value, variables)}
    fields: dict[str, Any] = {}
    for name in _in_order(nodes, expected):
        field = expected.fields[name]
        fields[field.out_name or name] = _literal(nodes[name], field.type, variables)
    return _finish(fields, expected)


def _value(value: Any, expected: Any) -> Any:
    """Return the coerced value of a variable, or of a part of it."""
    if type(expected) is GraphQLNonNull:
        if value is None:
            raise _NotProvablyValid
        expected = expected.of_type
    if value is None:
        return None
    if type(expected) is GraphQLList:
        inner = expected.of_type
        if type(value) is list:
            return [_value(item, inner) for item in value]
        # Other iterables would be lists for graphql-core; JSON has none.
        if not isinstance(value, str | int | float | dict):
            raise _NotProvablyValid
        return [_value(value, inner)]
    if not isinstance(expected, GraphQLInputObjectType):
        return _leaf(expected.coerce_input_value, value)
    if type(value) is not dict:
        raise _NotProvablyValid
    fields: dict[str, Any] = {}
    for name in _in_order(value, expected):
        field = expected.fields[name]
        fields[field.out_name or name] = _value(value[name], field.type)
    return _finish(fields, expected)


def _in_order(names: Collection[str], expected: GraphQLInputObjectType) -> Collection[str]:
    """Return the names of fields in the order of the definition.

    Raises _NotProvablyValid if one is unknown, or one is missing that is required or has a default.
    """
    if not all(name in names for name in required_or_defaulted(expected)):
        raise _NotProvablyValid
    try:
        return in_order(expected, names)
    except KeyError as error:
        raise _NotProvablyValid from error


def _finish(fields: dict[str, Any], expected: GraphQLInputObjectType) -> Any:
    if expected.is_one_of and (len(fields) != 1 or None in fields.values()):
        raise _NotProvablyValid
    return expected.out_type(fields)


def _leaf(read: Any, value: Any) -> Any:
    try:
        result = read(value)
    except Exception as error:
        raise _NotProvablyValid from error
    if result is Undefined:
        raise _NotProvablyValid
    return result
