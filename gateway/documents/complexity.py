"""How large a document is, measured before anything is made of it.

A short document may select a great deal: a fragment whose fields spread another one twice, which does the same, doubles
with each. What fragments hold counts wherever they are spread, and is looked at once.
"""

from __future__ import annotations

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
)
from msgspec import Struct, field

from .collect_fields import fragments_of


class Complexity(Struct):
    """What there is of each in a document, or in a selection of it."""

    depth: int = 0
    """Nested selection sets; those below ``__schema`` and ``__type`` do not count."""
    top: int = 0
    """Fields of the outermost selection set."""
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    """As they are written, wherever they stand."""

    def add(self, other: Complexity) -> None:
        """Add what stands beside this; directives are counted elsewhere."""
        self.depth = max(self.depth, other.depth)
        self.top += other.top
        self.fields += other.fields
        self.aliases += other.aliases

    def widen(self, other: Complexity) -> None:
        """Take the larger of each: of several operations one is run."""
        self.depth = max(self.depth, other.depth)
        self.top = max(self.top, other.top)
        self.fields = max(self.fields, other.fields)
        self.aliases = max(self.aliases, other.aliases)


def measure(document: DocumentNode) -> Complexity:
    """Measure a document, valid or not. Raises RecursionError where it is nested too deeply to tell."""
    return _Measure(fragments_of(document)).document(document)


class _Measure(Struct):
    """One document. A fragment that is not there, or spreads itself, counts as empty: validation refuses it."""

    fragments: dict[str, FragmentDefinitionNode]
    known: dict[str, Complexity] = field(default_factory=dict)
    directives: int = 0

    def document(self, document: DocumentNode) -> Complexity:
        found = Complexity()
        for name in self.fragments:
            self._fragment(name)
        for definition in document.definitions:
            self._note(definition)
            if isinstance(definition, OperationDefinitionNode):
                for variable in definition.variable_definitions or ():
                    self._note(variable)
                inner = self._selections(definition.selection_set)
                inner.depth += 1
                found.widen(inner)
        found.directives = self.directives
        return found

    def _note(self, node: Node) -> None:
        self.directives += len(getattr(node, "directives", None) or ())

    def _fragment(self, name: str) -> Complexity:
        found = self.known.get(name)
        if found is None:
            found = self.known[name] = Complexity()
            definition = self.fragments.get(name)
            if definition is not None:
                found.add(self._selections(definition.selection_set))
                if definition.type_condition.name.value.startswith("__"):
                    found.depth = 0
        return found

    def _selections(self, selections: SelectionSetNode) -> Complexity:
        found = Complexity()
        spread: set[str] = set()
        for node in selections.selections:
            self._note(node)
            if isinstance(node, FieldNode):
                found.add(self._field(node))
            elif isinstance(node, InlineFragmentNode):
                found.add(self._selections(node.selection_set))
            elif (name := node.name.value) not in spread:  # type: ignore[attr-defined]
                spread.add(name)
                found.add(self._fragment(name))
        return found

    def _field(self, node: FieldNode) -> Complexity:
        own = Complexity(top=1, fields=1, aliases=int(node.alias is not None))
        if node.selection_set is not None:
            inner = self._selections(node.selection_set)
            own.fields += inner.fields
            own.aliases += inner.aliases
            if node.name.value not in ("__schema", "__type"):
                own.depth = inner.depth + 1
        return own
