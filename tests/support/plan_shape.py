"""Checks a plan without an upstream: does what is asked for complete to the shape that the operation must have?

Two shapes of an answer are computed and compared:

* the *required* one, from the document and graphql-core's types alone (GraphQL section 6.3.2);
* the *planned* one: rows that hold exactly what the plan's queries ask for (``$select``, ``$expand``, key batches) are
  completed by the operation's compiled functions.

A property that is not selected, a relation without a plan, a join column that is missing, or a response key that is
lost or out of order is a difference. A *variant* picks the type of each row, if several are possible.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    value_from_ast_untyped,
)

from gateway.odata.query import Expand
from gateway.operations.completion_compiler import FastPathMiss
from gateway.operations.lenient_rows import lenient_row, untyped_json
from gateway.operations.pages import Page
from gateway.planning.page_window import keyset_cursors, offset_cursors
from gateway.planning.plan import BoundRoot, CallRoot, FailedRoot, KeysRoot, ListRoot, ReadPlan, Via
from gateway.request import PlannedQuery, ValidOperation
from schema.catalog import Catalog
from schema.catalog.display_values import PARTS
from schema.catalog.records import Field, FieldKind, RootKind
from schema.types.build import ODataSchema
from schema.unified.views import UnifiedType, ViewKind

Shape = Mapping[str, Any] | None
"""Response key → shape below; None for a leaf, whatever it holds."""
ANY_VALUE: Shape = {"": None}
"""A leaf that may be null."""

_EXAMPLES: Mapping[str, Any] = {
    "Int": 1,
    "Long": 1,
    "Decimal": 1.5,
    "Float": 1.5,
    "Boolean": True,
    "JSON": "x",
    "DateTime": "2024-01-31T12:00:00Z",
    "Date": "2024-01-31T12:00:00Z",
}
_encode = msgspec.json.Encoder().encode


def differences(
    schema: ODataSchema, operation: ValidOperation, query: PlannedQuery, variant: int = 0
) -> Iterator[str]:
    """Yield where the planned shape of an operation differs from the required one."""
    required = RequiredShape(schema, operation, variant)
    planned = PlannedAnswer(schema.catalog, query, variant)
    if [root.shape.key for root in query.roots] != required.planned_keys:
        yield f"planned: {[root.shape.key for root in query.roots]}, not {required.planned_keys}"
        return
    for root in query.roots:
        key = root.shape.key
        try:
            answers = list(planned.of(root))
        except (FastPathMiss, msgspec.ValidationError, LookupError, AttributeError) as error:
            yield f"{key}: the rows cannot be completed: {error!r}"
            continue
        for answer, type_name in answers:
            shape = required.of(key, type_name)
            yield from _compare(shape, msgspec.json.decode(_encode(answer)), key)


def _compare(required: Shape, answer: Any, path: str) -> Iterator[str]:
    if required is ANY_VALUE:
        return
    if answer is None:
        yield f"{path}: nothing is asked for"  # the rows have no null
        return
    if required is None:
        return
    while isinstance(answer, list):
        if not answer:
            yield f"{path}: no row"
            return
        answer = answer[0]
    if not isinstance(answer, dict):
        yield f"{path}: {answer} instead of an object"
        return
    if list(answer) != list(required):
        yield f"{path}: {', '.join(answer)} instead of {', '.join(required)}"
    for key in required.keys() & answer.keys():
        yield from _compare(required[key], answer[key], f"{path}.{key}")


def _chosen(possible: Sequence[str], variant: int) -> str:
    return possible[variant % len(possible)]


class RequiredShape:
    """What the answer to an operation must look like."""

    def __init__(self, schema: ODataSchema, operation: ValidOperation, variant: int) -> None:
        assert operation.document.node is not None
        self._core: GraphQLSchema = schema.core
        self._catalog = schema.catalog
        self._variables = operation.variables.coerced
        self._variant = variant
        self._fragments = {
            d.name.value: d
            for d in operation.document.node.definitions
            if isinstance(d, FragmentDefinitionNode)
        }
        self._roots: dict[str, list[FieldNode]] = {}
        self._collect(operation.operation.selection_set, "Query", self._roots)
        generated = schema.catalog.roots if schema.roots is None else schema.roots
        self._spaces = schema.unified.namespaces
        api = schema.unified
        self._unified = {
            api.binder.type_name(short): api.type(short) for m in api.models for short in m.types
        }
        self.planned_keys = [
            planned
            for key, nodes in self._roots.items()
            for planned in self._planned(key, nodes, generated)
        ]

    def _planned(
        self, key: str, nodes: Sequence[FieldNode], generated: Container[str]
    ) -> Iterator[str]:
        """Yield the keys of what is planned for a root field: itself, or the fields below that of a unified model."""
        name = nodes[0].name.value
        if name in generated:
            yield key
        elif name in self._spaces:
            yield from (
                f"{key}.{own}"
                for own, below in self._below(self._spaces[name].type_name, nodes).items()
                if below[0].name.value != "__typename"
            )

    def _below(self, type_name: str, nodes: Sequence[FieldNode]) -> dict[str, list[FieldNode]]:
        collected: dict[str, list[FieldNode]] = {}
        for node in nodes:
            if node.selection_set is not None:
                self._collect(node.selection_set, type_name, collected)
        return collected

    def of(self, key: str, type_name: str | None) -> Shape:
        """Return the shape of a root field; ``type_name`` is the type of the row, if the plan looks one up by id."""
        assert self._core.query_type is not None
        above, _, own = key.partition(".")
        nodes = self._roots[above]
        field = self._core.query_type.fields[nodes[0].name.value]
        if own:
            owner: Any = get_named_type(field.type)
            nodes = self._below(owner.name, nodes)[own]
            field = owner.fields[nodes[0].name.value]
        return self._shape(type_name or get_named_type(field.type).name, nodes)

    def _shape(self, name: str, nodes: Sequence[FieldNode]) -> Shape:
        named = self._core.type_map[name]
        if is_leaf_type(named) or name == PARTS:  # the parts of one value, some of which are null
            return None
        if is_abstract_type(named):
            entry = self._catalog.entry(name)
            assert entry is not None
            possible = self._catalog.possible_types(entry.csdl)
            concrete = self._catalog.concrete_name(_chosen(possible, self._variant))
            assert concrete is not None
            named = self._core.type_map[concrete]
        collected = self._below(named.name, nodes)
        fields: Mapping[str, Any] = named.fields  # type: ignore[attr-defined]
        shapes = {
            key: self._shape(get_named_type(fields[own[0].name.value].type).name, own)
            if own[0].name.value != "__typename"
            else None
            for key, own in collected.items()
        }
        # A value of a unified object is null if its column has one that the mapping does not list.
        bound = self._unified.get(name)
        if bound is None:
            return shapes
        values = {k for k, s in shapes.items() if s is None or _may_be_null(bound, collected[k][0])}
        return {k: ANY_VALUE if k in values else s for k, s in shapes.items()}

    def _collect(
        self, selected: SelectionSetNode, type_name: str, collected: dict[str, list[FieldNode]]
    ) -> None:
        for node in selected.selections:
            if not self._is_included(node):
                continue
            if isinstance(node, FieldNode):
                collected.setdefault((node.alias or node.name).value, []).append(node)
                continue
            fragment: Any = node
            if isinstance(node, FragmentSpreadNode):
                fragment = self._fragments[node.name.value]
            assert isinstance(fragment, InlineFragmentNode | FragmentDefinitionNode)
            condition = fragment.type_condition
            if condition is None or self._applies(condition.name.value, type_name):
                self._collect(fragment.selection_set, type_name, collected)

    def _applies(self, condition: str, type_name: str) -> bool:
        types = self._core.type_map
        abstract: Any = types[condition]
        return condition == type_name or (
            is_abstract_type(abstract) and self._core.is_sub_type(abstract, types[type_name])
        )

    def _is_included(self, node: Any) -> bool:
        values = {
            directive.name.value: value_from_ast_untyped(
                directive.arguments[0].value, dict(self._variables)
            )
            for directive in node.directives or ()
        }
        return values.get("include", True) and not values.get("skip", False)


def _may_be_null(bound: UnifiedType, node: FieldNode) -> bool:
    """Return whether a field is made of one text, which may have no parts, or of what the environment lacks."""
    field = bound.fields.get(node.name.value)
    return field is not None and field.kind in (ViewKind.DISPLAY_PART, ViewKind.CONSTANT)


class PlannedAnswer:
    """What an operation answers if the upstream sends exactly what the plan asks for, one row for each list."""

    def __init__(self, catalog: Catalog, query: PlannedQuery, variant: int) -> None:
        self._catalog = catalog
        self._prepared = query.prepared
        self._variant = variant

    def of(self, root: BoundRoot) -> Iterator[tuple[Any, str | None]]:
        """Yield the answers of a root field, each with the type of its row if it was looked up by id."""
        shape = root.shape
        match root:
            case FailedRoot():
                return
            case CallRoot(plan=None):
                return
            case ListRoot(plan=plan) if plan.window is not None:
                assert shape.complete is not None
                yield shape.complete(self._page(plan, self._row(plan))), None
            case ListRoot(plan=plan) | CallRoot(plan=ReadPlan() as plan):
                assert shape.complete is not None
                yield shape.complete(self._row(plan)), None
            case KeysRoot(items=items):
                for plan in {id(item[0]): item[0] for item in items if item is not None}.values():
                    yield self._by_key(root, plan)

    def _by_key(self, root: KeysRoot, plan: ReadPlan) -> tuple[Any, str | None]:
        row = self._row(plan)
        if root.shape.root.kind is RootKind.BY_KEY:
            assert root.shape.complete is not None
            return root.shape.complete(row), None
        shape = self._prepared.node_shape(root.shape, plan.level.info.csdl)
        return shape.complete(row), self._catalog.concrete_name(self._type_of(plan))

    def _type_of(self, plan: ReadPlan) -> str:
        return _chosen(plan.level.possible, self._variant)

    # Rows in memory

    def _page(self, plan: ReadPlan, row: Any) -> Page:
        window = plan.window
        assert window is not None
        if not window.keyset:
            return Page([row], total=1, cursor=offset_cursors(window, 0))
        return Page([row], total=1, cursor=keyset_cursors(window, plan.row_type))

    def _row(self, plan: ReadPlan) -> Any:
        """Return a row of a plan, with everything below it in its slots."""
        body = _encode(self._json(plan, plan.query.select, plan.query.expand))
        row_type = plan.row_type
        decode = row_type.single.decode
        row: Any = decode(body) if row_type.typed else lenient_row(row_type, untyped_json(body))
        self._fill(row, plan)
        return row

    def _fill(self, row: Any, plan: ReadPlan) -> None:
        csdl = self._type_of(plan)
        for child in plan.children:
            if child.owners is not None and csdl not in child.owners:
                continue
            slot, is_list = child.child.slot, child.child.connection is not None
            if child.via is Via.EXPAND:
                value = getattr(row, slot)
                inner = value[0] if is_list else value
                self._fill(inner, child.plan)
            else:
                inner = self._row(child.plan)
                _require(
                    row,
                    plan,
                    child.join.parent
                    if child.join and child.via is Via.KEYS
                    else plan.level.info.key,
                )
                if child.join is not None and child.via is Via.KEYS:
                    _require(inner, child.plan, child.join.target)
            setattr(row, slot, self._page(child.plan, inner) if is_list else inner)

    # Rows as JSON

    def _json(
        self, plan: ReadPlan, select: Sequence[str], expand: Sequence[Expand]
    ) -> dict[str, Any]:
        """Return a row as the upstream would send it for this ``$select`` and ``$expand``."""
        csdl = self._type_of(plan)
        fields = self._by_source(csdl)
        lineage = {t.name for t in self._catalog.model.lineage(csdl)}
        row: dict[str, Any] = {"@odata.type": f"#{csdl}", "@odata.etag": 'W/"1"'}
        for path in select or list(fields):
            cast, _, name = path.rpartition("/")
            if name in fields and (not cast or cast in lineage):
                row[name] = self._value(fields[name])
        for item in expand:
            child = next(
                c for c in plan.children if c.via is Via.EXPAND and c.name == item.navigation
            )
            if child.owners is None or csdl in child.owners:
                inner = self._json(child.plan, item.select, item.expand)
                row[child.child.field.source] = [inner] if child.child.connection else inner
        return row

    def _by_source(self, csdl: str) -> dict[str, Field]:
        values = (FieldKind.VALUE, FieldKind.COMPLEX)
        return {f.source: f for f in self._catalog.object(csdl).fields.values() if f.kind in values}

    def _value(self, field: Field) -> Any:
        if field.kind is FieldKind.COMPLEX:
            one: Any = {}
            if self._catalog.is_served(field.target):
                csdl = _chosen(self._catalog.possible_types(field.target), self._variant)
                one = {name: self._value(f) for name, f in self._by_source(csdl).items()}
                one["@odata.type"] = f"#{csdl}"
        else:
            assert field.value is not None
            enum = field.value.enum
            one = _EXAMPLES.get(field.value.scalar, "x")
            if enum is not None:
                one = next(iter(enum.to_graphql), "No")
        assert field.prop is not None
        return [one] if field.prop.type.many else one


def _require(row: Any, plan: ReadPlan, columns: Sequence[Field]) -> None:
    """Raise LookupError unless the row has the columns by which rows are read or matched."""
    for column in columns:
        if getattr(row, plan.row_type.attribute(column)) is None:
            raise LookupError(column.name)
