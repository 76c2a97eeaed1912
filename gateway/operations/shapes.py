"""Shapes of an operation, from its document alone: which rows it needs, and how its answer is laid out.

Two views of one selection, made in one walk. *Requirements* are about data: the properties and relations that rows of
one kind must bring, merged over aliases, ``nodes`` and ``edges``. *Shapes* are about the answer: response keys in
order. Neither depends on the values of arguments; they hold the nodes that ``planning`` reads those from.

Requirements are complete once the :class:`Shaper` returns, and read-only for everyone else: it alone holds their tables
as something that can be filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec
from graphql import FieldNode
from msgspec import Struct, field

from gateway.documents.collect_fields import Nodes, Selection, arguments_key, custom_names
from schema.catalog import Catalog
from schema.catalog.records import Field, FieldKind, ObjectInfo, TypeKind
from schema.types.federation import ENTITY
from schema.unified.views import Condition, Step, UnifiedType

from .connection_parts import ConnectionRequirements, Part
from .custom_columns import Columns, custom_columns
from .expectations import Expectation, ListLengths
from .part_columns import PartsShape, parts_columns, parts_shape

TYPENAME = "__typename"

Place = tuple[str, str]
"""(declaring CSDL type, property)."""


class RowRequirements(Struct, frozen=True, eq=False, kw_only=True):
    """What rows of one kind must bring."""

    info: ObjectInfo
    possible: tuple[str, ...]
    """CSDL types that the rows may be of, the declared one among them."""
    bases: frozenset[str]
    """The declared type and its bases: every row has what they declare."""
    needs_type: bool = False
    """Whether rows must name their type (``@odata.type``)."""
    values: Mapping[Place, Field] = field(default_factory=dict)
    """Values and complex values."""
    attributes: Mapping[Place, str] = field(default_factory=dict)
    """Attribute of the row for each of the values; types of one family may declare the same name."""
    by_source: Mapping[str, str] = field(default_factory=dict)
    """Property → attribute."""
    complex_levels: Mapping[Place, RowRequirements] = field(default_factory=dict)
    """Requirements inside complex values."""
    children: Mapping[tuple[object, ...], ChildRequirements] = field(default_factory=dict)
    """(declaring type, navigation, arguments) → related rows."""
    by_node: Mapping[int, ChildRequirements] = field(default_factory=dict)
    """id of a field node → related rows, for the fallback resolvers."""
    undeclared: Mapping[str, Field] = field(default_factory=dict)
    """Fields that answer undeclared properties (open types), by name."""
    views: Mapping[object, object] = field(default_factory=dict)
    """:func:`view_place` of a field of a unified object → what it reads, for the fallback resolvers."""

    @property
    def needs_rest(self) -> bool:
        """Whether undeclared properties are requested, so that every property must be fetched."""
        return bool(self.undeclared)

    def attribute(self, value: Field) -> str:
        """Return the attribute of the row that holds a value. Raises KeyError if it was not requested."""
        return self.attributes[value.declared_by, value.source]


class ChildRequirements(Struct, frozen=True, eq=False):
    """Rows that are related over one navigation, with one set of arguments."""

    index: int
    field: Field
    node: FieldNode
    level: RowRequirements
    connection: ConnectionRequirements | None = None
    keys: Expectation = msgspec.field(default_factory=Expectation)
    """Different values by which parents refer to these rows, of so many parents."""
    rows: Expectation = msgspec.field(default_factory=Expectation)
    """Of a parent, if something is below them."""
    lengths: ListLengths = msgspec.field(default_factory=ListLengths)
    """Of the whole lists, if it is one."""
    view: ChildView | None = None
    """How a unified object reads them; None: as their own field does."""

    @property
    def key(self) -> str:
        """Response key of the first field that requests them."""
        name = self.node.name if self.node.alias is None else self.node.alias
        return name.value

    @property
    def slot(self) -> str:
        """Attribute of the parent row that holds them."""
        return f"c{self.index}"


class ChildView(Struct, frozen=True, eq=False):
    """How a unified object reads related rows."""

    where: tuple[Condition, ...] = ()
    """Conditions of the mapping, beside those of the arguments."""
    of: UnifiedType | None = None
    """The type of the items of a page, whose ``where`` and ``orderBy`` its arguments are; None: the whole list."""
    place: tuple[str, str] | None = None
    """Type and name of the field with these arguments."""


class ObjectShape(Struct, frozen=True):
    """The answer for one object type."""

    type_name: str
    fields: tuple[ShapeField, ...]


class ShapeByType(Struct, frozen=True):
    """The answers at one position, by CSDL type of the row."""

    level: RowRequirements
    by_type: dict[str, ObjectShape]


class ViewShape(Struct, frozen=True, eq=False):
    """The answer for a unified object: (response key, what it reads: see ``view_shapes``)."""

    type_name: str
    level: RowRequirements
    fields: tuple[tuple[str, object], ...]


RowShape = ShapeByType | ViewShape
"""The answer for the rows of a list."""


class ConnectionShape(Struct, frozen=True):
    """The answer for a connection or an edge: (response key, field name, shape below)."""

    type_name: str
    fields: tuple[tuple[str, str, RowShape | ConnectionShape | None], ...]


class ShapeField(Struct, frozen=True):
    """One response field of an object."""

    key: str
    field: Field | None
    """None for ``__typename``."""
    below: ShapeByType | ConnectionShape | PartsShape | None = None
    child: ChildRequirements | None = None
    columns: Columns = ()
    """Of ``customFields``: the names, each with its column if there is one."""


def view_place(
    node: FieldNode, type_name: str, compiled: Mapping[int, int] | None = None
) -> object:
    """Return what identifies a field of a unified object: its node, or its name if nothing is selected below it.

    ``compiled`` maps the nodes of a document to those that were compiled, which it shares; plain fields have none.
    """
    if node.selection_set is None:
        return type_name, node.name.value
    return id(node) if compiled is None else compiled[id(node)]


class ViewObjects(Protocol):
    """Makes the shapes of unified objects."""

    def object(self, nodes: Nodes, bound: UnifiedType, level: RowRequirements) -> ViewShape:
        """Return the answer for a unified object below ``nodes``, and add what it needs to the level."""
        ...


class _Tables(Struct):
    """The tables of one :class:`RowRequirements` while they are filled."""

    values: dict[Place, Field] = field(default_factory=dict)
    attributes: dict[Place, str] = field(default_factory=dict)
    by_source: dict[str, str] = field(default_factory=dict)
    complex_levels: dict[Place, RowRequirements] = field(default_factory=dict)
    children: dict[tuple[object, ...], ChildRequirements] = field(default_factory=dict)
    by_node: dict[int, ChildRequirements] = field(default_factory=dict)
    undeclared: dict[str, Field] = field(default_factory=dict)
    views: dict[object, object] = field(default_factory=dict)


class Shaper:
    """Makes the requirements and shapes of one selection."""

    def __init__(self, catalog: Catalog, selection: Selection) -> None:
        self.views: ViewObjects | None = None
        """Makes the shapes of unified objects, if the schema has any."""
        self.catalog = catalog
        self.selection = selection
        self.has_parts = False
        """Whether something needs the parts of display values, and so the formats of the environment."""
        self._tables: dict[int, _Tables] = {}
        """id of requirements → what they read."""
        self._parts: dict[int, set[Part]] = {}
        """id of the requirements of a connection → what they read."""
        # Types of one family select the same nodes below them: each is shaped once, or three types with a relation to
        # themselves would be shaped 3^depth times.
        self._objects: dict[tuple[int, ...], ShapeByType] = {}
        self._connections: dict[tuple[int, ...], ConnectionShape] = {}

    def level(self, csdl: str) -> RowRequirements:
        """Return requirements for rows of a declared type, with nothing required yet."""
        possible = self.catalog.possible_types(csdl)
        tables = _Tables()
        level = RowRequirements(
            info=self.catalog.object(csdl),
            possible=possible,
            bases=frozenset(t.name for t in self.catalog.model.lineage(csdl)),
            needs_type=possible != (csdl,),
            values=tables.values,
            attributes=tables.attributes,
            by_source=tables.by_source,
            complex_levels=tables.complex_levels,
            children=tables.children,
            by_node=tables.by_node,
            undeclared=tables.undeclared,
            views=tables.views,
        )
        self._tables[id(level)] = tables
        return level

    def connection_requirements(self) -> ConnectionRequirements:
        """Return the requirements of a connection, with nothing required yet."""
        parts: set[Part] = set()
        needs = ConnectionRequirements(parts)
        self._parts[id(needs)] = parts
        return needs

    def need(self, level: RowRequirements, value: Field) -> None:
        """Require a value."""
        _need(self._tables[id(level)], value)

    def _need_parts(self, needs: ConnectionRequirements, *parts: Part) -> None:
        self._parts[id(needs)].update(parts)

    def _need_child(
        self, nodes: Nodes, navigation: Field, level: RowRequirements
    ) -> ChildRequirements:
        """Require related rows; fields with equal arguments share them."""
        tables = self._tables[id(level)]
        place = (navigation.declared_by, navigation.source, arguments_key(nodes[0]))
        child = tables.children.get(place)
        if child is None:
            is_list = navigation.kind is FieldKind.TO_MANY
            child = tables.children[place] = ChildRequirements(
                len(tables.children),
                navigation,
                nodes[0],
                self.level(navigation.target),
                self.connection_requirements() if is_list else None,
            )
        for node in nodes:
            tables.by_node[id(node)] = child
        return child

    def need_view_child(
        self, nodes: Nodes, step: Step, level: RowRequirements, view: ChildView | None
    ) -> ChildRequirements:
        """Require the rows of a step; those of a plain relation to one row are shared with its own field."""
        tables, field = self._tables[id(level)], step.field
        arguments: tuple[object, ...] = ()
        if view is not None:
            arguments = (step, () if view.of is None else arguments_key(nodes[0]))
        place = (field.declared_by, field.source, arguments)
        child = tables.children.get(place)
        if child is None:
            child = tables.children[place] = ChildRequirements(
                len(tables.children),
                field,
                nodes[0],
                self.level(field.target),
                self.connection_requirements() if step.many else None,
                view=view,
            )
        return child

    def need_parts(self, child: ChildRequirements, *parts: Part) -> None:
        """Require parts of related rows that are a list."""
        assert child.connection is not None
        self._need_parts(child.connection, *parts)

    def note_view(self, nodes: Nodes, type_name: str, level: RowRequirements, read: object) -> None:
        """Note what a field of a unified object reads."""
        views = self._tables[id(level)].views
        for node in nodes:
            views[view_place(node, type_name)] = read

    def objects(self, nodes: Nodes, level: RowRequirements) -> ShapeByType:
        """Return the answers below ``nodes``, and add what they need to the level."""
        place = (id(level), *map(id, nodes))
        shape = self._objects.get(place)
        if shape is None:
            shape = ShapeByType(level, {t: self._object(nodes, t, level) for t in level.possible})
            self._objects[place] = shape
        return shape

    def _object(self, nodes: Nodes, csdl: str, level: RowRequirements) -> ObjectShape:
        info = self.catalog.object(csdl)
        name = self.catalog.concrete_name(csdl) or info.name
        union = (ENTITY,) if self.catalog.is_node(csdl) else ()
        collected = self.selection.subfields(nodes, frozenset((name, *info.interfaces, *union)))
        fields, tables, declared = list[ShapeField](), self._tables[id(level)], info.fields
        for key, own in collected.items():
            value = declared.get(own[0].name.value)
            # Nearly all fields are plain values.
            if value is not None and value.kind is FieldKind.VALUE:
                _need(tables, value)
                fields.append(ShapeField(key, value))
            else:
                fields.append(self._field(key, own, info, level))
        return ObjectShape(name, tuple(fields))

    def _field(
        self, key: str, nodes: Nodes, info: ObjectInfo, level: RowRequirements
    ) -> ShapeField:
        name = nodes[0].name.value
        if name == TYPENAME:
            return ShapeField(key, None)
        declared = info.fields[name]
        match declared.kind:
            case FieldKind.ID:
                for part in info.key:
                    self.need(level, part)
            case FieldKind.ETAG:
                self.need(level, declared)
            case FieldKind.CUSTOM:
                return ShapeField(key, declared, columns=self._columns(nodes[0], info, level))
            case FieldKind.PARTS:
                return ShapeField(key, declared, self.parts(nodes, declared, info, level))
            case FieldKind.REST:
                self._tables[id(level)].undeclared[name] = declared
            case FieldKind.COMPLEX:
                return ShapeField(key, declared, self._complex(nodes, declared, level))
            case FieldKind.TO_ONE | FieldKind.TO_MANY:
                return self._navigation(key, nodes, declared, level)
        return ShapeField(key, declared)

    def _columns(self, node: FieldNode, info: ObjectInfo, level: RowRequirements) -> Columns:
        """Return what a field names of the columns of a type, and require what there is of them."""
        named = custom_columns(info, custom_names(node, self.selection.conditions))
        for column in filter(None, dict(named).values()):
            self.need(level, column)
        return named

    def parts(
        self, nodes: Nodes, declared: Field, info: ObjectInfo, level: RowRequirements
    ) -> PartsShape:
        """Return the answer for the parts of a display value, and require its column."""
        self.has_parts = True
        columns = parts_columns(declared, info)
        for column in columns:
            self.need(level, column)
        return parts_shape(self.selection, nodes, columns)

    def _complex(self, nodes: Nodes, value: Field, level: RowRequirements) -> ShapeByType | None:
        self.need(level, value)
        if not self.catalog.is_served(value.target):
            return None
        place = (value.declared_by, value.source)
        inner = level.complex_levels.get(place) or _same_complex_level(level, value)
        if inner is None:
            inner = self.level(value.target)
        self._tables[id(level)].complex_levels[place] = inner
        return self.objects(nodes, inner)

    def _navigation(
        self, key: str, nodes: Nodes, navigation: Field, level: RowRequirements
    ) -> ShapeField:
        child = self._need_child(nodes, navigation, level)
        if navigation.kind is FieldKind.TO_ONE:
            return ShapeField(key, navigation, self.objects(nodes, child.level), child)
        assert child.connection is not None
        shape = self.connection(nodes, navigation.type_name, child.level, child.connection)
        return ShapeField(key, navigation, shape, child)

    def connection_name(self, csdl: str) -> str:
        """Return the name of a type's connection."""
        return self.catalog.name_of(TypeKind.CONNECTION, csdl)

    def connection(
        self,
        nodes: Nodes,
        type_name: str,
        level: RowRequirements,
        needs: ConnectionRequirements,
        view: UnifiedType | None = None,
    ) -> ConnectionShape:
        """Return the answer of a connection, and add what it needs. ``view``: its rows are unified objects."""
        place = (id(level), id(needs), *map(id, nodes))
        shape = self._connections.get(place)
        if shape is None:
            shape = self._connection(nodes, type_name, level, needs, view)
            self._connections[place] = shape
        return shape

    def _connection(
        self,
        nodes: Nodes,
        type_name: str,
        level: RowRequirements,
        needs: ConnectionRequirements,
        view: UnifiedType | None,
    ) -> ConnectionShape:
        collected = self.selection.subfields(nodes, frozenset((type_name,)))
        fields = [
            (key, *self._connection_field(own, level, needs, view))
            for key, own in collected.items()
        ]
        return ConnectionShape(type_name, tuple(fields))

    def _rows(self, nodes: Nodes, level: RowRequirements, view: UnifiedType | None) -> RowShape:
        if view is None:
            return self.objects(nodes, level)
        assert self.views is not None
        return self.views.object(nodes, view, level)

    def _connection_field(
        self,
        nodes: Nodes,
        level: RowRequirements,
        needs: ConnectionRequirements,
        view: UnifiedType | None,
    ) -> tuple[str, RowShape | ConnectionShape | None]:
        name = nodes[0].name.value
        match name:
            case "nodes":
                self._need_parts(needs, "rows")
                return name, self._rows(nodes, level, view)
            case "edges":
                self._need_parts(needs, "rows")
                return name, self._edges(nodes, level, needs, view)
            case "pageInfo":
                return name, self._page_info(nodes, needs)
            case "totalCount":
                self._need_parts(needs, "total")
        return name, None

    def _edges(
        self,
        nodes: Nodes,
        level: RowRequirements,
        needs: ConnectionRequirements,
        view: UnifiedType | None,
    ) -> ConnectionShape:
        edge = f"{view.name}Edge" if view else self.catalog.name_of(TypeKind.EDGE, level.info.csdl)
        fields: list[tuple[str, str, RowShape | ConnectionShape | None]] = []
        for key, own in self.selection.subfields(nodes, frozenset((edge,))).items():
            name = own[0].name.value
            if name == "cursor":
                self._need_parts(needs, "cursors")
            fields.append((key, name, self._rows(own, level, view) if name == "node" else None))
        return ConnectionShape(edge, tuple(fields))

    def _page_info(self, nodes: Nodes, needs: ConnectionRequirements) -> ConnectionShape:
        fields: list[tuple[str, str, RowShape | ConnectionShape | None]] = []
        for key, own in self.selection.subfields(nodes, frozenset(("PageInfo",))).items():
            name = own[0].name.value
            self._need_parts(needs, *_PARTS_OF_PAGE_INFO.get(name, ()))
            fields.append((key, name, None))
        return ConnectionShape("PageInfo", tuple(fields))


def _need(tables: _Tables, value: Field) -> None:
    place = (value.declared_by, value.source)
    if place not in tables.values:
        name = f"a{len(tables.by_source)}"
        tables.attributes[place] = tables.by_source.setdefault(value.source, name)
        tables.values[place] = value


_PARTS_OF_PAGE_INFO: Mapping[str, tuple[Part, ...]] = {
    "hasNextPage": ("next",),
    "hasPreviousPage": ("previous",),
    "startCursor": ("cursors", "rows"),
    "endCursor": ("cursors", "rows"),
}


def _same_complex_level(level: RowRequirements, value: Field) -> RowRequirements | None:
    """Return the requirements inside a complex property that another type of the family declares alike."""
    for (_, source), inner in level.complex_levels.items():
        if source == value.source and inner.info.csdl == value.target:
            return inner
    return None
