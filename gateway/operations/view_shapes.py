"""Shapes of unified objects: what each of their fields reads of the rows that it is a view of.

The requirements are those of the rows, so that a unified list is planned, priced and run as their own list is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway.documents.collect_fields import Nodes
from schema.catalog.records import Field
from schema.unified.api import UnifiedApi
from schema.unified.views import Column, Item, Steps, UnifiedField, UnifiedType, ViewKind

from .shapes import (
    TYPENAME,
    ChildRequirements,
    ChildView,
    ConnectionShape,
    RowRequirements,
    ShapeByType,
    ViewShape,
)

if TYPE_CHECKING:
    from .shapes import Shaper

Way = tuple[ChildRequirements, ...]


class ColumnRead(Struct, frozen=True, eq=False):
    """A column of a row, or of a row that is reached from it."""

    way: Way
    level: RowRequirements
    field: Field


class ValueRead(Struct, frozen=True, eq=False):
    """The first of some columns that has a value."""

    field: UnifiedField
    columns: tuple[ColumnRead, ...]


class DisplayPartRead(Struct, frozen=True, eq=False):
    """A part of a display value."""

    field: Field
    """The field of the row with the parts."""
    part: str
    columns: tuple[ColumnRead, ...]
    keys: tuple[tuple[str, str], ...]
    """Of a dimension: response key → field."""


class ConstantRead(Struct, frozen=True, eq=False):
    """A value that depends on no row."""

    value: Any


class IdRead(Struct, frozen=True, eq=False):
    """The global id of the row."""

    type_name: str
    level: RowRequirements
    below: str = ""
    """What follows it: the field with a file, in the path of its bytes."""


class ObjectRead(Struct, frozen=True, eq=False):
    """A unified object, over a row that is reached from this one."""

    way: Way
    shape: ViewShape


class ListRead(Struct, frozen=True, eq=False):
    """All items of a list: unified objects, or values of a column."""

    way: Way
    """To the rows with the list."""
    child: ChildRequirements
    after: Way
    """From the rows of the list to those of the items."""
    item: ViewShape | ValueRead


class ConnectionRead(Struct, frozen=True, eq=False):
    """A page of unified objects."""

    child: ChildRequirements
    shape: ConnectionShape


class PartRead(Struct, frozen=True, eq=False):
    """A part of a collected item."""

    value: ValueRead | ConstantRead


class ItemRead(Struct, frozen=True, eq=False):
    """One possible item, or one for each row of a list."""

    parts: Mapping[str, PartRead]
    way: Way = ()
    child: ChildRequirements | None = None
    after: Way = ()


class CollectedRead(Struct, frozen=True, eq=False):
    """Items from several columns, each once."""

    type_name: str
    items: tuple[ItemRead, ...]
    distinct: str
    keys: tuple[tuple[str, str], ...]
    """Response key → name of the part."""


class RawRead(Struct, frozen=True, eq=False):
    """The row itself."""

    shape: ShapeByType


class SourcesRead(Struct, frozen=True, eq=False):
    """Where the fields of the type come from."""

    type_name: str
    sources: tuple[Mapping[str, Any], ...]
    keys: tuple[tuple[str, str], ...]


Read = (
    ValueRead
    | ConstantRead
    | IdRead
    | ObjectRead
    | ListRead
    | ConnectionRead
    | CollectedRead
    | RawRead
    | SourcesRead
)


class ViewShaper:
    """Makes the shapes of the unified objects of one operation."""

    def __init__(self, shaper: Shaper, api: UnifiedApi) -> None:
        self._shaper = shaper
        self._api = api

    def object(self, nodes: Nodes, bound: UnifiedType, level: RowRequirements) -> ViewShape:
        """Return the answer for a unified object below ``nodes``, and add what it needs to the level."""
        names = frozenset((bound.name, self._api.interface))
        collected = self._shaper.selection.subfields(nodes, names)
        fields: list[tuple[str, object]] = []
        for key, own in collected.items():
            name = own[0].name.value
            if name == TYPENAME:
                fields.append((key, ConstantRead(bound.name)))
                continue
            read = self._read(own, bound, bound.fields[name], level)
            self._shaper.note_view(own, bound.name, level, read)
            fields.append((key, read))
        return ViewShape(bound.name, level, tuple(fields))

    def _read(
        self, nodes: Nodes, bound: UnifiedType, field: UnifiedField, level: RowRequirements
    ) -> Read | DisplayPartRead:
        match field.kind:
            case ViewKind.VALUE | ViewKind.HIGHEST:
                read = self._values if field.many or field.sum else self._value
                return read(nodes, field, level)
            case ViewKind.DISPLAY_PART:
                return self._display_part(nodes, field, level)
            case ViewKind.OBJECT | ViewKind.LIST:
                return self._objects(nodes, field, level)
            case ViewKind.CONNECTION:
                return self._connection(nodes, bound, field, level)
            case ViewKind.COLLECTED:
                return self._collected(nodes, field, level)
            case ViewKind.ID | ViewKind.FILE:
                return self._id(level, "".join(f"/{c.field.name}" for c in field.columns))
            case ViewKind.RAW:
                return RawRead(self._shaper.objects(nodes, level))
            case ViewKind.SOURCES:
                return SourcesRead(field.type_name, _sources(bound), self._keys(nodes, field))
            case ViewKind.CONSTANT | ViewKind.PART:
                return ConstantRead(field.constant)

    def _id(self, level: RowRequirements, below: str = "") -> IdRead:
        for part in level.info.key:
            self._shaper.need(level, part)
        return IdRead(level.info.name, level, below)

    def _objects(self, nodes: Nodes, field: UnifiedField, level: RowRequirements) -> Read:
        bound = self._api.type(field.of)
        if field.kind is ViewKind.OBJECT:
            way, below = self._way(nodes, field.steps, level)
            return ObjectRead(way, self.object(nodes, bound, below))
        before, child, after, below = self._list(nodes, field.steps, level)
        return ListRead(before, child, after, self.object(nodes, bound, below))

    def _value(self, nodes: Nodes, field: UnifiedField, level: RowRequirements) -> ValueRead:
        columns = tuple(self._column(nodes, column, level) for column in field.columns)
        return ValueRead(field, columns)

    def _display_part(
        self, nodes: Nodes, field: UnifiedField, level: RowRequirements
    ) -> DisplayPartRead:
        assert field.parts is not None
        self._shaper.has_parts = True
        columns = tuple(self._column(nodes, column, level) for column in field.columns)
        keys = self._keys(nodes, field) if field.many else ()
        return DisplayPartRead(field.parts, field.part, columns, keys)

    def _column(self, nodes: Nodes, column: Column, level: RowRequirements) -> ColumnRead:
        way, below = self._way(nodes, column.steps, level)
        self._shaper.need(below, column.field)
        return ColumnRead(way, below, column.field)

    def _values(self, nodes: Nodes, field: UnifiedField, level: RowRequirements) -> ListRead:
        (column,) = field.columns
        before, child, after, below = self._list(nodes, column.steps, level)
        self._shaper.need(below, column.field)
        item = ValueRead(field, (ColumnRead((), below, column.field),))
        return ListRead(before, child, after, item)

    def _way(
        self, nodes: Nodes, steps: Steps, level: RowRequirements
    ) -> tuple[Way, RowRequirements]:
        """Require the rows on the way to some rows."""
        way: list[ChildRequirements] = []
        for step in steps:
            view = ChildView(step.where) if step.where or step.many else None
            child = self._shaper.need_view_child(nodes, step, level, view)
            way.append(child)
            level = child.level
        return tuple(way), level

    def _list(
        self, nodes: Nodes, steps: Steps, level: RowRequirements
    ) -> tuple[Way, ChildRequirements, Way, RowRequirements]:
        way, below = self._way(nodes, steps, level)
        at = next(i for i, step in enumerate(steps) if step.many)
        self._shaper.need_parts(way[at], "rows", "next")
        return way[:at], way[at], way[at + 1 :], below

    def _connection(
        self, nodes: Nodes, bound: UnifiedType, field: UnifiedField, level: RowRequirements
    ) -> ConnectionRead:
        (step,) = field.steps
        item = self._api.type(field.of)
        view = ChildView(step.where, item, (bound.name, field.name))
        child = self._shaper.need_view_child(nodes, step, level, view)
        assert child.connection is not None
        shape = self._shaper.connection(
            nodes, f"{item.name}Connection", child.level, child.connection, item
        )
        return ConnectionRead(child, shape)

    def _collected(
        self, nodes: Nodes, field: UnifiedField, level: RowRequirements
    ) -> CollectedRead:
        keys = self._keys(nodes, field)
        selected = (name for _, name in keys if name != TYPENAME)
        names = tuple(dict.fromkeys((field.distinct, *selected)))
        items = tuple(self._item(nodes, field, item, names, level) for item in field.items)
        return CollectedRead(field.type_name, items, field.distinct, keys)

    def _item(
        self,
        nodes: Nodes,
        field: UnifiedField,
        item: Item,
        names: tuple[str, ...],
        level: RowRequirements,
    ) -> ItemRead:
        way: Way = ()
        after: Way = ()
        child: ChildRequirements | None = None
        if item.list:
            way, child, after, level = self._list(nodes, item.list, level)
        of = self._api.type(field.of).fields
        parts: dict[str, PartRead] = {}
        for name in names:
            column = item.columns.get(name)
            if column is None:
                parts[name] = PartRead(ConstantRead(item.constants.get(name)))
            else:
                read = self._column(nodes, column, level)
                parts[name] = PartRead(ValueRead(of[name], (read,)))
        return ItemRead(parts, way, child, after)

    def _keys(self, nodes: Nodes, field: UnifiedField) -> tuple[tuple[str, str], ...]:
        collected = self._shaper.selection.subfields(nodes, frozenset((field.type_name,)))
        return tuple((key, own[0].name.value) for key, own in collected.items())


def _sources(bound: UnifiedType) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {"field": f.name, "columns": [c.where for c in columns]}
        for f in bound.fields.values()
        if (columns := _columns_of(f))
    )


def _columns_of(field: UnifiedField) -> tuple[Column, ...]:
    return field.columns or tuple(c for item in field.items for c in item.columns.values())
