"""Rows of any type, looked up by global id (``node``, ``nodes``) or by representation (``_entities``).

A representation (Federation subgraph specification, "Resolving entity fields") is an object with ``__typename`` and the
fields of a key: every part of the natural key as the API answers them, or ``id``. Other fields, which a router sends if
a subgraph requires them, are ignored. All lookups of one type share one plan, and therefore a key batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graphql import GraphQLInputType, GraphQLList, GraphQLNonNull
from msgspec import Struct

from gateway.documents.input_coercion import coerce_json
from gateway.errors import BadArgument, GatewayError, InvalidId, PageLimitExceeded
from gateway.odata.literals import parse_value
from gateway.operations.global_ids import parse_id
from gateway.operations.prepared_operation import RootShape
from schema.catalog.records import Argument, Field, RootKind, TypeKind
from schema.unified.views import UnifiedType

from .plan import Key, KeysRoot, ReadPlan
from .unified_arguments import are_dated, conditions

if TYPE_CHECKING:
    from .planner import OperationPlanner

MAX_NODES = 1_000
"""Ids in one ``nodes`` field."""
MAX_REPRESENTATIONS = 10_000
"""Representations in one ``_entities`` field: a router sends those of a whole page at once."""


class _RowKind(Struct, frozen=True):
    """Rows of one type: their plan, and the key that picks one."""

    csdl: str
    plan: ReadPlan
    arguments: tuple[tuple[Argument, GraphQLInputType], ...]
    """The parts of the key, as arguments of the by-key root field."""


_Lookup = tuple[_RowKind, Key]


class EntityLookups:
    """The lookups of one root field."""

    def __init__(self, operation: OperationPlanner, shape: RootShape) -> None:
        self._operation = operation
        self._shape = shape
        self._are_representations = shape.root.kind is RootKind.ENTITIES
        self._kinds: dict[str, _RowKind] = {}
        self._plans: dict[tuple[str, str], ReadPlan] = {}
        """Entity set and type of its rows → their plan."""

    def node(self, text: str) -> KeysRoot:
        """Return the plan of ``node(id)``. Raises InvalidId."""
        kind, key = self._by_id(text)
        return KeysRoot(self._shape, ((kind.plan, key),))

    def of_view(self, view: UnifiedType, text: str) -> KeysRoot:
        """Return the plan of a unified object, by the id of the row behind it. Raises InvalidId."""
        kind, key = self._by_view_id(self._view_kind(view), view, text)
        return KeysRoot(self._shape, ((kind.plan, key),))

    def of_views(self, view: UnifiedType, ids: Sequence[str]) -> KeysRoot:
        """Return the plan of unified objects by id; a bad id is an error in its place. Raises PageLimitExceeded."""
        kind = self._view_kind(view)
        return self._each(ids, lambda text: self._by_view_id(kind, view, text), MAX_NODES, "ids")

    def _view_kind(self, view: UnifiedType) -> _RowKind:
        level = self._shape.level
        assert level is not None
        lasts = not are_dated(view.where)
        plan = self._operation.read_by_key(
            level, view.set_name, conditions(view.where), lasts=lasts
        )
        return _RowKind(view.csdl, plan, ())

    def _by_view_id(self, kind: _RowKind, view: UnifiedType, text: str) -> _Lookup:
        name, values = parse_id(text, self._operation.catalog.tag)
        info = kind.plan.level.info
        if name != info.name:
            raise InvalidId(
                f"This id is not that of a {view.name}.", hint=f"Use the `id` of a {view.name}."
            )
        return kind, id_key(info.key, values)

    def nodes(self, ids: Sequence[str]) -> KeysRoot:
        """Return the plan of ``nodes(ids)``; a bad id is an error in its place. Raises PageLimitExceeded."""
        return self._each(ids, self._by_id, MAX_NODES, "ids")

    def entities(self, representations: Sequence[object]) -> KeysRoot:
        """Return the plan of ``_entities``; a bad representation is an error in its place.

        Raises PageLimitExceeded.
        """
        return self._each(
            representations, self._by_representation, MAX_REPRESENTATIONS, "representations"
        )

    def _each(
        self, values: Sequence[Any], read: Callable[[Any], _Lookup], limit: int, what: str
    ) -> KeysRoot:
        if len(values) > limit:
            name = self._shape.root.name
            raise PageLimitExceeded(f"{name} takes at most {limit:,} {what}, not {len(values):,}.")
        items: list[tuple[ReadPlan, Key] | None] = []
        types: list[str] = []
        errors: dict[int, GatewayError] = {}
        for number, value in enumerate(values):
            try:
                kind, key = read(value)
            # A bad id must not fail the others: the field is a list.
            except GatewayError as error:
                items.append(None)
                types.append("")
                errors[number] = error
            else:
                items.append((kind.plan, key))
                types.append(kind.csdl)
        expected_types = tuple(types) if self._are_representations else ()
        return KeysRoot(self._shape, tuple(items), many=True, errors=errors, types=expected_types)

    def _kind(self, name: str) -> _RowKind | None:
        """Return the kind of rows of a GraphQL type; None if its rows have no ids."""
        kind = self._kinds.get(name)
        if kind is not None:
            return kind
        operation = self._operation
        catalog, types = operation.catalog, operation.planner.core.type_map
        entry = catalog.entry(name)
        if entry is None or entry.kind is not TypeKind.OBJECT or not catalog.is_node(entry.csdl):
            return None
        set_name = catalog.set_for(entry.csdl)
        assert set_name is not None
        arguments = tuple(
            (a, _input_type(a, types[a.type_name])) for a in catalog.key_arguments(entry.csdl)
        )
        plan = self._plan(set_name, entry.csdl)
        kind = self._kinds[name] = _RowKind(entry.csdl, plan, arguments)
        return kind

    def _plan(self, set_name: str, csdl: str) -> ReadPlan:
        """Return the plan of rows of a type; for representations, of any type that the set holds.

        An id was made from a row of its type, so the row has it. A representation may come from anywhere: its row is
        read whatever its type, and checked afterwards.
        """
        operation = self._operation
        if self._are_representations:
            csdl = operation.catalog.model.entity_sets[set_name].type
        plan = self._plans.get((set_name, csdl))
        if plan is None:
            level = operation.prepared.node_shape(self._shape, csdl).level
            plan = self._plans[set_name, csdl] = operation.read_by_key(level, set_name)
        return plan

    def _by_id(self, text: str) -> _Lookup:
        name, values = parse_id(text, self._operation.catalog.tag)
        kind = self._kind(name)
        if kind is None:
            raise InvalidId(
                "The type of this id is not served here.", hint="Use an `id` of this API."
            )
        return kind, id_key(kind.plan.level.info.key, values)

    def _by_representation(self, representation: object) -> _Lookup:
        if not isinstance(representation, Mapping):
            raise BadArgument("A representation must be an object.", hint=_HINT)
        name = representation.get("__typename")
        if not isinstance(name, str):
            raise BadArgument("A representation must have a __typename.", hint=_HINT)
        kind = self._kind(name)
        if kind is None:
            raise BadArgument(
                "The __typename of this representation is not an entity of this API.",
                hint="Entities are the object types with an id.",
            )
        has_natural_key = all(representation.get(a.name) is not None for a, _ in kind.arguments)
        if not has_natural_key and representation.get("id") is not None:
            return self._by_own_id(name, representation["id"])
        return kind, self._natural_key(kind, representation)

    def _by_own_id(self, name: str, text: object) -> _Lookup:
        if not isinstance(text, str):
            raise InvalidId("This id is not a string.", hint="Use an `id` of this API.")
        # Else a router would get a row of another type than it asked for.
        if parse_id(text, self._operation.catalog.tag)[0] != name:
            raise InvalidId(
                "This id belongs to another type than its representation.",
                hint="An id contains the type of its row: send the `__typename` of the same row.",
            )
        return self._by_id(text)

    def _natural_key(self, kind: _RowKind, representation: Mapping[Any, Any]) -> Key:
        operation = self._operation
        values: dict[str, Any] = {}
        for argument, expected in kind.arguments:
            value = representation.get(argument.name)
            if value is not None:
                values[argument.name] = coerce_json(value, expected, what=argument.name)
            elif not argument.nullable:
                parts = ", ".join(a.name for a, _ in kind.arguments)
                raise BadArgument(
                    f"{argument.name} is missing in this representation.",
                    hint=f"Send id, or every part of the key: {parts}.",
                )
        return tuple(operation.key_value(a, values) for a, _ in kind.arguments)


_HINT = 'For example {"__typename": "CustomerV3", "id": "…"}.'


def _input_type(argument: Argument, named: Any) -> GraphQLInputType:
    """Return the input type of a part of the key, without its outer non-null."""
    return GraphQLList(GraphQLNonNull(named)) if argument.many else named


def id_key(key: Sequence[Field], values: Sequence[Any]) -> Key:
    """Return the values of an id as those of a key. Raises InvalidId."""
    message = "This id does not match the key of its type."
    if len(key) != len(values):
        raise InvalidId(message, hint="Fetch the row's `id` again.")
    try:
        return tuple(
            v if f.value is None or v is None else parse_value(f.value.edm, v)
            for f, v in zip(key, values, strict=True)
        )
    except ValueError as error:
        raise InvalidId(message, hint="Fetch the row's `id` again.") from error
