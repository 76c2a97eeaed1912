"""Field collection: selection sets with fragments, ``@skip`` and ``@include`` resolved.

Implements CollectFields of the GraphQL specification (section 6.3.2) over the generated types. The only values that a
selection depends on are those of the variables in ``@skip`` and ``@include``, and names in ``customFields``: so they
are a part of the cache key of prepared operations (:func:`condition_variables`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    ArgumentNode,
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)

from schema.catalog.records import CUSTOM_FIELDS

Nodes = tuple[FieldNode, ...]
"""Field nodes that are merged under one response key."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The operation that is run, with the fragments that it may use."""

    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode] = field(repr=False)
    conditions: Mapping[str, object]
    """Coerced values of the variables that ``@skip``, ``@include`` and ``customFields`` use."""

    def fields(
        self, sets: Iterable[SelectionSetNode | None], types: frozenset[str]
    ) -> dict[str, Nodes]:
        """Return response key → field nodes for an object. ``types`` are its own name and those of its interfaces."""
        collected: dict[str, Nodes] = {}
        visited: set[str] = set()
        for selection_set in sets:
            if selection_set is not None:
                self._visit(selection_set.selections, types, collected, visited)
        return collected

    def subfields(self, nodes: Nodes, types: frozenset[str]) -> dict[str, Nodes]:
        """Return the same for what merged field nodes select."""
        return self.fields((n.selection_set for n in nodes), types)

    def _visit(
        self,
        selections: Sequence[SelectionNode],
        types: frozenset[str],
        collected: dict[str, Nodes],
        visited: set[str],
    ) -> None:
        for node in selections:
            # On fragments too: their fields are then as if they were not written.
            if node.directives and not self._is_included(node.directives):
                continue
            if isinstance(node, FieldNode):
                key = (node.alias or node.name).value
                # Hardly any key comes twice.
                before = collected.get(key)
                collected[key] = (node,) if before is None else (*before, node)
                continue
            inner = self._fragment(node, types, visited)
            if inner is not None:
                self._visit(inner.selections, types, collected, visited)

    def _fragment(
        self, node: SelectionNode, types: frozenset[str], visited: set[str]
    ) -> SelectionSetNode | None:
        """Return the selection set of a fragment if it applies and was not visited yet, else None."""
        if isinstance(node, InlineFragmentNode):
            condition = node.type_condition
            applies = condition is None or condition.name.value in types
            return node.selection_set if applies else None
        assert isinstance(node, FragmentSpreadNode)
        name = node.name.value
        definition = self.fragments.get(name)
        if (
            name in visited
            or definition is None
            or definition.type_condition.name.value not in types
        ):
            return None
        # A fragment is applied once in a selection set (visitedFragments of the specification).
        visited.add(name)
        return definition.selection_set

    def _is_included(self, directives: Sequence[DirectiveNode]) -> bool:
        for directive in directives:
            name = directive.name.value
            if name in ("skip", "include") and self._condition(directive) is (name == "skip"):
                return False
        return True

    def _condition(self, directive: DirectiveNode) -> bool:
        value = _condition_of(directive)
        if isinstance(value, VariableNode):
            return bool(self.conditions[value.name.value])
        return isinstance(value, BooleanValueNode) and value.value


def _condition_of(directive: DirectiveNode) -> ValueNode:
    """Return the value of ``if``, the only argument of both directives; validation requires it."""
    assert directive.arguments
    return directive.arguments[0].value


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """Return the fragments of a document by name."""
    definitions = document.definitions
    return {d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)}


def condition_variables(document: DocumentNode) -> tuple[str, ...]:
    """Return the names of the variables that decide what is selected, sorted."""
    names: dict[str, None] = {}
    stack: list[SelectionNode] = []
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            stack.extend(definition.selection_set.selections)
    while stack:
        node = stack.pop()
        for directive in node.directives or ():
            if directive.name.value in ("skip", "include"):
                value = _condition_of(directive)
                if isinstance(value, VariableNode):
                    names[value.name.value] = None
        if isinstance(node, FieldNode) and node.name.value == CUSTOM_FIELDS:
            names.update(dict.fromkeys(_variables(node.arguments)))
        inner = getattr(node, "selection_set", None)
        if inner is not None:
            stack.extend(inner.selections)
    return tuple(sorted(names))


def arguments_key(node: FieldNode) -> tuple[object, ...]:
    """Return a key of a field's arguments: fields with equal keys request the same rows, whatever variables hold."""
    arguments = node.arguments
    if not arguments:
        return ()
    # The order of arguments has no meaning (section 2.6).
    return tuple(sorted((a.name.value, _value_key(a.value)) for a in arguments))


def _value_key(node: Any) -> tuple[object, ...]:
    """Return a literal as nested tuples of text, so that keys of any two literals can be compared and sorted."""
    if isinstance(node, VariableNode):
        return ("$", node.name.value)
    if isinstance(node, ListValueNode):
        return ("[", *map(_value_key, node.values))
    if isinstance(node, ObjectValueNode):
        return ("{", *((f.name.value, _value_key(f.value)) for f in node.fields))
    block = str(getattr(node, "block", ""))
    return (node.kind, str(getattr(node, "value", "")), block)


def has_variables(arguments: Iterable[ArgumentNode] | None) -> bool:
    """Return whether arguments depend on variables, at any depth."""
    return any(True for _ in _variables(arguments))


def _variables(arguments: Iterable[ArgumentNode] | None) -> Iterator[str]:
    """Yield the names of the variables in arguments, at any depth."""
    stack: list[Any] = [a.value for a in arguments or ()]
    while stack:
        node = stack.pop()
        if node.kind == "variable":
            yield node.name.value
        stack.extend(getattr(node, "values", None) or ())
        stack.extend(f.value for f in getattr(node, "fields", None) or ())


def custom_names(node: FieldNode, variables: Mapping[str, object]) -> tuple[str, ...]:
    """Return the columns that a field ``customFields`` names, each once. Its arguments are valid."""
    names: dict[str, None] = {}
    for argument in node.arguments or ():
        for item in _items(argument.value, variables):
            names[str(item)] = None
    return tuple(names)


def _items(value: ValueNode, variables: Mapping[str, object]) -> Iterator[object]:
    """Yield the items of an argument that is a list; a single value stands for a list of one (section 3.11)."""
    if isinstance(value, VariableNode):
        items = variables.get(value.name.value)
        yield from items if isinstance(items, list | tuple) else (items,)
    elif isinstance(value, ListValueNode):
        for item in value.values:
            yield from _items(item, variables)
    else:
        yield getattr(value, "value", None)
