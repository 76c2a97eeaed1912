"""The size of a document, measured before it is validated.

A short document may select a great deal: a fragment whose fields spread another one twice, which does the same, doubles
with each step. So the content of a fragment counts wherever it is spread, but is measured once.
"""

from __future__ import annotations

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
)
from msgspec import Struct, field

from .collect_fields import fragments_of


class Complexity(Struct):
    """Counts of a document or of one of its selection sets."""

    depth: int = 0
    """Nested selection sets; those below ``__schema`` and ``__type`` do not count."""
    root_fields: int = 0
    """Fields of the outermost selection set."""
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    """Directives as written, each once; counted for the whole document only."""

    def add(self, other: Complexity) -> None:
        """Add the counts of a sibling selection."""
        self.depth = max(self.depth, other.depth)
        self.root_fields += other.root_fields
        self.fields += other.fields
        self.aliases += other.aliases

    def widen(self, other: Complexity) -> None:
        """Take the larger of each count: only one of several operations is run."""
        self.depth = max(self.depth, other.depth)
        self.root_fields = max(self.root_fields, other.root_fields)
        self.fields = max(self.fields, other.fields)
        self.aliases = max(self.aliases, other.aliases)


def measure(document: DocumentNode) -> Complexity:
    """Return the size of a document, valid or not. Raises RecursionError if it is nested too deeply to measure."""
    return _Measure(fragments_of(document)).document(document)


class _Measure(Struct):
    """Measures one document. A fragment that is missing or spreads itself counts as empty: validation refuses it."""

    fragments: dict[str, FragmentDefinitionNode]
    measured: dict[str, Complexity] = field(default_factory=dict)
    """Name of a fragment → its size; empty while it is being measured, which ends cycles."""
    directives: int = 0

    def document(self, document: DocumentNode) -> Complexity:
        size = Complexity()
        for name in self.fragments:
            self._fragment(name)
        for definition in document.definitions:
            self._count_directives(definition)
            if isinstance(definition, OperationDefinitionNode):
                for variable in definition.variable_definitions or ():
                    self._count_directives(variable)
                operation = self._selections(definition.selection_set)
                operation.depth += 1
                size.widen(operation)
        size.directives = self.directives
        return size

    def _count_directives(self, node: Node) -> None:
        self.directives += len(getattr(node, "directives", None) or ())

    def _fragment(self, name: str) -> Complexity:
        size = self.measured.get(name)
        if size is None:
            size = self.measured[name] = Complexity()
            definition = self.fragments.get(name)
            if definition is not None:
                size.add(self._selections(definition.selection_set))
                if definition.type_condition.name.value.startswith("__"):
                    size.depth = 0
        return size

    def _selections(self, selections: SelectionSetNode) -> Complexity:
        size = Complexity()
        spread: set[str] = set()
        for node in selections.selections:
            self._count_directives(node)
            if isinstance(node, FieldNode):
                size.add(self._field(node))
            elif isinstance(node, InlineFragmentNode):
                size.add(self._selections(node.selection_set))
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                # A second spread of a fragment in one selection set adds no field.
                spread.add(node.name.value)
                size.add(self._fragment(node.name.value))
        return size

    def _field(self, node: FieldNode) -> Complexity:
        size = Complexity(root_fields=1, fields=1, aliases=int(node.alias is not None))
        if node.selection_set is not None:
            inner = self._selections(node.selection_set)
            size.fields += inner.fields
            size.aliases += inner.aliases
            if node.name.value not in ("__schema", "__type"):
                size.depth = inner.depth + 1
        return size
