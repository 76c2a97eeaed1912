"""Quick check of "field selection merging" (GraphQL section 5.3.2).

Fields with one response key must be the same field with equal arguments. That is stricter than the specification, which
lets fields differ if their object types never meet. So a document that passes is valid, and graphql-core judges others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    SelectionSetNode,
)

from .collect_fields import arguments_key

MAX_MERGED = 20_000
"""Fields that are visited at most; a document that spreads its fragments more often is left to graphql-core."""
COMPOSITE = (GraphQLObjectType, GraphQLInterfaceType, GraphQLUnionType)

Composite = GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType
Scope = dict[str, list[tuple[FieldNode, Composite]]]
"""Response key → its fields, each with the type it is selected from."""


class NotProvablyValid(Exception):
    """The quick check cannot tell whether the document is valid."""


def require_valid(is_valid: bool) -> None:
    """Raise NotProvablyValid unless a rule is surely obeyed."""
    if not is_valid:
        raise NotProvablyValid


def composite_type(schema: GraphQLSchema, name: str) -> Composite:
    """Return an object, interface or union type. Raises KeyError if unknown, NotProvablyValid for another kind."""
    named = schema.type_map[name]
    if isinstance(named, COMPOSITE):
        return named
    raise NotProvablyValid


def fields_of(owner: Composite) -> Mapping[str, GraphQLField]:
    """Return the fields of a type; a union has none."""
    return {} if isinstance(owner, GraphQLUnionType) else owner.fields


def named_type(result: Any) -> Any:
    """Return the type inside lists and non-null wrappers."""
    while type(result) is GraphQLNonNull or type(result) is GraphQLList:
        result = result.of_type
    return result


class FieldMerging:
    """Checks the response keys of one document whose names and types have been checked."""

    def __init__(
        self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode]
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._merged = 0

    def check(self, sets: Iterable[tuple[SelectionSetNode, Composite]]) -> None:
        """Check the fields that merge in one scope, and the scopes below. Raises NotProvablyValid."""
        scope: Scope = {}
        spread: set[str] = set()
        for selected, parent in sets:
            self._collect(selected, parent, scope, spread)
        for nodes in scope.values():
            first, owner = nodes[0]
            name = first.name.value
            if name == "__typename":
                require_valid(all(node.name.value == name for node, _ in nodes))
                continue
            result = fields_of(owner)[name].type
            key = arguments_key(first) if len(nodes) > 1 else ()
            for node, parent in nodes[1:]:
                require_valid(node.name.value == name and arguments_key(node) == key)
                require_valid(parent is owner or fields_of(parent)[name].type is result)
            inner = named_type(result)
            below = [(n.selection_set, inner) for n, _ in nodes if n.selection_set is not None]
            if below:
                self.check(below)

    def _collect(
        self, selected: SelectionSetNode, parent: Composite, scope: Scope, spread: set[str]
    ) -> None:
        for node in selected.selections:
            self._merged += 1
            require_valid(self._merged <= MAX_MERGED)
            if isinstance(node, FieldNode):
                scope.setdefault((node.alias or node.name).value, []).append((node, parent))
            elif isinstance(node, InlineFragmentNode):
                on = node.type_condition
                inner = parent if on is None else composite_type(self._schema, on.name.value)
                self._collect(node.selection_set, inner, scope, spread)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                spread.add(node.name.value)
                fragment = self._fragments[node.name.value]
                inner = composite_type(self._schema, fragment.type_condition.name.value)
                self._collect(fragment.selection_set, inner, scope, spread)
