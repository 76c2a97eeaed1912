"""Which operation of a document a request runs (GraphQL section 6.1, GetOperation)."""

from __future__ import annotations

from collections.abc import Container

from graphql import OperationDefinitionNode, OperationType

from .refusal import OperationRefused, refusal
from .store import Document


def choose_operation(
    document: Document, name: str | None, served: Container[OperationType]
) -> OperationDefinitionNode:
    """Return the operation with this name, or the only one if there is no name.

    Raises OperationRefused if there is not exactly one, or if the schema serves no operations of its type.
    """
    operations = document.operations()
    candidates = [
        o for o in operations if name is None or (o.name is not None and o.name.value == name)
    ]
    if len(candidates) == 1 and candidates[0].operation in served:
        return candidates[0]
    raise _unresolved(operations, candidates, name)


def _unresolved(
    operations: list[OperationDefinitionNode],
    candidates: list[OperationDefinitionNode],
    name: str | None,
) -> OperationRefused:
    if not operations:
        message = "The document contains no operation."
    elif not candidates:
        message = f"The document contains no operation called {name}."
    elif len(candidates) > 1:
        message = "The document contains several operations: choose one with operationName."
    else:
        message = f"This API has no {candidates[0].operation.value} operations."
    return refusal(message, "OPERATION_RESOLUTION_FAILURE")
