"""The output types of the catalogue as Strawberry definitions: objects, interfaces, connections, edges, enums.

A definition is cheap: its fields are created from the catalogue's records on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from graphql import GraphQLAbstractType
from msgspec import Struct
from strawberry.types.enum import EnumValue, StrawberryEnumDefinition

from schema.catalog import Catalog
from schema.catalog import descriptions as describe
from schema.catalog.objects import CUSTOM_ARGUMENTS
from schema.catalog.records import Argument, Field, FieldKind, RootField, TypeEntry, TypeKind

from .resolvers import Resolvers
from .strawberry_definitions import (
    GeneratedArgument,
    GeneratedDefinition,
    GeneratedField,
    Ref,
    Resolve,
    ResolveInfo,
    TypeTable,
)


class Wire(Struct, frozen=True):
    """A field of the Relay wiring: connections, edges, ``PageInfo``, ``Node``."""

    name: str
    ref: Ref
    description: str


_NODE = (Wire("id", Ref("ID", nullable=False), describe.NODE_ID),)
_PAGE_INFO = (
    Wire("hasNextPage", Ref("Boolean", nullable=False), describe.HAS_NEXT),
    Wire("hasPreviousPage", Ref("Boolean", nullable=False), describe.HAS_PREVIOUS),
    Wire("startCursor", Ref("String"), describe.START_CURSOR),
    Wire("endCursor", Ref("String"), describe.END_CURSOR),
)


def connection_fields(catalog: Catalog, csdl: str) -> tuple[Wire, ...]:
    """Return the fields of a type's connection."""
    edge = catalog.name_of(TypeKind.EDGE, csdl)
    item = catalog.reference_name(csdl)
    return (
        Wire("edges", Ref(edge, nullable=False, many=True), describe.EDGES),
        Wire("nodes", Ref(item, nullable=False, many=True), describe.NODES),
        Wire("pageInfo", Ref("PageInfo", nullable=False), describe.PAGE_INFO),
        Wire("totalCount", Ref("Int"), describe.TOTAL_COUNT),
    )


def edge_fields(catalog: Catalog, csdl: str) -> tuple[Wire, ...]:
    """Return the fields of a type's edge."""
    item = catalog.reference_name(csdl)
    return (
        Wire("cursor", Ref("String", nullable=False), describe.CURSOR),
        Wire("node", Ref(item, nullable=False), describe.EDGE_NODE),
    )


class PlainValue:
    """The Python class of every generated enum: calling it returns the GraphQL value name itself, a plain string."""

    def __new__(cls, name: str) -> str:  # type: ignore[misc]
        """Return the name unchanged."""
        return name


