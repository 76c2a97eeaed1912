"""A prepared operation: selected, shaped and compiled once, then run with any variables and argument values.

Holds everything of an operation that does not depend on the values of arguments, so that texts which differ in literals
share it. Root fields that are not generated (introspection, hand-written Strawberry fields) make an operation *mixed*:
graphql-core completes it, over rows that are loaded in the same way.

The records are frozen. Three tables in them are caches, which depend on nothing but the operation: coerced constants,
shapes by type of ``node``, and row types. Only expectations change, by which the next operation is priced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import DocumentNode, FieldNode, OperationDefinitionNode
from msgspec import Struct, field, structs

from gateway.dimensions.formats import EnvironmentFormats
from gateway.documents.collect_fields import Nodes, Selection, fragments_of
from gateway.documents.fingerprint import fingerprint_of
from schema.catalog import Catalog
from schema.catalog.records import RootField, RootKind
from schema.types.changes import CHANGES
from schema.types.combinations import COMBINATION
from schema.unified.api import Namespace, UnifiedApi, UnifiedRoot
from schema.unified.views import UnifiedType

from .completion_compiler import Compiler, Complete, RootCompletion
from .connection_parts import ConnectionRequirements
from .expectations import Expectation
from .row_types import RowTypes
from .shapes import (
    TYPENAME,
    ConnectionShape,
    RowRequirements,
    RowShape,
    Shaper,
)
from .view_shapes import ViewShaper

ANSWERED_APART = frozenset({CHANGES, COMBINATION})
"""Root fields that are answered by operations of their own."""


class RootShape(Struct, frozen=True, eq=False, kw_only=True):
    """One generated root field of an operation, or a field below the root field of a unified model."""

    key: str
    """Response key; below a unified model ``directory.users``."""
    root: RootField
    nodes: Nodes
    level: RowRequirements | None = None
    needs: ConnectionRequirements | None = None
    below: RowShape | ConnectionShape | None = None
    complete: Complete | RootCompletion | None = None
    rows: Expectation = field(default_factory=Expectation)
    """Of a page."""
    by_type: dict[str, NodeShape] = field(default_factory=dict)
    """Of ``node``, ``nodes`` and ``_entities``: CSDL type → shape, a cache filled when an id of the type is seen."""

    view: UnifiedType | None = None
    """The unified type of the rows."""
    owner: str = "Query"
    """Type of which it is a field."""

    @property
    def node(self) -> FieldNode:
        """The node whose arguments count; merged nodes have equal ones."""
        return self.nodes[0]


class NodeShape(Struct, frozen=True):
    """What ``node(id)`` answers for rows of one type."""

    level: RowRequirements
    complete: Complete


class ModelShape(Struct, frozen=True):
    """The answer below the root field of a unified model."""

    type_name: str
    order: tuple[tuple[str, str], ...]
    """Response keys in order, with the key of their root shape, or ``__typename``."""

    @property
    def size(self) -> int:
        """The number of root shapes."""
        return sum(name != TYPENAME for _, name in self.order)


class Prepared(Struct, frozen=True, eq=False, kw_only=True):
    """An operation without its variables.

    What is compiled is shared by all documents of one structure (:meth:`for_document`), so the nodes in it may be those
    of another document: :meth:`node` returns this one's, which has the values of arguments.
    """

    catalog: Catalog
    document: DocumentNode
    operation: OperationDefinitionNode
    fields: tuple[FieldNode, ...]
    """Fields with arguments or selections, in the order of ``fingerprint.Fingerprint``."""
    roots: tuple[RootShape, ...] = ()
    order: tuple[tuple[str, str], ...] = ()
    """Response keys in order, with their field names."""
    models: Mapping[str, ModelShape] = field(default_factory=dict)
    """Response key of the root field of a unified model → the answer below it."""
    has_changes: bool = False
    """Whether a root field is ``changes``, or another one that is answered by operations of its own."""
    is_mixed: bool = False
    """Whether some root fields are not generated."""
    is_federated: bool = False
    """Whether it reads the entities of a router."""
    row_types: RowTypes
    shaper: Shaper
    compiler: Compiler
    constants: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """id of a field node without variables → its coerced arguments: a cache."""
    by_key: Mapping[str, RootShape] = field(default_factory=dict)
    """Response key → root field."""
    compiled_fields: tuple[FieldNode, ...]
    """The same fields in the document that was compiled."""
    places: Mapping[int, int]
    """id of a compiled field → its place among them."""

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
        """Return this document's node for a compiled one, if it has arguments."""
        return compiled if not compiled.arguments else self.fields[self.places[id(compiled)]]

    def compiled_nodes(self) -> dict[int, int]:
        """Return id of this document's field → id of the compiled field."""
        pairs = zip(self.fields, self.compiled_fields, strict=True)
        return {id(own): id(compiled) for own, compiled in pairs}

    @property
    def needs_formats(self) -> bool:
        """Whether display values are divided, by the formats of the environment."""
        return self.shaper.has_parts

    def node_shape(self, shape: RootShape, csdl: str) -> NodeShape:
        """Return what ``node`` answers for rows of one type."""
        node_shape = shape.by_type.get(csdl)
        if node_shape is None:
            level = self.shaper.level(csdl)
            shapes = self.shaper.objects(shape.nodes, level)
            node_shape = shape.by_type[csdl] = NodeShape(level, self.compiler.rows(shapes))
        return node_shape


