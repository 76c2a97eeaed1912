"""Reads the operation that a request means: its document, which of its operations, its variables."""

from __future__ import annotations

from graphql import GraphQLSchema, OperationType

from gateway.documents.operation_choice import choose_operation
from gateway.documents.refusal import refusal
from gateway.documents.store import Documents
from gateway.request import GraphQLRequest, ValidOperation
from gateway.writes.references import early_variables, has_references


class OperationReader:
    """Reads the operations of one schema."""

    def __init__(self, core: GraphQLSchema, documents: Documents, *, writes: bool) -> None:
        """``writes``: whether mutations are run."""
        self._core = core
        self._documents = documents
        # What a schema lacks is refused before anything of the operation is compiled.
        self._served = {OperationType.QUERY}
        if writes:
            self._served.add(OperationType.MUTATION)
        if core.subscription_type is not None:
            self._served.add(OperationType.SUBSCRIPTION)

    def read(self, request: GraphQLRequest) -> ValidOperation:
        """Return the operation of a request, with its variables. Raises OperationRefused."""
        document = self._documents.get_valid(request.query)
        without_values = not request.variables
        if without_values and (known := document.readings.get(request.operation_name)) is not None:
            return ValidOperation(request, document, *known)
        operation = choose_operation(document, request.operation_name, self._served)
        is_mutation = operation.operation is OperationType.MUTATION
        if is_mutation and not request.allow_mutation:
            raise refusal("A mutation changes data: send it by POST.", "METHOD_NOT_ALLOWED")
        # graphql-core coerces what is known already; values of @valueFrom come from rows that are not written yet.
        if has_references(operation):
            variables = early_variables(self._core, operation, request.variables)
        else:
            variables = self._documents.variables(document, operation).read(request.variables)
        document.check_conditions(variables.coerced)
        if without_values and not is_mutation:
            document.readings[request.operation_name] = (operation, variables)
        return ValidOperation(request, document, operation, variables)

    def kind(self, request: GraphQLRequest) -> OperationType | None:
        """Return the kind of an operation that may run, None for any other: running it says why."""
        try:
            document = self._documents.get_valid(request.query)
            known = document.readings.get(request.operation_name)
            if known is not None:
                return known[0].operation
            operation = choose_operation(document, request.operation_name, self._served)
        except Exception:
            return None
        kind = operation.operation
        return None if kind is OperationType.MUTATION and not request.allow_mutation else kind
