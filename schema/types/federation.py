"""The API as an Apollo Federation v2 subgraph: ``_service``, ``_entities`` and the types behind them.

Specification: https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec.
Entities are the object types with a global ``id``, so the members of ``_Entity`` are those of ``Node``; like all types
they are created on first use. ``schema.introspection.subgraph`` prints the SDL of the subgraph.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NewType, cast

import strawberry
from graphql import GraphQLAbstractType
from strawberry.types.scalar import ScalarDefinition

from schema.catalog.records import RootField, RootKind

from .objects import Wire
from .resolvers import Resolvers
from .strawberry_definitions import (
    GeneratedArgument,
    GeneratedDefinition,
    GeneratedField,
    GeneratedUnion,
    NamedType,
    Ref,
    ResolveInfo,
    TypeTable,
)

SERVICE = "_service"
ENTITIES = "_entities"
ANY = "_Any"
ENTITY = "_Entity"
SERVICE_TYPE = "_Service"

_SERVICE_TEXT = "This API as a subgraph, for composition with other APIs."
_ENTITIES_TEXT = (
    "Rows by representation, in the same order; null for rows that do not exist."
    " For routers; clients use `nodes`."
)
_REPRESENTATIONS_TEXT = (
    "For each row its `__typename`, with its `id` or with every part of its key."
)
_ENTITY_TEXT = "Any row that other subgraphs may refer to."
_SDL_TEXT = "The SDL with the directives of Apollo Federation."

Representation = NewType("Representation", object)
SCALARS: Mapping[object, ScalarDefinition] = {
    Representation: strawberry.scalar(
        name=ANY,
        description="A representation of a row: an object with `__typename` and the fields of a key.",
        serialize=lambda value: value,
        parse_value=lambda value: value,
    )
}

Named = RootField | Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation:
    """How the API appears in a supergraph."""

    version: str = "2.9"
    """Version of https://specs.apollo.dev/federation."""
    node: Literal["inaccessible", "omit", "shared"] = "inaccessible"
    """How ``Node``, ``node`` and ``nodes`` appear in the supergraph."""
    unified: Literal["own", "shared"] = "own"
    """Whether other subgraphs may have unified models as well."""
    page: int = 50
    """Assumed size of a list without ``first`` or ``last``, for ``@listSize``."""
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Pattern of entity sets → tags of their types and root fields."""

    @property
    def has_costs(self) -> bool:
        """Whether the version has ``@cost`` and ``@listSize``."""
        return tuple(map(int, self.version.split("."))) >= (2, 9)


class FederationTypes:
    """Creates ``_service``, ``_entities`` and their types, by name. Without a keyed type there are no entities."""

    def __init__(self, resolvers: Resolvers, types: TypeTable, *, has_entities: bool) -> None:
        self._resolvers = resolvers
        self._types = types
        self.names = (ANY, ENTITY, SERVICE_TYPE) if has_entities else (SERVICE_TYPE,)
        self._entities = (
            {ENTITIES: RootField(name=ENTITIES, kind=RootKind.ENTITIES)} if has_entities else {}
        )
        self._service = {SERVICE: Wire(SERVICE, Ref(SERVICE_TYPE, nullable=False), _SERVICE_TEXT)}

    def roots(self, own: Mapping[str, RootField]) -> Mapping[str, RootField]:
        """Return the root fields that the planner handles: the API's own, then ``_entities``."""
        return chained(self._entities, own)

    def fields(self, own: Mapping[str, RootField]) -> Mapping[str, Named]:
        """Return all root fields."""
        return chained(self._service, self._entities, own)

    def field(self, record: Named) -> GeneratedField:
        """Return ``_service`` or ``_entities``."""
        resolvers = self._resolvers
        if isinstance(record, Wire):
            return GeneratedField(
                record.name,
                record.ref,
                self._types,
                description=record.description,
                resolve=lambda _source, _info: record,
            )

        def resolve(_source: object, info: ResolveInfo, **_arguments: object) -> object:
            return resolvers.root(record, info)

        ref = Ref(ANY, nullable=False, many=True)
        representations = GeneratedArgument(
            "representations", ref, self._types, _REPRESENTATIONS_TEXT
        )
        return GeneratedField(
            record.name,
            Ref(ENTITY, nullable=False, many=True, gaps=True),
            self._types,
            description=_ENTITIES_TEXT,
            arguments=(representations,),
            resolve=resolve,
        )

    def named(self, name: str) -> NamedType:
        """Return one of the types. Raises KeyError for any other name."""
        by_name: Mapping[str, Callable[[], NamedType]] = {
            ANY: lambda: cast("NamedType", Representation),
            ENTITY: self._entity,
            SERVICE_TYPE: self._service_type,
        }
        return by_name[name]()

    def _service_type(self) -> NamedType:
        sdl = {"sdl": Wire("sdl", Ref("String", nullable=False), _SDL_TEXT)}
        return GeneratedDefinition(SERVICE_TYPE, lambda: sdl, self._sdl, description=_SERVICE_TEXT)

    def _sdl(self, wire: Wire) -> GeneratedField:
        resolvers = self._resolvers

        def resolve(_source: object, info: ResolveInfo) -> object:
            return resolvers.subgraph(info)

        return GeneratedField(
            wire.name, wire.ref, self._types, description=wire.description, resolve=resolve
        )

    def _entity(self) -> NamedType:
        resolvers = self._resolvers

        def resolve_type(value: object, _info: ResolveInfo, _abstract: GraphQLAbstractType) -> str:
            return resolvers.type_name(value)

        return GeneratedUnion(ENTITY, "Node", resolve_type, description=_ENTITY_TEXT)


def chained(*records: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return all records, those of the last mapping first, without a copy."""
    return ChainMap(*cast("tuple[dict[str, Any], ...]", records))
