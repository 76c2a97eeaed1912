"""Reads the arguments of a mutation field of the document, and binds what it writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
)
from graphql.execution.values import VariableValues, get_variable_values

from gateway.documents.input_coercion import coerce_arguments, coerce_valid_variables
from gateway.errors import BadArgument
from schema.writes import Writes

from .binder import Binder
from .grants import WriteGrants
from .plan import Mutation
from .unified_input import row_arguments
from .unified_words import UnifiedWords


class FieldBinder:
    """Binds the mutation fields of one schema."""

    def __init__(self, core: GraphQLSchema, writes: Writes, binder: Binder) -> None:
        self._core = core
        self._writes = writes
        self._binder = binder

    def bind(
        self,
        node: FieldNode,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
        companies: tuple[str, ...] | None,
        grants: WriteGrants | None = None,
    ) -> Mutation:
        """Return what a field writes, with the values that the variables have by now. Raises GatewayError."""
        field = self._writes[node.name.value]
        mutation_type = self._core.mutation_type
        assert mutation_type is not None
        try:
            coerced = self._coerce(operation, variables)
            arguments = coerce_arguments(mutation_type.fields[field.name], node, coerced)
        except GraphQLError as error:
            raise BadArgument(error.message) from error
        unified = self._writes.unified
        if not field.view or unified is None:
            return self._binder.bind(field, arguments, companies, grants)
        arguments = row_arguments(unified, field, arguments, self._writes.catalog)
        try:
            return self._binder.bind(field, arguments, companies, grants)
        except BadArgument as error:
            raise UnifiedWords(unified, field).error(error) from error

    def _coerce(
        self, operation: OperationDefinitionNode, variables: Mapping[str, Any]
    ) -> VariableValues:
        definitions = operation.variable_definitions or ()
        quick = coerce_valid_variables(self._core, definitions, variables)
        if quick is not None:
            return quick
        coerced = get_variable_values(self._core, definitions, dict(variables), max_errors=1)
        if isinstance(coerced, list):
            raise coerced[0]
        return coerced
