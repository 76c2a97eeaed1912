"""Reads a trusted document as an export: its one list, the filter of that, and the fields of its rows.

    query Q($group: String!) { customersV3(where: {customerGroupId: {eq: $group}}) { nodes { customerAccount } } }

Paging arguments and what is beside the rows (``pageInfo``, ``totalCount``) mean nothing to an export: it has all rows,
in the order of their key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    parse,
    print_ast,
    value_from_ast_untyped,
)
from msgspec import Struct

from gateway.errors import BadArgument

_PAGING = ("first", "last", "after", "before")
_MAX_TOKENS = 15_000


class DocumentExport(Struct, frozen=True):
    """What a document exports."""

    list: str
    where: str | None
    """JSON."""
    fields: str


def export_of_document(text: str, variables: Mapping[str, Any]) -> DocumentExport:
    """Return what a document exports. Raises BadArgument if it is more than one list, or no list."""
    operation, model, root = _root_of(text)
    values = {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }
    values |= variables
    where = None
    for argument in root.arguments or ():
        name = argument.name.value
        if name == "where":
            filters = value_from_ast_untyped(argument.value, values)
            where = None if filters is None else msgspec.json.encode(filters).decode()
        elif name not in _PAGING:
            raise _misfit(f"its list has the argument {name}")
    rows = _rows_of(root)
    return DocumentExport(
        f"{model}{root.name.value}", where, " ".join(print_ast(node) for node in rows.selections)
    )


def _root_of(text: str) -> tuple[OperationDefinitionNode, str, FieldNode]:
    """Return the operation of a document, and its list after the unified model that it is of (``accounting.``)."""
    try:
        document: DocumentNode = parse(text, no_location=True, max_tokens=_MAX_TOKENS)
    except (GraphQLError, RecursionError) as error:
        raise _misfit("it is not GraphQL") from error
    first, *others = document.definitions
    if (
        others
        or not isinstance(first, OperationDefinitionNode)
        or first.operation is not OperationType.QUERY
    ):
        raise _misfit("it is not one query without fragments")
    root = _only_field(first.selection_set)
    if _below(root, "nodes") is None and _below(root, "edges") is None and not root.arguments:
        assert root.selection_set is not None
        return first, f"{root.name.value}.", _only_field(root.selection_set)
    return first, "", root


def _only_field(selections: SelectionSetNode) -> FieldNode:
    """Return the one field of a selection set, which has fields itself. Raises BadArgument."""
    field, *more = selections.selections
    if more or not isinstance(field, FieldNode) or field.directives or field.selection_set is None:
        raise _misfit("it has not one list")
    return field


def _rows_of(root: FieldNode) -> SelectionSetNode:
    """Return the selection set of ``nodes``, or of ``edges { node }``."""
    rows = _below(root, "nodes")
    if rows is None and (edges := _below(root, "edges")) is not None:
        rows = _below(edges, "node")
    if rows is None or rows.selection_set is None:
        raise _misfit("it selects no nodes")
    return rows.selection_set


def _below(field: FieldNode, name: str) -> FieldNode | None:
    """Return the field of this name in a selection set."""
    assert field.selection_set is not None
    fields = (node for node in field.selection_set.selections if isinstance(node, FieldNode))
    return next((node for node in fields if node.name.value == name), None)


def _misfit(reason: str) -> BadArgument:
    return BadArgument(
        f"The document is no export: {reason}.",
        hint="A document of one list is exported, without fragments and orderBy.",
    )