class ObjectTypes:
    """Creates the definitions of output types, by name."""

    def __init__(self, catalog: Catalog, resolvers: Resolvers, types: TypeTable) -> None:
        self._catalog = catalog
        self._resolvers = resolvers
        self._types = types
        self._shared_arguments: dict[Argument, GeneratedArgument] = {}

    @property
    def table(self) -> dict[Argument, GeneratedArgument]:
        """The arguments shared by fields."""
        return self._shared_arguments

    def fixed(self, name: str) -> GeneratedDefinition | StrawberryEnumDefinition | None:
        """Return a type that every schema has; None for any other name."""
        if name == "Node":
            return self._wiring(name, _NODE, describe.NODE, self._resolve_type)
        if name == "PageInfo":
            return self._wiring(name, _PAGE_INFO, describe.PAGE_INFO)
        if name == "SortDirection":
            return enum_of(name, describe.SORT_DIRECTION, describe.SORT_DIRECTIONS)
        return None

    def make(self, entry: TypeEntry) -> GeneratedDefinition | StrawberryEnumDefinition:
        """Return the definition of a generated output type."""
        if entry.kind is TypeKind.ENUM:
            info = self._catalog.enum(entry.csdl)
            return enum_of(info.name, info.description, info.descriptions)
        if entry.kind is TypeKind.CONNECTION:
            fields = connection_fields(self._catalog, entry.csdl)
            return self._wiring(entry.name, fields, describe.connection(entry.csdl))
        if entry.kind is TypeKind.EDGE:
            fields = edge_fields(self._catalog, entry.csdl)
            return self._wiring(entry.name, fields, describe.edge(entry.csdl))
        return self._structured(entry)

    def root_field(self, root: RootField) -> GeneratedField:
        """Return a generated field of ``Query``."""
        catalog, resolvers = self._catalog, self._resolvers

        def resolve(_source: object, info: ResolveInfo, **_arguments: object) -> object:
            return resolvers.root(root, info)

        result = catalog.result(root)
        return GeneratedField(
            root.name,
            Ref(result.type_name, result.nullable, result.many, result.gaps),
            self._types,
            description=catalog.root_description(root),
            arguments=self._arguments(catalog.root_arguments(root)),
            resolve=resolve,
        )

    def _structured(self, entry: TypeEntry) -> GeneratedDefinition:
        catalog = self._catalog
        above = catalog.interfaces(entry.csdl)
        return GeneratedDefinition(
            entry.name,
            lambda: catalog.object(entry.csdl).fields,
            self._object_field,
            description=catalog.type_description(entry.csdl),
            interfaces=tuple(self._definition(name) for name in above if name != entry.name),
            resolve_type=self._resolve_type if entry.kind is TypeKind.INTERFACE else None,
        )

    def _definition(self, name: str) -> GeneratedDefinition:
        interface = self._types.named(name)
        return cast("GeneratedDefinition", interface.__strawberry_definition__)  # type: ignore[union-attr]

    def _resolve_type(
        self, value: object, _info: ResolveInfo, _abstract: GraphQLAbstractType
    ) -> str:
        return self._resolvers.type_name(value)

    def _object_field(self, field: Field) -> GeneratedField:
        arguments: tuple[Argument, ...] = ()
        if field.kind is FieldKind.TO_MANY:
            arguments = self._catalog.list_arguments(field.target, root=False)
        elif field.kind is FieldKind.CUSTOM:
            arguments = CUSTOM_ARGUMENTS
        return GeneratedField(
            field.name,
            Ref(field.type_name, field.nullable, field.many),
            self._types,
            description=field.description,
            arguments=self._arguments(arguments),
            resolve=self._field_resolver(field),
        )

    def _field_resolver(self, field: Field) -> Resolve:
        resolvers = self._resolvers

        def resolve(source: object, info: ResolveInfo, **_arguments: object) -> object:
            return resolvers.field(field, source, info)

        return resolve

    def _arguments(self, arguments: tuple[Argument, ...]) -> tuple[GeneratedArgument, ...]:
        return tuple(map(self._argument, arguments))

    def _argument(self, argument: Argument) -> GeneratedArgument:
        """Return an argument; equal ones (``first``, ``after``…) are shared by all fields."""
        shared = self._shared_arguments.get(argument)
        if shared is None:
            ref = Ref(argument.type_name, argument.nullable, argument.many)
            shared = self._shared_arguments[argument] = GeneratedArgument(
                argument.name, ref, self._types, argument.description
            )
        return shared

    def _wiring(
        self,
        name: str,
        wires: tuple[Wire, ...],
        description: str,
        resolve_type: Callable[[object, ResolveInfo, GraphQLAbstractType], str] | None = None,
    ) -> GeneratedDefinition:
        records = {wire.name: wire for wire in wires}
        return GeneratedDefinition(
            name,
            lambda: records,
            self._wired,
            description=description,
            resolve_type=resolve_type,
        )

    def _wired(self, wire: Wire) -> GeneratedField:
        resolvers = self._resolvers

        def resolve(source: object, info: ResolveInfo, **_arguments: object) -> object:
            return resolvers.connection(wire.name, source, info)

        return GeneratedField(
            wire.name, wire.ref, self._types, description=wire.description, resolve=resolve
        )


def enum_of(name: str, description: str, values: Mapping[str, str]) -> StrawberryEnumDefinition:
    """Return an enum definition; ``values`` maps value names to descriptions."""
    return StrawberryEnumDefinition(
        wrapped_cls=PlainValue,  # type: ignore[arg-type]
        name=name,
        values=[EnumValue(v, v, description=text or None) for v, text in values.items()],
        description=description or None,
    )
