"""``Mutation`` and its payloads as Strawberry definitions, and the directives of mutations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    DirectiveLocation,
    GraphQLArgument,
    GraphQLDirective,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLString,
)

from schema.catalog.records import (
    Argument,
    MutationField,
    PayloadField,
    Result,
    TypeEntry,
    TypeKind,
)
from schema.writes import Writes
from schema.writes import descriptions as texts

from .objects import Wire
from .resolvers import Resolvers
from .strawberry_definitions import (
    DEFINITION,
    GeneratedArgument,
    GeneratedDefinition,
    GeneratedField,
    Ref,
    ResolveInfo,
    TypeTable,
)

PAYLOAD_KINDS = frozenset({TypeKind.PAYLOAD, TypeKind.PAYLOADS, TypeKind.OPERATION_PAYLOAD})

ATOMIC = GraphQLDirective("atomic", [DirectiveLocation.MUTATION], description=texts.ATOMIC)
VALUE_FROM = GraphQLDirective(
    "valueFrom",
    [DirectiveLocation.VARIABLE_DEFINITION],
    args={
        "path": GraphQLArgument(GraphQLNonNull(GraphQLString), description=texts.VALUE_FROM_PATH)
    },
    description=texts.VALUE_FROM,
)

_FIXED: Mapping[str, tuple[str, tuple[tuple[str, Ref], ...], Mapping[str, str]]] = {
    "UserError": (
        texts.USER_ERROR,
        (
            ("code", Ref("String", nullable=False)),
            ("message", Ref("String", nullable=False)),
            ("field", Ref("String")),
            ("path", Ref("String", nullable=False, many=True)),
            ("conflicts", Ref("FieldConflict", nullable=False, many=True)),
        ),
        texts.USER_ERROR_FIELDS,
    ),
    "FieldConflict": (
        texts.FIELD_CONFLICT,
        (
            ("field", Ref("String", nullable=False)),
            ("current", Ref("JSON")),
            ("sent", Ref("JSON")),
        ),
        texts.FIELD_CONFLICT_FIELDS,
    ),
}


class MutationTypes:
    """Creates the definitions of ``Mutation`` and of payload types, by name."""

    def __init__(self, writes: Writes, resolvers: Resolvers, types: TypeTable) -> None:
        self._writes = writes
        self._resolvers = resolvers
        self._types = types

    def root(self) -> GeneratedDefinition:
        """Return the type ``Mutation``."""
        return GeneratedDefinition("Mutation", lambda: self._writes, self.field)

    def fixed(self, name: str) -> GeneratedDefinition | None:
        """Return a type that every schema with mutations has; None for any other name."""
        fixed = _FIXED.get(name)
        if fixed is None:
            return None
        description, fields, descriptions = fixed
        wires = {n: Wire(n, ref, descriptions[n]) for n, ref in fields}
        return GeneratedDefinition(name, lambda: wires, self._plain, description=description)

    def make(self, entry: TypeEntry) -> GeneratedDefinition:
        """Return the definition of a payload type."""
        return GeneratedDefinition(
            entry.name,
            lambda: self._writes.payload_of(entry.name),
            self._payload_field,
            description=texts.companion(entry),
        )

    def field(self, field: MutationField) -> GeneratedField:
        """Return a field of ``Mutation``."""
        writes, resolvers = self._writes, self._resolvers

        def resolve(_source: object, info: ResolveInfo, **_arguments: object) -> object:
            return resolvers.mutation(field, info)

        return GeneratedField(
            field.name,
            _ref(writes.result(field)),
            self._types,
            description=writes.description(field),
            arguments=tuple(map(self._argument, writes.arguments(field))),
            resolve=resolve,
        )

    def _argument(self, argument: Argument) -> GeneratedArgument:
        ref = Ref(argument.type_name, argument.nullable, argument.many)
        return GeneratedArgument(argument.name, ref, self._types, argument.description)

    def _payload_field(self, field: PayloadField) -> GeneratedField:
        resolvers = self._resolvers

        def resolve(source: object, info: ResolveInfo, **_arguments: object) -> object:
            return resolvers.payload(field, source, info)

        return GeneratedField(
            field.name,
            _ref(field.result),
            self._types,
            description=field.description,
            resolve=resolve,
        )

    def _plain(self, wire: Wire) -> GeneratedField:
        return GeneratedField(
            wire.name,
            wire.ref,
            self._types,
            description=wire.description,
            resolve=_read(wire.name),
        )


def writes_of(schema: GraphQLSchema) -> Writes | None:
    """Return the writes that ``Mutation`` was generated from; None if the schema has no generated ``Mutation``."""
    mutation_type = schema.mutation_type
    definition = None if mutation_type is None else mutation_type.extensions.get(DEFINITION)
    records = definition.names() if isinstance(definition, GeneratedDefinition) else None
    return records if isinstance(records, Writes) else None


def _read(name: str) -> Callable[..., object]:
    def resolve(source: Any, _info: ResolveInfo, **_arguments: object) -> object:
        return source[name]

    return resolve


def _ref(result: Result) -> Ref:
    return Ref(result.type_name, result.nullable, result.many, result.gaps)
