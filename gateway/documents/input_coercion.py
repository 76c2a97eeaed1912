"""Variables and arguments as Python values, for valid input; graphql-core reads the rest and words the errors.

graphql-core looks at every field that an input type has, to find required ones and defaults: 300 for the ``where`` of a
wide entity, each time, and each is made by being looked at. Here only the fields that are given are looked at. The
values are the same, in the same order (that of the definition): an order of filters decides URLs and cursors.
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
_QUOTED_OR_PYTHON = re.compile(
    r"""'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | \b(?:None|True|False)\b""", re.VERBOSE
)
_IN_JSON = {"None": "null", "True": "true", "False": "false"}


class _Unsure(Exception):
    """Not surely a value of its type."""


class VariableReader:
    """The variables of one operation."""

    def __init__(
        self,
        schema: GraphQLSchema,
        definitions: Sequence[VariableDefinitionNode],
        suggestions: Suggestions | None = None,
    ) -> None:
        self._schema = schema
        self._suggestions = suggestions
        self._definitions = definitions
        found = [get_variable_signature(schema, d) for d in definitions]
        self._signatures = [s for s in found if isinstance(s, GraphQLVariableSignature)]

    def read(self, given: Mapping[str, Any]) -> VariableValues:
        """Return the coerced values. Raises OperationRefused with what is wrong with them."""
        try:
            return self._read(given)
        except (_Unsure, RecursionError):
            found = get_variable_values(
                self._schema,
                self._definitions,
                dict(given),
                max_errors=MAX_ERRORS,
                hide_suggestions=True,
            )
            if not isinstance(found, list):
                return found
            if self._suggestions is not None:
                found = self._suggestions.for_variables(self._definitions, given, found)
            errors = [_in_json(error) for error in found]
            raise OperationRefused(errors, "BAD_USER_INPUT") from None

    def _read(self, given: Mapping[str, Any]) -> VariableValues:
        if len(self._signatures) < len(self._definitions):
            raise _Unsure
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for signature in self._signatures:
            name = signature.name
            value = given.get(name, Undefined)
            if value is not Undefined:
                sources[name] = VariableValueSource(signature, value)
                coerced[name] = _value(value, signature.type)
                continue
            sources[name] = VariableValueSource(signature)
            default = None if signature.default is None else signature.default.literal
            if default is not None:
                coerced[name] = _literal(default, signature.type, {})
            elif type(signature.type) is GraphQLNonNull:
                raise _Unsure
        return VariableValues(sources, coerced)


def coerce_json(given: object, wanted: GraphQLInputType, *, what: str) -> Any:
    """Return the coerced value of JSON that is no variable. Raises BadArgument; ``what`` names it."""
    try:
        return _value(given, wanted)
    except (_Unsure, RecursionError) as error:
        found: list[str] = []
        validate_input_value(
            given, wanted, lambda e, _: found.append(e.message), hide_suggestions=True
        )
        said = in_json_words(found[0]) if found else f"it is no {wanted}."
        raise BadArgument(f"{what}: {said}", hint="Send it as this API answers it.") from error


def coerce_arguments(
    field: GraphQLField, node: FieldNode, variables: VariableValues
) -> Mapping[str, Any]:
    """Return the coerced arguments of a field. Raises GraphQLError where a variable's null stands in a wrong place."""
    try:
        return _arguments(field, node, variables.coerced)
    except (_Unsure, RecursionError):
        try:
            return get_argument_values(field, node, variables)
        except GraphQLError as error:
            raise _in_json(error) from error


def in_json_words(message: str) -> str:
    """Return graphql-core's words for a value that came as JSON: ``null`` for ``None``, but for what is quoted."""
    return _QUOTED_OR_PYTHON.sub(lambda found: _IN_JSON.get(found[0], found[0]), message)


def _in_json(error: GraphQLError) -> GraphQLError:
    message = in_json_words(error.message)
    return GraphQLError(message, error.nodes, original_error=error.original_error)


