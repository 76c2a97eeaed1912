"""``Subscription.changes``: the answers of ``Query.changes``, one after the other, whenever there is something new.

    subscription { changes(set: "customersV3", since: $cursor) { upserts { … } cursor } }
    query ($since_: String) { changes(set: "customersV3", since: $since_) { upserts { … } cursor has_: hasMore … } }

Each answer is that query, executed from the cursor of the answer before. When to ask is found out once for all who
follow the same: by a poll of its own, which reads ids and no rows. A client continues with the last cursor that it got.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableDefinitionNode,
    VariableNode,
    parse,
    print_ast,
    visit,
)
from msgspec import Raw, Struct
from msgspec.structs import replace

from gateway.admission.work import Lane
from gateway.changes.records import Kind
from gateway.changes.selection import Uses
from gateway.documents.collect_fields import Nodes, Selection, fragments_of
from gateway.documents.input_coercion import coerce_arguments
from gateway.errors import BadArgument
from gateway.planning.change_queries import ChangeQuery
from gateway.request import GraphQLRequest, ValidOperation
from schema.types.changes import CHANGES

from .changes import Change
from .polling import Execute, PollFailed

NOW = "now"
_HIDDEN = "{ cursor_: cursor hasMore_: hasMore upserts_: upserts { id } deletes_: deletes { id } }"
"""What is selected beside the client's selection."""
_OWN = ("cursor_", "hasMore_", "upserts_", "deletes_")
_POLL = """query Watch($set: String!, $since: String, $where: JSON COMPANIES) {
  changes(set: $set, since: $since, where: $where SCOPE) {
    cursor_: cursor hasMore_: hasMore upserts_: upserts { id } deletes_: deletes { id } } }"""
_WAKE = (Change(Kind.CHANGED, "", None),)
"""What a poll has found, for those who only want to know that it is something."""


class _Answer(Struct):
    data: dict[str, dict[str, Raw]] | None = None
    errors: list[dict[str, Any]] = []


_read_answer = msgspec.json.Decoder(_Answer).decode


class FollowedAnswer(Struct, frozen=True):
    """One answer of a feed."""

    result: bytes
    """The execution result for the client."""
    cursor: str
    has_more: bool
    is_empty: bool


@dataclass(frozen=True)
class Following:
    """A subscription to ``changes``."""

    key: str
    arguments: Mapping[str, Any]
    query: str
    since: str
    """Name of the query's variable for the cursor."""
    request: GraphQLRequest

    def at(self, cursor: str | None) -> GraphQLRequest:
        """Return the query for what comes after a cursor."""
        variables = {**self.request.variables, self.since: cursor}
        return replace(
            self.request,
            query=self.query,
            variables=variables,
            operation_name=None,
            lane=Lane.SUBSCRIPTION,
        )


def follows(operation: ValidOperation) -> bool:
    """Return whether a subscription is one to ``changes``."""
    return any(nodes[0].name.value == CHANGES for nodes in _roots(operation).values())


def read_following(operation: ValidOperation, core: Any) -> Following:
    """Read a valid subscription to ``changes``. Raises BadArgument."""
    ((key, nodes),) = _roots(operation).items()
    field = core.subscription_type.fields[CHANGES]
    arguments = coerce_arguments(field, nodes[0], operation.variables)
    document = operation.document.node
    assert document is not None
    taken = {d.variable.name.value for d in operation.operation.variable_definitions or ()}
    since = "since_"
    while since in taken:
        since += "_"
    query, used = _query(document, operation.operation, nodes, since)
    sent = operation.request.variables
    variables = {name: value for name, value in sent.items() if name in used}
    request = replace(operation.request, variables=variables)
    return Following(key, arguments, query, since, request)


def _roots(operation: ValidOperation) -> dict[str, Nodes]:
    assert operation.document.node is not None
    fragments = fragments_of(operation.document.node)
    selection = Selection(operation.operation, fragments, operation.variables.coerced)
    roots = selection.fields((operation.operation.selection_set,), frozenset(("Subscription",)))
    if not roots:  # @skip or @include has removed its field
        raise BadArgument("The subscription selects nothing.")
    return roots


