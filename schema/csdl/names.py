"""The names of a finished draft: what is defined, what an alias means, what is stated from outside."""

from __future__ import annotations

from collections.abc import Callable
from sys import intern

from schema.model.records import TypeRef

from .annotations import Facts, Terms, facts_of
from .draft import Draft
from .xml import Note


class Names:
    """Look-ups over a draft whose reading is complete."""

    def __init__(self, draft: Draft) -> None:
        self.full: Callable[[str], str] = draft.full
        self.entity_types = frozenset(draft.entity_types)
        self._values = frozenset((*draft.enum_types, *draft.complex_types))
        self._underlying = {
            name: definition.underlying
            for name, definition in draft.type_definitions.items()
            if definition.underlying.startswith("Edm.")
        }
        self.as_defined = frozenset(
            ref for ref in draft.type_refs.values() if self.value_type(ref) is ref
        )
        """References to types of values that stay as they are; nearly all are such."""
        self._term_names = draft.term_names
        self._container = draft.container
        self._notes: dict[str, dict[str, list[Note]]] = {}
        for target, stated in draft.notes.items():
            head, _, tail = target.partition("/")
            head = self.full(head.partition("(")[0])
            self._notes.setdefault(head, {}).setdefault(tail, []).extend(stated)

    def is_annotated(self, owner: str) -> bool:
        """Return whether anything is stated from outside of a type, operation or container, or of a part of it."""
        return owner in self._notes

    def facts(self, owner: str, part: str, terms: Terms) -> Facts:
        """Return what is stated from outside of a part (``""``: the owner itself)."""
        return facts_of(self._notes.get(owner, {}).get(part, ()), terms, self._term_names)

    def value_type(self, ref: TypeRef) -> TypeRef | None:
        """Return a property's type in full, a type definition replaced; None if it is not defined."""
        if ref.name.startswith("Edm.") or ref.name in self._values:
            return ref
        name = self.full(ref.name)
        name = self._underlying.get(name, name)
        if name.startswith("Edm.") or name in self._values:
            return TypeRef(name, ref.many)
        return None

    def any_type(self, ref: TypeRef) -> TypeRef | None:
        """Return the type of a parameter or result, which may be an entity type too."""
        name = self.full(ref.name)
        return TypeRef(name, ref.many) if name in self.entity_types else self.value_type(ref)

    def path(self, path: str) -> str:
        """Return a path with its type-cast segments in full: ``Self.Flight/Airline`` → ``Trip.Flight/Airline``."""
        return intern("/".join(self.full(segment) for segment in path.split("/")))

    def in_container(self, target: str) -> str:
        """Return the name a binding target means: ``Trip.Container/Airlines`` → ``Airlines``."""
        head, _, tail = target.partition("/")
        return tail if tail and self.full(head) == self._container else target
