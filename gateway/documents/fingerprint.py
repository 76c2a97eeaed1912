"""Fingerprint of an operation: equal for documents that differ in the values of arguments only.

Clients that write values into the text of their operations send a new text each time. Such a text must be parsed and
validated, but what is compiled of it (shapes, row types, completion) does not depend on the values of arguments, nor on
the names of operations and variables.

Only one thing about arguments counts: which fields have equal ones, as those share their rows (and which columns
``customFields`` names). So the fingerprint holds
a number instead of arguments: that of the first field with equal ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)
from msgspec import Struct

from schema.catalog.records import CUSTOM_FIELDS

from .collect_fields import arguments_key


class Fingerprint(Struct, frozen=True):
    """An operation without the values of its arguments."""

    key: tuple[Hashable, ...]
    """Equal for operations that can share what is compiled."""
    fields: tuple[FieldNode, ...]
    """Fields that have arguments or a selection; equal keys have them in the same order."""


def fingerprint_of(document: DocumentNode, operation: OperationDefinitionNode) -> Fingerprint:
    """Return the fingerprint of an operation of a valid document."""
    walk = _Walk()
    walk.selections(operation.selection_set)
    for definition in document.definitions:
        if isinstance(definition, FragmentDefinitionNode):
            # Unused fragments do not exist in a valid document.
            walk.key.append((definition.name.value, definition.type_condition.name.value))
            walk.selections(definition.selection_set)
    return Fingerprint(tuple(walk.key), tuple(walk.fields))


class _Walk:
    def __init__(self) -> None:
        self.key: list[Hashable] = []
        self.fields: list[FieldNode] = []
        self._arguments: dict[tuple[object, ...], int] = {(): 0}

    def selections(self, selected: SelectionSetNode) -> None:
        """Add a selection set to the key: plain fields as text, everything else as tuples, between braces."""
        add = self.key.append
        add("{")
        for node in selected.selections:
            conditions = _conditions(node.directives) if node.directives else ()
            if isinstance(node, FieldNode):
                if node.arguments or node.alias or conditions or node.selection_set:
                    self._field(node, conditions)
                else:
                    add(node.name.value)
                continue
            if isinstance(node, FragmentSpreadNode):
                add(("...", node.name.value, conditions))
                continue
            assert isinstance(node, InlineFragmentNode)
            on = node.type_condition
            add(("on", None if on is None else on.name.value, conditions))
            self.selections(node.selection_set)
        add("}")

    def _field(self, node: FieldNode, conditions: tuple[Hashable, ...]) -> None:
        name, alias, below = node.name.value, node.alias, node.selection_set
        # 0 stands for no arguments.
        arguments = arguments_key(node)
        number = self._arguments.setdefault(arguments, len(self._arguments))
        if name == CUSTOM_FIELDS:
            self.key.append(arguments)
        self.key.append((name, None if alias is None else alias.value, number, conditions))
        # Only their nodes are looked up again for another document.
        if node.arguments or below is not None:
            self.fields.append(node)
        if below is not None:
            self.selections(below)


def _conditions(directives: Sequence[DirectiveNode]) -> tuple[Hashable, ...]:
    """Return ``@skip`` and ``@include`` with their variables, whose values decide what is prepared."""
    key: list[Hashable] = []
    for directive in directives:
        for argument in directive.arguments or ():
            value = argument.value
            if isinstance(value, VariableNode):
                key.append((directive.name.value, "$", value.name.value))
            else:
                key.append((directive.name.value, "", getattr(value, "value", None)))
    return tuple(key)
