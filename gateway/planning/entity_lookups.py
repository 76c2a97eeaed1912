"""Rows of any type: by global id (``node``, ``nodes``) and by representation (``_entities``).

A representation (Federation subgraph specification, "Resolving entity fields") is an object with ``__typename`` and the
fields of a key: every part of the natural key as our own fields answer them, or ``id``. Whatever else it holds, for a
router that was asked to send more, is passed over. All that name rows of one type share one plan, and so a key batch.
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

from .plan import Key, KeysRoot, ReadPlan

if TYPE_CHECKING:
    from .planner import OperationPlanner

MAX_NODES = 1_000
"""Ids of one ``nodes`` field."""
MAX_REPRESENTATIONS = 10_000
"""Representations of one ``_entities`` field; routers send all that a page of theirs refers to at once."""


class _Kind(Struct, frozen=True):
    """One type of rows: how they are read, and what names one."""

    csdl: str
    plan: ReadPlan
    arguments: tuple[tuple[Argument, GraphQLInputType], ...]
    """The parts of the key, as the by-key field takes them."""


_Named = tuple[_Kind, Key]


class EntityLookups:
    """The rows that one root field names."""

    def __init__(self, operation: OperationPlanner, shape: RootShape) -> None:
        self._operation = operation
        self._shape = shape
        self._are_representations = shape.root.kind is RootKind.ENTITIES
        self._kinds: dict[str, _Kind] = {}
        self._plans: dict[tuple[str, str], ReadPlan] = {}
        """Entity set and type of its rows → their plan."""

    def node(self, text: str) -> KeysRoot:
        """Plan ``node(id)``. Raises InvalidId."""
        kind, key = self._by_id(text)
        return KeysRoot(self._shape, ((kind.plan, key),))

    def nodes(self, ids: Sequence[str]) -> KeysRoot:
        """Plan ``nodes(ids)``; a bad id is an error at its place. Raises PageLimitExceeded."""
        return self._each(ids, self._by_id, MAX_NODES, "ids")

    def entities(self, given: Sequence[object]) -> KeysRoot:
        """Plan ``_entities``; a bad representation is an error at its place. Raises PageLimitExceeded."""
        return self._each(given, self._by_representation, MAX_REPRESENTATIONS, "representations")

    def _each(
        self, given: Sequence[Any], read: Callable[[Any], _Named], most: int, what: str
    ) -> KeysRoot:
        if len(given) > most:
            name = self._shape.root.name
            raise PageLimitExceeded(f"{name} takes at most {most:,} {what}, not {len(given):,}.")
        items: list[tuple[ReadPlan, Key] | None] = []
        types: list[str] = []
        errors: dict[int, GatewayError] = {}
        for number, one in enumerate(given):
            try:
                kind, key = read(one)
            except GatewayError as error:
                items.append(None)
                types.append("")
                errors[number] = error
            else:
                items.append((kind.plan, key))
                types.append(kind.csdl)
        checked = tuple(types) if self._are_representations else ()
        return KeysRoot(self._shape, tuple(items), many=True, errors=errors, types=checked)

    def _kind(self, name: str) -> _Kind | None:
        """Return the type of a name; None where there is none whose rows have ids."""
        found = self._kinds.get(name)
        if found is not None:
            return found
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
        found = self._kinds[name] = _Kind(entry.csdl, plan, arguments)
        return found

    def _plan(self, set_name: str, csdl: str) -> ReadPlan:
        """Plan rows of a type, or of any that the set holds where it is told afterwards which of them were meant.

        An id was made of a row of its type, a representation may be made of anything.
        """
        operation = self._operation
        if self._are_representations:
            csdl = operation.catalog.model.entity_sets[set_name].type
        found = self._plans.get((set_name, csdl))
        if found is None:
            level = operation.prepared.node_shape(self._shape, csdl).level
            found = self._plans[set_name, csdl] = operation.read_by_key(level, set_name)
        return found

    # By id

    def _by_id(self, text: str) -> _Named:
        name, values = parse_id(text)
        kind = self._kind(name)
        if kind is None:
            raise InvalidId(
                "This id is of a type that is not served here.", hint="Use an `id` of this API."
            )
        return kind, _id_key(kind.plan.level.info.key, values)

    # By representation

    def _by_representation(self, given: object) -> _Named:
        if not isinstance(given, Mapping):
            raise BadArgument("A representation must be an object.", hint=_HINT)
        name = given.get("__typename")
        if not isinstance(name, str):
            raise BadArgument("A representation must have a __typename.", hint=_HINT)
        kind = self._kind(name)
        if kind is None:
            raise BadArgument(
                "The __typename of this representation is no entity of this API.",
                hint="Entities are the object types with an id.",
            )
        is_whole = all(given.get(a.name) is not None for a, _ in kind.arguments)
        if not is_whole and given.get("id") is not None:
            return self._by_own_id(name, given["id"])
        return kind, self._natural_key(kind, given)

    def _by_own_id(self, name: str, text: object) -> _Named:
        if not isinstance(text, str):
            raise InvalidId("This id is no string.", hint="Use an `id` of this API.")
        if parse_id(text)[0] != name:
            raise InvalidId(
                "This id is of another type than its representation.",
                hint="The id tells the type: send the `__typename` of the same row.",
            )
        return self._by_id(text)

    def _natural_key(self, kind: _Kind, given: Mapping[Any, Any]) -> Key:
        operation = self._operation
        values: dict[str, Any] = {}
        for argument, wanted in kind.arguments:
            value = given.get(argument.name)
            if value is not None:
                values[argument.name] = coerce_json(value, wanted, what=argument.name)
            elif not argument.nullable:
                parts = ", ".join(a.name for a, _ in kind.arguments)
                raise BadArgument(
                    f"{argument.name} is missing in this representation.",
                    hint=f"Send id, or every part of the key: {parts}.",
                )
        return tuple(operation.key_value(a, values) for a, _ in kind.arguments)


_HINT = 'For example {"__typename": "CustomerV3", "id": "…"}.'


def _input_type(argument: Argument, named: Any) -> GraphQLInputType:
    """Return the type of a key's part, which is not null."""
    return GraphQLList(GraphQLNonNull(named)) if argument.many else named


def _id_key(key: Sequence[Field], values: Sequence[Any]) -> Key:
    said = "This id does not fit the key of its type."
    if len(key) != len(values):
        raise InvalidId(said, hint="Fetch the row's `id` again.")
    try:
        return tuple(
            v if f.value is None or v is None else parse_value(f.value.edm, v)
            for f, v in zip(key, values, strict=True)
        )
    except ValueError as error:
        raise InvalidId(said, hint="Fetch it again.") from error
