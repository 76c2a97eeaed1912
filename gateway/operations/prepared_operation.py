"""A document made ready: selected, shaped and compiled once, then run with any variables and any argument values.

Holds everything of an operation that does not depend on argument values, so texts that differ in literals share it.
Root fields that are not generated (introspection, hand-written Strawberry fields) make an operation *mixed*:
graphql-core completes it, over rows that are loaded all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import DocumentNode, FieldNode, OperationDefinitionNode
from msgspec import Struct, field, structs

from gateway.documents.collect_fields import Nodes, Selection, fragments_of
from gateway.documents.fingerprint import structure_of
from schema.catalog import Catalog
from schema.catalog.records import RootField, RootKind

from .completion_compiler import Compiler, Complete, Completion
from .row_types import RowTypes
from .shapes import ConnectionRequirements, ConnectionShape, RowRequirements, ShapeByType, Shaper


class RootShape(Struct, eq=False):
    """One generated root field of an operation."""

    key: str
    root: RootField
    nodes: Nodes
    level: RowRequirements | None = None
    needs: ConnectionRequirements | None = None
    below: ShapeByType | ConnectionShape | None = None
    complete: Complete | Completion | None = None
    by_type: dict[str, Typed] = field(default_factory=dict)
    """For ``node``, ``nodes``, ``_entities``: CSDL type → its shape, made when an id of it is first seen."""

    @property
    def node(self) -> FieldNode:
        """The node whose arguments count; merged nodes have equal ones."""
        return self.nodes[0]


class Typed(Struct, frozen=True):
    """What ``node(id)`` answers for one type."""

    level: RowRequirements
    complete: Complete


class Prepared(Struct, eq=False):
    """An operation without its variables.

    What is compiled is shared by all documents of one structure (:meth:`for_document`), so the nodes in it may be those
    of another document: :meth:`node` gives this one's, where the values of arguments are.
    """

    catalog: Catalog
    document: DocumentNode
    operation: OperationDefinitionNode
    fields: tuple[FieldNode, ...]
    """Fields with arguments or selections, as ``structure`` lists them."""
    roots: tuple[RootShape, ...]
    order: tuple[tuple[str, str], ...]
    """Response keys in order, with their field names."""
    row_types: RowTypes
    shaper: Shaper
    compiler: Compiler
    constants: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """id of a field node without variables → its coerced arguments."""
    by_key: dict[str, RootShape] = field(default_factory=dict)
    compiled_of: tuple[FieldNode, ...] = ()
    """The fields of the document that was compiled; the same ones where it is this."""
    places: dict[int, int] = field(default_factory=dict)
    """id of a field of ``compiled_of`` → its place there."""

    def for_document(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        fields: tuple[FieldNode, ...],
    ) -> Prepared:
        """Return the same for an operation of equal structure."""
        return structs.replace(
            self, document=document, operation=operation, fields=fields, constants={}
        )

    def node(self, compiled: FieldNode) -> FieldNode:
        """Return this document's node for one of the document that was compiled; only of fields with arguments."""
        return compiled if not compiled.arguments else self.fields[self.places[id(compiled)]]

    def compiled_nodes(self) -> dict[int, int]:
        """Return the ids of this document's fields with those of the document that was compiled."""
        pairs = zip(self.fields, self.compiled_of, strict=True)
        return {id(own): id(compiled) for own, compiled in pairs}

    @property
    def is_mixed(self) -> bool:
        """Whether there are root fields that are not generated."""
        return len(self.roots) != sum(name != "__typename" for _, name in self.order)

    def typed(self, shape: RootShape, csdl: str) -> Typed:
        """Return the shape of ``node`` for rows of one type."""
        found = shape.by_type.get(csdl)
        if found is None:
            level = self.shaper.level(csdl)
            shapes = self.shaper.objects(shape.nodes, level)
            found = shape.by_type[csdl] = Typed(level, self.compiler.rows(shapes))
        return found


def prepare(
    catalog: Catalog,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    conditions: Mapping[str, object],
    fields: tuple[FieldNode, ...] | None = None,
    roots: Mapping[str, RootField] | None = None,
) -> Prepared:
    """Shape and compile a valid document's query operation.

    ``fields`` are those of its structure, ``roots`` the planned fields of ``Query`` where the schema has more than the
    catalog.
    """
    served = catalog.roots if roots is None else roots
    if fields is None:
        fields = structure_of(document, operation).fields
    selection = Selection(operation, fragments_of(document), conditions)
    shaper = Shaper(catalog, selection)
    compiler = Compiler()
    collected = selection.fields((operation.selection_set,), frozenset(("Query",)))
    order: list[tuple[str, str]] = []
    shapes: list[RootShape] = []
    for key, nodes in collected.items():
        name = nodes[0].name.value
        order.append((key, name))
        root = served.get(name)
        if root is not None:
            shapes.append(_root(RootShape(key, root, nodes), shaper, compiler))
    return Prepared(
        catalog,
        document,
        operation,
        fields,
        tuple(shapes),
        tuple(order),
        RowTypes(catalog),
        shaper,
        compiler,
        by_key={s.key: s for s in shapes},
        compiled_of=fields,
        places={id(node): place for place, node in enumerate(fields)},
    )


def prepare_mutation(
    catalog: Catalog,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    conditions: Mapping[str, object],
) -> Prepared:
    """Return what the rows of a mutation operation's payloads are planned with; it has no roots that are read."""
    fields = structure_of(document, operation).fields
    shaper = Shaper(catalog, Selection(operation, fragments_of(document), conditions))
    return Prepared(
        catalog,
        document,
        operation,
        fields,
        (),
        (),
        RowTypes(catalog),
        shaper,
        Compiler(),
        compiled_of=fields,
        places={id(node): place for place, node in enumerate(fields)},
    )


def _root(shape: RootShape, shaper: Shaper, compiler: Compiler) -> RootShape:
    root = shape.root
    if root.kind is RootKind.LIST:
        shape.level = shaper.level(root.csdl)
        shape.needs = ConnectionRequirements()
        name = shaper.connection_name(root.csdl)
        connection = shaper.connection(shape.nodes, name, shape.level, shape.needs)
        shape.below = connection
        shape.complete = compiler.connection(connection)
    elif root.csdl:
        shape.level = shaper.level(root.csdl)
        shapes = shaper.objects(shape.nodes, shape.level)
        shape.below = shapes
        shape.complete = compiler.rows(shapes)
    return shape
