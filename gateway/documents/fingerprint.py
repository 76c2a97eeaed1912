"""What two documents share that differ in argument values only: the same rows in the same layout.

Clients that write values into the text of their operations send a new text each time. Such a text is parsed and
validated, but what is compiled of it (shapes, row types, completion) does not depend on the values of arguments, nor on
the names of operations and variables. :func:`fingerprint_of` tells the documents apart that differ in anything else.

What does count of arguments is which of them are equal: fields with equal ones share their rows. So each is told by a
number, that of the first field with equal arguments.
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

from .collect_fields import arguments_key


class Fingerprint(Struct, frozen=True):
    """An operation without its values."""

    key: tuple[Hashable, ...]
    """Equal for operations that are prepared alike."""
    fields: tuple[FieldNode, ...]
    """Every field that has arguments or a selection, in the same order for equal keys."""


def fingerprint_of(document: DocumentNode, operation: OperationDefinitionNode) -> Fingerprint:
    """Return the structure of an operation of a valid document."""
    walk = _Walk()
    walk.selections(operation.selection_set)
    for definition in document.definitions:
        if isinstance(definition, FragmentDefinitionNode):
            walk.key.append((definition.name.value, definition.type_condition.name.value))
            walk.selections(definition.selection_set)
    return Fingerprint(tuple(walk.key), tuple(walk.fields))


class _Walk:
    def __init__(self) -> None:
        self.key: list[Hashable] = []
        self.fields: list[FieldNode] = []
        self._arguments: dict[tuple[object, ...], int] = {(): 0}

    def selections(self, selected: SelectionSetNode) -> None:
        """Tell a selection set: names of plain fields as texts, everything else as tuples, between braces."""
        tell = self.key.append
        tell("{")
        for node in selected.selections:
            conditions = _conditions(node.directives) if node.directives else ()
            if isinstance(node, FieldNode):
                self._field(node, conditions)
                continue
            if isinstance(node, FragmentSpreadNode):
                tell(("...", node.name.value, conditions))
                continue
            assert isinstance(node, InlineFragmentNode)
            on = node.type_condition
            tell(("on", None if on is None else on.name.value, conditions))
            self.selections(node.selection_set)
        tell("}")

    def _field(self, node: FieldNode, conditions: tuple[Hashable, ...]) -> None:
        name, alias, below = node.name.value, node.alias, node.selection_set
        if not (node.arguments or alias or conditions or below):
            self.key.append(name)
            return
        number = self._arguments.setdefault(arguments_key(node), len(self._arguments))
        self.key.append((name, None if alias is None else alias.value, number, conditions))
        if node.arguments or below is not None:
            self.fields.append(node)
        if below is not None:
            self.selections(below)


def _conditions(directives: Sequence[DirectiveNode]) -> tuple[Hashable, ...]:
    """Tell ``@skip`` and ``@include``: their variables are those that the prepared operation depends on."""
    told: list[Hashable] = []
    for directive in directives:
        for argument in directive.arguments or ():
            value = argument.value
            if isinstance(value, VariableNode):
                told.append((directive.name.value, "$", value.name.value))
            else:
                told.append((directive.name.value, "", getattr(value, "value", None)))
    return tuple(told)
