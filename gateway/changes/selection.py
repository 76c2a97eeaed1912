"""What an operation selects of ``changes``, and the operations that read it.

    changes(…) { upserts { kind node { ... on CustomerV3 { name } } } }

    by list:  rows: customersV3(…) { meta: nodes { id etag } n0: nodes { ... on CustomerV3 { name } } pageInfo { … } }
    by key:   n0: nodes(ids: $ids_) { ... on CustomerV3 { name } }

Each selection of ``node`` becomes a selection of the rows of a list, so that rows are found and read by one request.
The operations are planned, bounded and completed as any other, and their rows are not decoded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    NameNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    print_ast,
    visit,
)
from graphql.type import is_composite_type
from graphql.utilities import do_types_overlap
from msgspec import Struct

from gateway.documents.collect_fields import Nodes, Selection, fragments_of

NAME = "Changes"
"""Name of the operations in the log."""


class RowField(Struct, frozen=True):
    """A selected field of a changed row."""

    key: str
    name: str
    place: str = ""
    """Name of the selection of the row, if it is ``node`` or ``object``."""


class PayloadField(Struct, frozen=True):
    """A selected field of the answer."""

    key: str
    name: str
    below: tuple[RowField, ...] = ()


class RowSelection(Struct, frozen=True):
    """One selection of ``node`` or ``object``."""

    place: str
    selections: tuple[SelectionNode, ...]


class ChangesSelection(Struct, frozen=True, kw_only=True):
    """What is selected of one ``changes`` field."""

    fields: tuple[PayloadField, ...]
    rows: tuple[RowSelection, ...]
    objects: tuple[RowSelection, ...]
    """The selections of the unified objects of rows."""
    definitions: Mapping[str, FragmentDefinitionNode]
    declared: Mapping[str, str]
    """Variable → its definition."""
    taken: frozenset[str]
    """Names of all variables of the operation."""


def select_changes(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    conditions: Mapping[str, object],
    nodes: Nodes,
) -> ChangesSelection:
    """Return what the nodes of a ``changes`` field select; ``conditions`` are the values of variables."""
    fragments = fragments_of(document)
    selection = Selection(operation, fragments, conditions)
    rows: list[RowSelection] = []
    objects: list[RowSelection] = []

    def below(name: str, of: Nodes) -> Iterator[RowField]:
        types = {"upserts": "ChangedRow", "deletes": "RemovedRow"}
        if name not in types:
            return
        for key, inner in selection.subfields(of, frozenset((types[name],))).items():
            field = inner[0].name.value
            place = ""
            if field == "node":
                place = f"n{len(rows)}"
                rows.append(RowSelection(place, tuple(_selections(inner))))
            elif field == "object":
                place = f"o{len(objects)}"
                objects.append(RowSelection(place, tuple(_selections(inner))))
            yield RowField(key, field, place)

    collected = selection.subfields(nodes, frozenset(("Changes",)))
    fields = tuple(
        PayloadField(key, of[0].name.value, tuple(below(of[0].name.value, of)))
        for key, of in collected.items()
    )
    definitions = operation.variable_definitions or ()
    return ChangesSelection(
        fields=fields,
        rows=tuple(rows),
        objects=tuple(objects),
        definitions=fragments,
        declared={d.variable.name.value: print_ast(d) for d in definitions},
        taken=frozenset(d.variable.name.value for d in definitions),
    )


def _selections(nodes: Nodes) -> Iterator[SelectionNode]:
    for node in nodes:
        if node.selection_set is not None:
            yield from node.selection_set.selections


class RowsDocument(Struct, frozen=True, kw_only=True):
    """The parts of a document that select rows of one type."""

    text: str
    """Selections of rows, by ``place: {nodes}``; ``{nodes}`` is the field that answers rows."""
    declared: str
    """Definitions of variables, each after a comma."""
    fragments: str
    places: tuple[str, ...]
    """The selections that are read."""
    empty: tuple[str, ...]
    """Those in which nothing is selected of such rows."""
    variables: frozenset[str]
    """The variables that it uses."""


def rows_document(
    selection: ChangesSelection, core: GraphQLSchema, type_name: str, nodes: str
) -> RowsDocument:
    """Return the selections of rows of a type. ``nodes`` is the field that answers rows, with its arguments."""
    uses = Uses()
    texts, places, empty = [], [], []
    for row in selection.rows:
        fitting = fitting_selections(row.selections, selection.definitions, core, type_name)
        if not fitting:
            empty.append(row.place)
            continue
        chosen = SelectionSetNode(selections=fitting)
        visit(chosen, uses)
        texts.append(f"{row.place}: {nodes} {print_ast(chosen)}")
        places.append(row.place)
    reached: dict[str, FragmentDefinitionNode] = {}
    while uses.fragments:
        name = uses.fragments.pop()
        if name not in reached:
            reached[name] = selection.definitions[name]
            visit(reached[name].selection_set, uses)
    return RowsDocument(
        text=" ".join(texts),
        declared="".join(
            f", {text}" for name, text in selection.declared.items() if name in uses.variables
        ),
        fragments=" ".join(map(print_ast, reached.values())),
        places=tuple(places),
        empty=tuple(empty),
        variables=frozenset(uses.variables),
    )


def fitting_selections(
    selections: Iterable[SelectionNode],
    definitions: Mapping[str, FragmentDefinitionNode],
    core: GraphQLSchema,
    type_name: str,
) -> tuple[SelectionNode, ...]:
    """Return the selections of ``node`` or ``object`` that may select something of rows of a type."""

    def fits(node: SelectionNode) -> bool:
        if isinstance(node, FieldNode):
            return True
        if isinstance(node, FragmentSpreadNode):
            condition: str | None = definitions[node.name.value].type_condition.name.value
        else:
            assert isinstance(node, InlineFragmentNode)
            condition = None if node.type_condition is None else node.type_condition.name.value
        if condition is None or condition in (type_name, "Node"):
            return True
        own, other = core.get_type(type_name), core.get_type(condition)
        return (
            is_composite_type(own)
            and is_composite_type(other)
            and do_types_overlap(core, own, other)
        )

    return tuple(filter(fits, selections))


class Uses(Visitor):
    """Collects the variables and fragments that a part of a document uses."""

    def __init__(self) -> None:
        super().__init__()
        self.variables: set[str] = set()
        self.fragments: list[str] = []

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.variables.add(node.name.value)

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        self.fragments.append(node.name.value)


def without_changes(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    rest: Mapping[str, Nodes],
) -> tuple[str, frozenset[str]]:
    """Return the operation with the other root fields only, and the names of the variables that it uses."""
    uses = Uses()
    nodes = tuple(_plain(node) for of in rest.values() for node in of)
    for node in nodes:
        visit(node, uses)
    fragments, reached = fragments_of(document), dict[str, FragmentDefinitionNode]()
    while uses.fragments:
        name = uses.fragments.pop()
        if name not in reached:
            reached[name] = fragments[name]
            visit(fragments[name].selection_set, uses)
    query = OperationDefinitionNode(
        operation=operation.operation,
        name=operation.name or NameNode(value=NAME),
        variable_definitions=tuple(
            d
            for d in operation.variable_definitions or ()
            if d.variable.name.value in uses.variables
        ),
        directives=(),
        selection_set=SelectionSetNode(selections=nodes),
    )
    definitions: Iterable[Any] = (query, *reached.values())
    return print_ast(DocumentNode(definitions=tuple(definitions))), frozenset(uses.variables)


def _plain(node: FieldNode) -> FieldNode:
    """Return a root field without its directives: they were followed."""
    return FieldNode(
        alias=node.alias,
        name=node.name,
        arguments=node.arguments,
        directives=(),
        selection_set=node.selection_set,
    )
