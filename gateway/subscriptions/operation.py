"""Reads a subscription operation, and makes the query for the rows of its changes.

    subscription { entityChanged(set: "customersV3") { kind node { ... on CustomerV3 { organizationName } } } }
    query ($ids: [ID!]!) { node: nodes(ids: $ids) { ... on CustomerV3 { organizationName } } }

The query is planned, bound and completed like any other: one key batch for all changes of a poll.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLSchema,
    ListTypeNode,
    NamedTypeNode,
    NameNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    print_ast,
    visit,
)
from graphql.execution.values import VariableValues

from gateway.changes.records import Kind
from gateway.documents.collect_fields import Nodes, Selection, fragments_of
from gateway.documents.input_coercion import coerce_arguments
from gateway.errors import BadArgument
from schema.types.subscriptions import ENTITY_CHANGED

from .changes import Change

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


def read_subscription(
    core: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: VariableValues,
    sent_variables: Mapping[str, Any],
) -> SubscriptionRequest:
    """Read a valid subscription; ``sent_variables`` are not coerced yet. Raises BadArgument."""
    fragments = fragments_of(document)
    selection = Selection(operation, fragments, variables.coerced)
    roots = selection.fields((operation.selection_set,), frozenset(("Subscription",)))
    if not roots:  # @skip or @include has removed its field
        raise BadArgument("The subscription selects nothing.")
    ((key, nodes),) = roots.items()
    assert core.subscription_type is not None
    field = core.subscription_type.fields[ENTITY_CHANGED]
    fields = selection.subfields(nodes, frozenset(("EntityChanged",)))
    rows = {k: below for k, below in fields.items() if below[0].name.value == "node"}
    query, ids, used = _rows_query(operation, rows, fragments)
    return SubscriptionRequest(
        key=key,
        arguments=coerce_arguments(field, nodes[0], variables),
        fields=tuple((k, below[0].name.value) for k, below in fields.items()),
        query=query,
        variables={name: value for name, value in sent_variables.items() if name in used},
        ids=ids,
    )


class _Uses(Visitor):
    """Collects the variables and fragments that a part of a document uses."""

    def __init__(self) -> None:
        super().__init__()
        self.variables: set[str] = set()
        self.fragments: list[str] = []

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.variables.add(node.name.value)

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        self.fragments.append(node.name.value)


def _rows_query(
    operation: OperationDefinitionNode, rows: Mapping[str, Nodes], fragments: Mapping[str, Any]
) -> tuple[str, str, set[str]]:
    """Return the query, the name of its variable for the ids, and the names of the subscriber's that it uses."""
    if not rows:
        return "", "", set()
    uses, reached = _Uses(), dict[str, Any]()
    for nodes in rows.values():
        for node in nodes:
            if node.selection_set is not None:  # directives of the field itself are done
                visit(node.selection_set, uses)
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
        selection_set=SelectionSetNode(
            selections=tuple(_field(key, nodes, argument) for key, nodes in rows.items())
        ),
    )
    document = DocumentNode(definitions=(query, *reached.values()))
    return print_ast(document), ids, uses.variables


def _field(key: str, nodes: Nodes, argument: ArgumentNode) -> FieldNode:
    below = [s for n in nodes if n.selection_set is not None for s in n.selection_set.selections]
    return FieldNode(
        alias=_name(key),
        name=_name("nodes"),
        arguments=(argument,),
        directives=(),
        selection_set=SelectionSetNode(selections=tuple(below)),
    )


def _name(text: str) -> NameNode:
    return NameNode(value=text)


_IDS = NonNullTypeNode(
    type=ListTypeNode(type=NonNullTypeNode(type=NamedTypeNode(name=_name("ID"))))
)


class Rows(msgspec.Struct):
    """The answer to the query for rows, which are not decoded."""

    data: dict[str, list[msgspec.Raw] | None] | None = None
    errors: list[dict[str, Any]] = []


read_rows = msgspec.json.Decoder(Rows).decode
_NULL = msgspec.Raw(b"null")


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
            value[key] = (
                _row(rows, key, at) if field == "node" else _field_value(field, change, name)
            )
        result: dict[str, Any] = {"data": {request.key: value}}
        own = [error for where, error in errors if at is not None and where in (None, at)]
        if own:
            result["errors"] = own
        yield msgspec.json.encode(result)


def _row(rows: Rows, key: str, at: int | None) -> msgspec.Raw:
    column = (rows.data or {}).get(key)
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
    for error in errors:
        inside: list[Any] = error.get("path") or []
        where = inside[1] if len(inside) > 1 else None
        path = [request.key, *inside[:1], *inside[2:]]
        rest = {name: value for name, value in error.items() if name != "locations"}
        yield where, {**rest, "path": path}
