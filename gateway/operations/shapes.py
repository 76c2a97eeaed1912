"""Shapes: what an operation asks for, from its document alone: which rows, and how the answer is laid out.

Two views of one selection, made in one walk and kept with the document. *Levels* are about data: the properties
and relations that rows of one kind must bring, merged over aliases, ``nodes`` and ``edges``. *Shapes* are about
the answer: response keys in order. Argument values come later, in ``plan``; a shape holds the nodes they stand
in.
"""

from __future__ import annotations

from graphql import FieldNode
from msgspec import Struct, field

from gateway.documents.collect_fields import Nodes, Selection, arguments_key
from schema.catalog import Catalog
from schema.catalog.records import Field, FieldKind, ObjectInfo, TypeKind
from schema.types.federation import ENTITY

TYPENAME = "__typename"


class RowRequirements(Struct, eq=False):
    """Rows of one kind: what they must bring. Filled while shapes are made, then left alone."""

    info: ObjectInfo
    possible: tuple[str, ...]
    """CSDL types that the rows may be of, the declared one among them."""
    bases: frozenset[str]
    """The declared type and those above it: what they declare, every row has."""
    values: dict[tuple[str, str], Field] = field(default_factory=dict)
    """(declaring type, property) → field: values and complex values."""
    children: dict[tuple[object, ...], ChildRequirements] = field(default_factory=dict)
    """(declaring type, navigation, arguments) → what hangs below."""
    by_node: dict[int, ChildRequirements] = field(default_factory=dict)
    """id of a field node → its child, for the slow path."""
    complex_levels: dict[tuple[str, str], RowRequirements] = field(default_factory=dict)
    attributes: dict[tuple[str, str], str] = field(default_factory=dict)
    """(declaring type, property) → attribute of the row; types of one family may both declare a name."""
    by_source: dict[str, str] = field(default_factory=dict)
    """Property → attribute."""
    needs_rest: bool = False
    """Whether undeclared properties are asked for, so that everything must be fetched."""
    needs_type: bool = False
    """Whether rows must tell their type."""

    def need(self, found: Field) -> None:
        """Ask for a value."""
        place = (found.declared_by, found.source)
        if place not in self.values:
            name = f"a{len(self.by_source)}"
            self.attributes[place] = self.by_source.setdefault(found.source, name)
            self.values[place] = found

    def attribute(self, found: Field) -> str:
        """Return the attribute that holds a field's value."""
        return self.attributes[found.declared_by, found.source]


class ChildRequirements(Struct, eq=False):
    """Rows that hang below the rows of a level over one navigation, with one set of arguments."""

    index: int
    field: Field
    node: FieldNode
    level: RowRequirements
    connection: ConnectionRequirements | None = None

    @property
    def key(self) -> str:
        """Name in the answer."""
        name = self.node.name if self.node.alias is None else self.node.alias
        return name.value

    @property
    def slot(self) -> str:
        """Attribute of the parent row that holds the child's value."""
        return f"c{self.index}"


class ConnectionRequirements(Struct):
    """Which parts of a connection are asked for; merged over aliases."""

    rows: bool = False
    total: bool = False
    next: bool = False
    previous: bool = False
    cursors: bool = False


class ObjectShape(Struct, frozen=True):
    """The answer for one object type."""

    type_name: str
    fields: tuple[ShapeField, ...]


class ShapeByType(Struct, frozen=True):
    """The answers for a position, by CSDL type of the row."""

    level: RowRequirements
    by_type: dict[str, ObjectShape]


class ConnectionShape(Struct, frozen=True):
    """The answer for a connection or an edge: (response key, field name, what is below)."""

    type_name: str
    fields: tuple[tuple[str, str, ShapeByType | ConnectionShape | None], ...]


class ShapeField(Struct, frozen=True):
    """One response field of an object."""

    key: str
    field: Field | None
    """None for ``__typename``."""
    below: ShapeByType | ConnectionShape | None = None
    child: ChildRequirements | None = None