def _arguments(
    field: GraphQLField, node: FieldNode, variables: Mapping[str, Any]
) -> Mapping[str, Any]:
    given = {a.name.value: a.value for a in node.arguments or ()}
    made: dict[str, Any] = {}
    for name, definition in field.args.items():
        value = given.get(name)
        if value is not None and not _is_missing(value, variables):
            made[definition.out_name or name] = _literal(value, definition.type, variables)
        elif (
            type(definition.type) is GraphQLNonNull
            or definition.default is not None
            or definition.default_value is not Undefined
        ):
            raise _Unsure
    return made


def _is_missing(node: ValueNode, variables: Mapping[str, Any]) -> bool:
    return isinstance(node, VariableNode) and node.name.value not in variables


def _literal(node: ValueNode, wanted: Any, variables: Mapping[str, Any]) -> Any:
    """Return the value of a literal that validation let pass."""
    if isinstance(node, VariableNode):
        value = variables.get(node.name.value)
        if value is None and type(wanted) is GraphQLNonNull:
            raise _Unsure
        return value
    if type(wanted) is GraphQLNonNull:
        if isinstance(node, NullValueNode):
            raise _Unsure
        wanted = wanted.of_type
    if isinstance(node, NullValueNode):
        return None
    if type(wanted) is GraphQLList:
        items = node.values if isinstance(node, ListValueNode) else (node,)
        return [_literal(item, wanted.of_type, variables) for item in items]
    if isinstance(wanted, GraphQLInputObjectType):
        return _object_literal(node, wanted, variables)
    if isinstance(node, ListValueNode | ObjectValueNode):
        raise _Unsure
    return _leaf(wanted.coerce_input_literal or wanted.parse_literal, node)


def _object_literal(
    node: ValueNode, wanted: GraphQLInputObjectType, variables: Mapping[str, Any]
) -> Any:
    if not isinstance(node, ObjectValueNode):
        raise _Unsure
    given = {f.name.value: f.value for f in node.fields if not _is_missing(f.value, variables)}
    made: dict[str, Any] = {}
    for name in _known(given, wanted):
        field = wanted.fields[name]
        made[field.out_name or name] = _literal(given[name], field.type, variables)
    return _finished(made, wanted)


def _value(value: Any, wanted: Any) -> Any:
    """Return the value of a variable, or of a part of it."""
    if type(wanted) is GraphQLNonNull:
        if value is None:
            raise _Unsure
        wanted = wanted.of_type
    if value is None:
        return None
    if type(wanted) is GraphQLList:
        inner = wanted.of_type
        if type(value) is list:
            return [_value(item, inner) for item in value]
        if not isinstance(value, str | int | float | dict):
            raise _Unsure
        return [_value(value, inner)]
    if not isinstance(wanted, GraphQLInputObjectType):
        return _leaf(wanted.coerce_input_value, value)
    if type(value) is not dict:
        raise _Unsure
    made: dict[str, Any] = {}
    for name in _known(value, wanted):
        field = wanted.fields[name]
        made[field.out_name or name] = _value(value[name], field.type)
    return _finished(made, wanted)


def _known(given: Collection[str], wanted: GraphQLInputObjectType) -> Collection[str]:
    """Return the names in the order of the definition; every one is known, and none that counts is missing."""
    if not all(name in given for name in required_or_defaulted(wanted)):
        raise _Unsure
    try:
        return in_order(wanted, given)
    except KeyError as error:
        raise _Unsure from error


def _finished(made: dict[str, Any], wanted: GraphQLInputObjectType) -> Any:
    if wanted.is_one_of and (len(made) != 1 or None in made.values()):
        raise _Unsure
    return wanted.out_type(made)


def _leaf(read: Any, value: Any) -> Any:
    try:
        found = read(value)
    except Exception as error:
        raise _Unsure from error
    if found is Undefined:
        raise _Unsure
    return found
