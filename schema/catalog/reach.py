"""Determines which generated types are part of the schema: those reachable from a field of ``Query``.

graphql-core drops unreferenced types (unused enums, filters of unused scalars) when it builds a schema eagerly. A lazy
schema must know them without creating types, so this walk reads the model's records only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from schema.model.records import Operation

from .inputs import CatalogInputs
from .records import RootField, RootKind, TypeKind


def reachable_names(catalog: CatalogInputs, roots: Iterable[RootField]) -> frozenset[str]:
    """Return the names of all generated types reachable from the root fields."""
    walk = _Walk(catalog)
    for root in roots:
        walk.root(root)
    walk.finish()
    return frozenset(walk.names)


class _Walk:
    """One walk; ``names`` grows while the queues are worked off."""

    def __init__(self, catalog: CatalogInputs) -> None:
        self.names: set[str] = set()
        self._catalog = catalog
        self._types: list[str] = []
        self._wheres: list[str] = []
        # A hundred thousand properties have only some thousand types; each type is looked at once.
        self._shown: set[tuple[str, bool]] = set()
        self._filtered: set[tuple[str, bool, str | None]] = set()

    def root(self, root: RootField) -> None:
        """Start from a root field."""
        if root.csdl:
            self._type(root.csdl)
        if root.kind is RootKind.LIST:
            self._connection(root.csdl)
        if root.operation is not None:
            self._operation(root.operation)

    def finish(self) -> None:
        """Follow all references."""
        while self._types or self._wheres:
            if self._types:
                self._fields(self._types.pop())
            else:
                self._asked(self._wheres.pop())

    def _add(self, kind: TypeKind, csdl: str) -> bool:
        name = self._catalog.generated_name(kind, csdl)
        if name is None or name in self.names:
            return False
        self.names.add(name)
        return True

    def _operation(self, operation: Operation) -> None:
        bound = operation.bound_to
        if bound is not None:
            self._type(bound.name)
        returns = (operation.returns,) if operation.returns is not None else ()
        for ref in (*returns, *(p.type for p in operation.parameters)):
            if not self._catalog.is_served(ref.name):
                self._enum(ref.name)

    def _type(self, csdl: str) -> None:
        """Reach a structured type with its family: bases are its interfaces, derived types are possible types."""
        if self._catalog.reference_name(csdl) in self.names:
            return
        for name in self._family(csdl):
            self._add(TypeKind.INTERFACE, name)
            self._add(TypeKind.OBJECT, name)
            self._types.append(name)

    def _family(self, csdl: str) -> Iterator[str]:
        model = self._catalog.model
        first = next(t.name for t in model.lineage(csdl) if self._catalog.is_served(t.name))
        return (name for name in model.family(first) if self._catalog.is_served(name))

    def _connection(self, csdl: str) -> None:
        if self._add(TypeKind.CONNECTION, csdl):
            self._add(TypeKind.EDGE, csdl)
            if self._catalog.can_order(csdl):
                self._add(TypeKind.ORDER_BY, csdl)
            self._where(csdl)

    def _where(self, csdl: str) -> None:
        if self._catalog.can_filter(csdl) and self._add(TypeKind.WHERE, csdl):
            self._wheres.append(csdl)

    def _enum(self, csdl: str) -> None:
        """Reach an enum, unless its values are shown as something else."""
        name = self._catalog.displayed_enum(csdl)
        if name is not None:
            self.names.add(name)

    def _fields(self, csdl: str) -> None:
        catalog = self._catalog
        for prop in catalog.properties_of(csdl):
            shown = (prop.type.name, prop.type.many)
            if shown in self._shown:
                continue
            self._shown.add(shown)
            if prop.type.name not in catalog.model.complex_types:
                enum = catalog.model.enum_types.get(prop.type.name)
                if enum is not None and not (prop.type.many and enum.flags):  # else it is JSON
                    self._enum(enum.name)
            elif catalog.is_served(prop.type.name):
                self._type(prop.type.name)
        for navigation in catalog.navigations_of(csdl):
            self._type(navigation.target)
            if navigation.many:
                self._connection(navigation.target)

    def _asked(self, csdl: str) -> None:
        catalog = self._catalog
        for prop in catalog.filterable_properties(csdl):
            key = (prop.type.name, prop.type.many, prop.ax_type)
            if key in self._filtered:
                continue
            self._filtered.add(key)
            name = catalog.property_filter(prop)
            if name is not None:
                self.names.add(name)
        for navigation in catalog.navigations_of(csdl):
            role = catalog.relation_role(csdl, navigation)
            if role is not None:
                self._where(navigation.target)
                self._add(catalog.relation_input(role), navigation.target)
