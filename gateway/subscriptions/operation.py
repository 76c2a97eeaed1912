"""Reads a subscription operation, and makes the query for the rows of its changes.

    subscription { entityChanged(set: "customersV3") { kind node { ... on CustomerV3 { organizationName } } } }
    query ($ids: [ID!]!) { node: nodes(ids: $ids) { ... on CustomerV3 { organizationName } } }

    subscription { entityChanged(set: "accounting.vendors") { kind object { ... on UnifiedVendor { name } } } }
    query ($ids: [ID!]!) { object: accounting { rows: vendorsById(ids: $ids) { ... on UnifiedVendor { name } } } }

The query is planned, bound and completed like any other: one key batch for all changes of a poll.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    ListTypeNode,
    NamedTypeNode,
    NameNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    VariableDefinitionNode,
    VariableNode,
    print_ast,
    visit,
)
from graphql.execution.values import VariableValues
from msgspec import Struct

from gateway.changes.followed import UnifiedList
from gateway.changes.records import Kind
from gateway.changes.selection import Uses, fitting_selections
from gateway.documents.collect_fields import Nodes, Selection, fragments_of
from gateway.documents.input_coercion import coerce_arguments
from gateway.errors import BadArgument
from schema.types.subscriptions import ENTITY_CHANGED

from .changes import Change

_ROWS = "rows"
_ROW_FIELDS = ("node", "object")
BATCH = 500
"""Maximum changes whose rows are read by one query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRequest:
    """A valid subscription operation, read."""

    key: str
    """Response key of ``entityChanged``."""
    arguments: Mapping[str, Any]
    """Its coerced arguments."""
    fields: tuple[tuple[str, str], ...]
    """Response key and name of each selected field of a change."""
    query: str
    """Query for the rows of ``ids`` under each response key of ``node``; empty if none is selected."""
    variables: Mapping[str, Any]
    """The subscriber's variables that the query uses."""
    ids: str
    """Name of the query's variable for the ids."""
    empty: frozenset[str] = frozenset()
    """Response keys of ``object`` of which nothing is selected for the type of the objects."""


def read_subscription(
    core: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: VariableValues,
    sent_variables: Mapping[str, Any],
    objects_of: Callable[[str], UnifiedList | None] = lambda _: None,
) -> SubscriptionRequest:
    """Read a valid subscription; ``sent_variables`` are not coerced yet. Raises BadArgument.

    ``objects_of`` returns the unified list of a name; None if its rows are rows of a set.
    """
    fragments = fragments_of(document)
    selection = Selection(operation, fragments, variables.coerced)
    roots = selection.fields((operation.selection_set,), frozenset(("Subscription",)))
    if not roots:  # @skip or @include has removed its field
        raise BadArgument("The subscription selects nothing.")
    ((key, nodes),) = roots.items()
    assert core.subscription_type is not None
    field = core.subscription_type.fields[ENTITY_CHANGED]
    fields = selection.subfields(nodes, frozenset(("EntityChanged",)))
    arguments = coerce_arguments(field, nodes[0], variables)
    parts, empty = _selected_rows(core, fields, fragments, objects_of(arguments["set"]))
    query, ids, used = _rows_query(operation, parts, fragments)
    return SubscriptionRequest(
        key=key,
        arguments=arguments,
        fields=tuple((k, below[0].name.value) for k, below in fields.items()),
        query=query,
        variables={name: value for name, value in sent_variables.items() if name in used},
        ids=ids,
        empty=empty,
    )


class _RowsPart(Struct, frozen=True):
    """What is selected of changed rows under one response key."""

    key: str
    selections: tuple[SelectionNode, ...]
    of: UnifiedList | None
    """The list of the objects that are selected; None: rows are."""


def _selected_rows(
    core: GraphQLSchema,
    fields: Mapping[str, Nodes],
    fragments: Mapping[str, FragmentDefinitionNode],
    of: UnifiedList | None,
) -> tuple[list[_RowsPart], frozenset[str]]:
    """Return what is read of rows and objects, and the keys of objects of which nothing is."""
    parts: list[_RowsPart] = []
    empty: set[str] = set()
    for key, nodes in fields.items():
        # Directives of the field itself are done.
        below = [
            n for f in nodes if f.selection_set is not None for n in f.selection_set.selections
        ]
        name = nodes[0].name.value
        if name == "node":
            parts.append(_RowsPart(key, tuple(below), None))
        elif name == "object" and of is not None:
            fitting = fitting_selections(below, fragments, core, of.view.name)
            if fitting:
                parts.append(_RowsPart(key, fitting, of))
            else:
                empty.add(key)
    return parts, frozenset(empty)


