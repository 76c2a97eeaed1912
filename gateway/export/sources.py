"""The lists that can be exported: of ``Query``, and of unified models, which are called ``accounting.vendors``."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from schema.catalog.records import RootField, TypeKind
from schema.types.build import ODataSchema

from .selection import Selection, find_list, select
from .unified_selection import select_unified


class ListSource(Struct, frozen=True):
    """A list, by the name under which it is exported."""

    name: str
    """Entity set, or namespace and list of a unified model."""
    root: RootField
    """A field of ``Query``, or below the root field of a unified model."""
    model: str = ""
    """That root field."""
    view: str = ""
    """The unified type of its rows, by its name in the mapping."""

    @property
    def entity_set(self) -> str:
        """The set of its rows."""
        return "" if self.root.entity_set is None else self.root.entity_set.name

    def where_type(self, schema: ODataSchema) -> str | None:
        """Return the input type of its filter; None if nothing can filter it."""
        if self.view:
            name = f"{schema.unified.binder.type_name(self.view)}Where"
            return name if schema.unified.has(name) else None
        catalog, csdl = schema.catalog, self.root.csdl
        return catalog.name_of(TypeKind.WHERE, csdl) if catalog.can_filter(csdl) else None

    def row_type(self, schema: ODataSchema) -> str:
        """Return the type of its rows, or of the objects that stand for them."""
        if self.view:
            return schema.unified.binder.type_name(self.view)
        return schema.catalog.object(self.root.csdl).name

    def select(self, schema: ODataSchema, fields: str | None) -> Selection:
        """Return a selection of its rows; ``fields`` None: all values. Raises BadArgument, Forbidden."""
        if self.view:
            return select_unified(schema.unified, schema.catalog, self.view, fields)
        return select(schema.catalog, self.root.csdl, fields)


def find_source(schema: ODataSchema, name: str) -> ListSource | None:
    """Return a list by its name, entity set, or as ``accounting.vendors``; None if there is none."""
    root = find_list(schema.catalog, name)
    if root is not None:
        return ListSource(root.name if root.entity_set is None else root.entity_set.name, root)
    unified = schema.unified.find_list(name)
    if unified is None:
        return None
    space, field = unified
    return ListSource(name, field.root, space.name, field.short)


def unified_sources(schema: ODataSchema) -> Iterator[ListSource]:
    """Yield the lists of unified models."""
    for space in schema.unified.namespaces.values():
        for field in space.fields.values():
            if field.is_list:
                name = f"{space.name}.{field.name}"
                yield ListSource(name, field.root, space.name, field.short)