def _query(
    document: DocumentNode, operation: OperationDefinitionNode, nodes: Nodes, since: str
) -> tuple[str, set[str]]:
    """Return the query with the same selection, whose cursor is a variable, and the variables that it uses."""
    (hidden,) = parse(_HIDDEN, no_location=True).definitions
    assert isinstance(hidden, OperationDefinitionNode)
    cursor = ArgumentNode(
        name=NameNode(value="since"), value=VariableNode(name=NameNode(value=since))
    )
    below = [s for n in nodes if n.selection_set is not None for s in n.selection_set.selections]
    field = FieldNode(
        alias=nodes[0].alias,
        name=nodes[0].name,
        arguments=(*(a for a in nodes[0].arguments or () if a.name.value != "since"), cursor),
        directives=(),
        selection_set=SelectionSetNode(selections=(*below, *hidden.selection_set.selections)),
    )
    uses, fragments = Uses(), fragments_of(document)
    reached: dict[str, FragmentDefinitionNode] = {}
    visit(field, uses)
    while uses.fragments:
        name = uses.fragments.pop()
        if name not in reached:
            reached[name] = fragments[name]
            visit(fragments[name].selection_set, uses)
    declared = VariableDefinitionNode(
        variable=VariableNode(name=NameNode(value=since)),
        type=NamedTypeNode(name=NameNode(value="String")),
    )
    others = operation.variable_definitions or ()
    query = OperationDefinitionNode(
        operation=OperationType.QUERY,
        name=operation.name,
        variable_definitions=(
            declared,
            *(d for d in others if d.variable.name.value in uses.variables),
        ),
        directives=(),
        selection_set=SelectionSetNode(selections=(field,)),
    )
    return print_ast(DocumentNode(definitions=(query, *reached.values()))), uses.variables


def read_followed(following: Following, answer: bytes) -> FollowedAnswer:
    """Return an answer without what was selected beside. Raises PollFailed."""
    body = _read_answer(answer)
    if body.data is None:
        raise PollFailed(body.errors)
    value = body.data[following.key]
    own = {name: msgspec.json.decode(value.pop(name)) for name in _OWN}
    result: dict[str, Any] = {"data": {following.key: value}}
    if body.errors:
        result["errors"] = body.errors
    return FollowedAnswer(
        result=msgspec.json.encode(result),
        cursor=own["cursor_"],
        has_more=own["hasMore_"],
        is_empty=not own["upserts_"] and not own["deletes_"] and not own["hasMore_"],
    )


class FeedPoll:
    """Finds out when there is something new for all who follow the same. Takes the place of ``Poll`` in a watch."""

    def __init__(self, query: ChangeQuery, following: Following, ask: Execute) -> None:
        self.query = query
        arguments, request = following.arguments, following.request
        variables = {"set": arguments["set"], "where": arguments.get("where")}
        companies = arguments.get("companies")
        text = _POLL.replace("COMPANIES", ", $companies: [String!]" if companies else "")
        text = text.replace("SCOPE", ", companies: $companies" if companies else "")
        if companies:
            variables["companies"] = companies
        self._ask = ask
        self._request = replace(
            request,
            query=text,
            variables=variables,
            operation_name=None,
            lane=Lane.SUBSCRIPTION,
            trace=False,
            cost=None,
            timeout=None,
            is_charged=False,  # it is for all who follow the same
        )
        self._cursor: str | None = None
        self._is_new = True

    async def changes(self) -> tuple[Change, ...]:
        """Return something if there is something new, and at first, so that nobody misses what was before it.

        Raises PollFailed.
        """
        while True:
            variables = {**self._request.variables, "since": self._cursor or NOW}
            answer = await self._ask(replace(self._request, variables=variables))
            body = _read_answer(answer.encode())
            if body.data is None:
                raise PollFailed(body.errors)
            value = {name: msgspec.json.decode(raw) for name, raw in body.data[CHANGES].items()}
            self._cursor = value["cursor_"]
            # What was found stays found if a later page fails.
            self._is_new = self._is_new or any(value[name] for name in _OWN[1:])
            if not value["hasMore_"]:
                is_new, self._is_new = self._is_new, False
                return _WAKE if is_new else ()