def _rows_query(
    operation: OperationDefinitionNode, parts: Sequence[_RowsPart], fragments: Mapping[str, Any]
) -> tuple[str, str, set[str]]:
    """Return the query, the name of its variable for the ids, and the names of the subscriber's that it uses."""
    if not parts:
        return "", "", set()
    uses, reached = Uses(), dict[str, Any]()
    for part in parts:
        visit(SelectionSetNode(selections=part.selections), uses)
    while uses.fragments:
        name = uses.fragments.pop()
        if name not in reached:
            reached[name] = fragments[name]
            visit(fragments[name].selection_set, uses)
    ids = "ids"
    # A name that the subscriber does not use.
    while ids in uses.variables:
        ids += "_"
    argument = ArgumentNode(name=_name("ids"), value=VariableNode(name=_name(ids)))
    definitions = operation.variable_definitions or ()
    query = OperationDefinitionNode(
        operation=OperationType.QUERY,
        name=operation.name,
        variable_definitions=(
            VariableDefinitionNode(variable=VariableNode(name=_name(ids)), type=_IDS),
            *(d for d in definitions if d.variable.name.value in uses.variables),
        ),
        directives=(),
        selection_set=SelectionSetNode(selections=tuple(_field(part, argument) for part in parts)),
    )
    document = DocumentNode(definitions=(query, *reached.values()))
    return print_ast(document), ids, uses.variables


def _field(part: _RowsPart, ids: ArgumentNode) -> FieldNode:
    name, alias = ("nodes", part.key) if part.of is None else (part.of.by_id, _ROWS)
    rows = FieldNode(
        alias=_name(alias),
        name=_name(name),
        arguments=(ids,),
        directives=(),
        selection_set=SelectionSetNode(selections=part.selections),
    )
    if part.of is None:
        return rows
    return FieldNode(
        alias=_name(part.key),
        name=_name(part.of.model),
        arguments=(),
        directives=(),
        selection_set=SelectionSetNode(selections=(rows,)),
    )


def _name(text: str) -> NameNode:
    return NameNode(value=text)


_IDS = NonNullTypeNode(
    type=ListTypeNode(type=NonNullTypeNode(type=NamedTypeNode(name=_name("ID"))))
)


class _Objects(Struct):
    rows: list[msgspec.Raw] | None = None


class Rows(Struct):
    """The answer to the query for rows, which are not decoded."""

    data: dict[str, list[msgspec.Raw] | _Objects | None] | None = None
    errors: list[dict[str, Any]] = []


read_rows = msgspec.json.Decoder(Rows).decode
_NULL, _NOTHING = msgspec.Raw(b"null"), msgspec.Raw(b"{}")


def payloads(
    request: SubscriptionRequest, name: str, changes: Sequence[Change], answer: bytes | None
) -> Iterator[bytes]:
    """Yield the execution result of each change, as JSON.

    ``name`` is the root field of the list; ``answer`` is that of the query for the rows that were not deleted.
    """
    rows = Rows() if answer is None else read_rows(answer)
    errors = list(_placed(request, rows.errors))
    place = -1
    for change in changes:
        # Deleted rows are not in the query, so the answers of the others move up.
        place += change.kind is not Kind.DELETED
        at = None if change.kind is Kind.DELETED else place
        value: dict[str, Any] = {}
        for key, field in request.fields:
            if key in request.empty and at is not None:
                value[key] = _NOTHING
            elif field in _ROW_FIELDS:
                value[key] = _row(rows, key, at)
            else:
                value[key] = _field_value(field, change, name)
        result: dict[str, Any] = {"data": {request.key: value}}
        own = [error for where, error in errors if at is not None and where in (None, at)]
        if own:
            result["errors"] = own
        yield msgspec.json.encode(result)


def _row(rows: Rows, key: str, at: int | None) -> msgspec.Raw:
    column = (rows.data or {}).get(key)
    if isinstance(column, _Objects):
        column = column.rows
    return _NULL if column is None or at is None else column[at]


def _field_value(field: str, change: Change, name: str) -> object:
    match field:
        case "kind":
            return change.kind
        case "set":
            return name
        case "id":
            return change.id
        case "etag":
            return change.etag
        case _:
            return "EntityChanged"


def _placed(
    request: SubscriptionRequest, errors: Iterable[dict[str, Any]]
) -> Iterator[tuple[int | None, dict[str, Any]]]:
    """Yield the errors of the query with their paths in the result of a change, and the row's number, None for all.

    Locations are left out: they are in the query, which the subscriber has not seen.
    """
    objects = {key for key, field in request.fields if field == "object"}
    for error in errors:
        inside: list[Any] = error.get("path") or []
        if inside and inside[0] in objects:
            inside = [inside[0], *inside[2:]]
        where = inside[1] if len(inside) > 1 else None
        path = [request.key, *inside[:1], *inside[2:]]
        rest = {name: value for name, value in error.items() if name != "locations"}
        yield where, {**rest, "path": path}