def prepare(  # noqa: PLR0913 - the parts of an operation
    catalog: Catalog,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    conditions: Mapping[str, object],
    fields: tuple[FieldNode, ...] | None = None,
    roots: Mapping[str, RootField] | None = None,
    unified: UnifiedApi | None = None,
    *,
    formats: EnvironmentFormats | None = None,
) -> Prepared:
    """Shape and compile a query operation of a valid document.

    ``fields`` are those of its structure, if that is known; ``roots`` are the planned fields of ``Query``, if the
    schema has more of them than the catalog; ``unified`` are its unified models; ``formats`` those of the environment.
    """
    planned = catalog.roots if roots is None else roots
    selection = Selection(operation, fragments_of(document), conditions)
    shaper, compiler = Shaper(catalog, selection), Compiler(catalog.tag, formats)
    collected = selection.fields((operation.selection_set,), frozenset(("Query",)))
    shapes: list[RootShape] = []
    models: dict[str, ModelShape] = {}
    for key, nodes in collected.items():
        name = nodes[0].name.value
        if name in planned:
            shapes.append(_root(key, planned[name], nodes, shaper, compiler))
        elif unified is not None and name in unified.namespaces:
            shaper.views = ViewShaper(shaper, unified)
            below = _Model(unified, unified.namespaces[name], shaper, compiler)
            models[key] = below.shape(key, nodes)
            shapes.extend(below.roots)
    if fields is None:
        fields = fingerprint_of(document, operation).fields
    return Prepared(
        catalog=catalog,
        document=document,
        operation=operation,
        fields=fields,
        roots=tuple(shapes),
        models=models,
        order=tuple((key, nodes[0].name.value) for key, nodes in collected.items()),
        has_changes=any(nodes[0].name.value in ANSWERED_APART for nodes in collected.values()),
        is_mixed=len(shapes) + len(models)
        != sum(nodes[0].name.value != TYPENAME for nodes in collected.values())
        + sum(model.size for model in models.values()),
        is_federated=any(shape.root.kind is RootKind.ENTITIES for shape in shapes),
        row_types=RowTypes(catalog),
        shaper=shaper,
        compiler=compiler,
        by_key={s.key: s for s in shapes},
        compiled_fields=fields,
        places={id(node): place for place, node in enumerate(fields)},
    )


def prepare_mutation(
    catalog: Catalog,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    conditions: Mapping[str, object],
    unified: UnifiedApi | None = None,
) -> Prepared:
    """Return what plans the rows in a mutation's payloads; it has no root fields that are read."""
    fields = fingerprint_of(document, operation).fields
    shaper = Shaper(catalog, Selection(operation, fragments_of(document), conditions))
    if unified is not None:
        shaper.views = ViewShaper(shaper, unified)
    return Prepared(
        catalog=catalog,
        document=document,
        operation=operation,
        fields=fields,
        row_types=RowTypes(catalog),
        shaper=shaper,
        compiler=Compiler(catalog.tag),
        compiled_fields=fields,
        places={id(node): place for place, node in enumerate(fields)},
    )


class _Model:
    """Shapes what an operation selects below the root field of a unified model."""

    def __init__(
        self, api: UnifiedApi, space: Namespace, shaper: Shaper, compiler: Compiler
    ) -> None:
        self._api = api
        self._space = space
        self._shaper = shaper
        self._compiler = compiler
        self.roots: list[RootShape] = []

    def shape(self, above: str, nodes: Nodes) -> ModelShape:
        """Return the answer; its lists and objects are added to ``roots``."""
        name = self._space.type_name
        order: list[tuple[str, str]] = []
        for key, own in self._shaper.selection.subfields(nodes, frozenset((name,))).items():
            field = own[0].name.value
            if field == TYPENAME:
                order.append((key, TYPENAME))
            else:
                self.roots.append(self._root(f"{above}.{key}", self._space.fields[field], own))
                order.append((key, f"{above}.{key}"))
        return ModelShape(name, tuple(order))

    def _root(self, key: str, field: UnifiedRoot, nodes: Nodes) -> RootShape:
        shaper, bound = self._shaper, self._api.type(field.short)
        level = shaper.level(bound.csdl)
        if field.is_list:
            needs = shaper.connection_requirements()
            name = f"{bound.name}Connection"
            connection = shaper.connection(nodes, name, level, needs, bound)
            return RootShape(
                key=key,
                root=field.root,
                nodes=nodes,
                level=level,
                needs=needs,
                below=connection,
                complete=self._compiler.connection(connection),
                view=bound,
                owner=self._space.type_name,
            )
        assert shaper.views is not None
        shape = shaper.views.object(nodes, bound, level)
        return RootShape(
            key=key,
            root=field.root,
            nodes=nodes,
            level=level,
            below=shape,
            complete=self._compiler.rows(shape),
            view=bound,
            owner=self._space.type_name,
        )


def _as_it_is(value: Any) -> Any:
    return value


def _root(key: str, root: RootField, nodes: Nodes, shaper: Shaper, compiler: Compiler) -> RootShape:
    if not root.csdl:
        return RootShape(key=key, root=root, nodes=nodes)
    level = shaper.level(root.csdl)
    if root.kind is RootKind.AGGREGATE:
        # What is computed depends on the values of arguments, and comes as it is answered.
        return RootShape(key=key, root=root, nodes=nodes, level=level, complete=_as_it_is)
    if root.kind is RootKind.LIST:
        needs = shaper.connection_requirements()
        name = shaper.connection_name(root.csdl)
        connection = shaper.connection(nodes, name, level, needs)
        return RootShape(
            key=key,
            root=root,
            nodes=nodes,
            level=level,
            needs=needs,
            below=connection,
            complete=compiler.connection(connection),
        )
    shapes = shaper.objects(nodes, level)
    return RootShape(
        key=key,
        root=root,
        nodes=nodes,
        level=level,
        below=shapes,
        complete=compiler.rows(shapes),
    )