class Shaper:
    """Makes the shapes of one selection."""

    def __init__(self, catalog: Catalog, selection: Selection) -> None:
        self.catalog = catalog
        self.selection = selection
        # Types of one family select the same nodes below them: each is shaped once, or three types with a relation to
        # themselves would be shaped 3^depth times.
        self._objects: dict[tuple[int, ...], ShapeByType] = {}
        self._connections: dict[tuple[int, ...], ConnectionShape] = {}

    def level(self, csdl: str) -> RowRequirements:
        """Return an empty level of rows of that declared type."""
        possible = self.catalog.possible_types(csdl)
        bases = frozenset(t.name for t in self.catalog.model.lineage(csdl))
        level = RowRequirements(self.catalog.object(csdl), possible, bases)
        level.needs_type = possible != (csdl,)
        return level

    def connection_name(self, csdl: str) -> str:
        """Return the name of a type's connection."""
        return self.catalog.name_of(TypeKind.CONNECTION, csdl)

    def objects(self, nodes: Nodes, level: RowRequirements) -> ShapeByType:
        """Return the answers below ``nodes`` for rows of a level, and add their needs to it."""
        place = (id(level), *map(id, nodes))
        found = self._objects.get(place)
        if found is None:
            found = ShapeByType(level, {t: self._object(nodes, t, level) for t in level.possible})
            self._objects[place] = found
        return found

    def _object(self, nodes: Nodes, csdl: str, level: RowRequirements) -> ObjectShape:
        info = self.catalog.object(csdl)
        name = self.catalog.concrete_name(csdl) or info.name
        union = (ENTITY,) if self.catalog.is_node(csdl) else ()
        collected = self.selection.subfields(nodes, frozenset((name, *info.interfaces, *union)))
        fields = tuple(self._field(key, found, info, level) for key, found in collected.items())
        return ObjectShape(name, fields)

    def _field(
        self, key: str, nodes: Nodes, info: ObjectInfo, level: RowRequirements
    ) -> ShapeField:
        name = nodes[0].name.value
        if name == TYPENAME:
            return ShapeField(key, None)
        found = info.fields[name]
        match found.kind:
            case FieldKind.ID:
                for part in info.key:
                    level.need(part)
            case FieldKind.VALUE | FieldKind.ETAG:
                level.need(found)
            case FieldKind.REST:
                level.needs_rest = True
            case FieldKind.COMPLEX:
                return ShapeField(key, found, self._complex(nodes, found, level))
            case FieldKind.TO_ONE | FieldKind.TO_MANY:
                return self._navigation(key, nodes, found, level)
        return ShapeField(key, found)

    def _complex(self, nodes: Nodes, found: Field, level: RowRequirements) -> ShapeByType | None:
        level.need(found)
        if not self.catalog.is_served(found.target):
            return None
        place = (found.declared_by, found.source)
        inner = level.complex_levels.get(place) or _same(level, found)
        if inner is None:
            inner = self.level(found.target)
        level.complex_levels[place] = inner
        return self.objects(nodes, inner)

    def _navigation(
        self, key: str, nodes: Nodes, found: Field, level: RowRequirements
    ) -> ShapeField:
        child = self._child(nodes, found, level)
        if found.kind is FieldKind.TO_ONE:
            return ShapeField(key, found, self.objects(nodes, child.level), child)
        assert child.connection is not None
        return ShapeField(
            key,
            found,
            self.connection(nodes, found.type_name, child.level, child.connection),
            child,
        )

    def _child(self, nodes: Nodes, found: Field, level: RowRequirements) -> ChildRequirements:
        place = (found.declared_by, found.source, arguments_key(nodes[0]))
        child = level.children.get(place)
        if child is None:
            connection = ConnectionRequirements() if found.kind is FieldKind.TO_MANY else None
            child = ChildRequirements(
                len(level.children), found, nodes[0], self.level(found.target), connection
            )
            level.children[place] = child
        for node in nodes:
            level.by_node[id(node)] = child
        return child

    def connection(
        self, nodes: Nodes, type_name: str, level: RowRequirements, needs: ConnectionRequirements
    ) -> ConnectionShape:
        """Return the answer of a connection, and add what it needs."""
        place = (id(level), id(needs), *map(id, nodes))
        found = self._connections.get(place)
        if found is None:
            found = self._connections[place] = self._connection(nodes, type_name, level, needs)
        return found

    def _connection(
        self, nodes: Nodes, type_name: str, level: RowRequirements, needs: ConnectionRequirements
    ) -> ConnectionShape:
        collected = self.selection.subfields(nodes, frozenset((type_name,)))
        fields = [
            (key, *self._connection_field(found, level, needs)) for key, found in collected.items()
        ]
        return ConnectionShape(type_name, tuple(fields))

    def _connection_field(
        self, nodes: Nodes, level: RowRequirements, needs: ConnectionRequirements
    ) -> tuple[str, ShapeByType | ConnectionShape | None]:
        name = nodes[0].name.value
        if name == "nodes":
            needs.rows = True
            return name, self.objects(nodes, level)
        if name == "edges":
            needs.rows = True
            return name, self._edges(nodes, level, needs)
        if name == "pageInfo":
            return name, self._page_info(nodes, needs)
        needs.total |= name == "totalCount"
        return name, None

    def _edges(
        self, nodes: Nodes, level: RowRequirements, needs: ConnectionRequirements
    ) -> ConnectionShape:
        edge = self.catalog.name_of(TypeKind.EDGE, level.info.csdl)
        fields: list[tuple[str, str, ShapeByType | ConnectionShape | None]] = []
        for key, found in self.selection.subfields(nodes, frozenset((edge,))).items():
            name = found[0].name.value
            needs.cursors |= name == "cursor"
            fields.append((key, name, self.objects(found, level) if name == "node" else None))
        return ConnectionShape(edge, tuple(fields))

    def _page_info(self, nodes: Nodes, needs: ConnectionRequirements) -> ConnectionShape:
        fields: list[tuple[str, str, ShapeByType | ConnectionShape | None]] = []
        for key, found in self.selection.subfields(nodes, frozenset(("PageInfo",))).items():
            name = found[0].name.value
            needs.next |= name == "hasNextPage"
            needs.previous |= name == "hasPreviousPage"
            if name in ("startCursor", "endCursor"):
                needs.cursors = needs.rows = True
            fields.append((key, name, None))
        return ConnectionShape("PageInfo", tuple(fields))


def _same(level: RowRequirements, found: Field) -> RowRequirements | None:
    """Return the level of a complex property that another type of the family declares alike."""
    for (_, source), inner in level.complex_levels.items():
        if source == found.source and inner.info.csdl == found.target:
            return inner
    return None
