"""The types of one schema, described: the catalogue's from its records, the few others from graphql-core's.

Nothing is kept but names, so walking through all types costs no memory that the catalogue itself does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLObjectType, GraphQLUnionType
from strawberry.types.enum import StrawberryEnumDefinition

from schema import describe
from schema.build import ODataSchema
from schema.fields import (
    Argument,
    Field,
    FieldKind,
    InputField,
    MutationField,
    PayloadField,
    Result,
    RootField,
    TypeEntry,
    TypeKind,
)
from schema.generated import DEFINITION, GeneratedArgument, GeneratedDefinition, GeneratedField, Ref
from schema.inputs import INPUT_KINDS
from schema.objects import Wire, connection_fields, edge_fields
from schema.writes import Writes, texts

from .described import (
    DescribedType,
    Member,
    Value,
    described,
    kind_of,
    member_of,
    notation,
)

_OBJECTS = frozenset({TypeKind.OBJECT, TypeKind.INTERFACE})
_ASKING = frozenset({TypeKind.WHERE, TypeKind.COLLECTION_WHERE, TypeKind.ORDER_BY, TypeKind.FILTER})
_READING = _OBJECTS | _ASKING | {TypeKind.CONNECTION, TypeKind.EDGE, TypeKind.ENUM}
_WIRED: Mapping[TypeKind, tuple[Any, Callable[[str], str]]] = {
    TypeKind.CONNECTION: (connection_fields, describe.connection),
    TypeKind.EDGE: (edge_fields, describe.edge),
}


@dataclass(frozen=True, slots=True)
class RootMember:
    """A field of a root type, not described yet."""

    name: str
    csdl: str
    """The type of its rows, with which it is best described; empty where there is none."""


class Types:
    """Describes the types of a schema, by name."""

    def __init__(self, schema: ODataSchema) -> None:
        self.schema = schema
        self.core = schema.core
        self._catalog = schema.catalog
        self._writes = schema.writes
        self._kinds: dict[str, str] = {}
        roots = (self.core.query_type, self.core.mutation_type, self.core.subscription_type)
        self.roots = {made.name: made for made in roots if made is not None}

    def names(self) -> Iterator[str]:
        """Give every name in the schema's order, none ahead of the one that is asked for."""
        return iter(self.core.type_map)

    def entries(self) -> Iterator[TypeEntry]:
        """Give the generated types in the schema's order, none ahead."""
        for entry in self.schema.entries():
            self._kinds[entry.name] = _kind_of(entry)
            yield entry

    def forget(self) -> None:
        """Let go of the catalogue's records."""
        self.schema.forget()

    def kind(self, name: str) -> str:
        """Give the ``__TypeKind`` of a type; raises KeyError."""
        found = self._kinds.get(name)
        if found is None:
            found = self._kinds[name] = self._kind(name)
        return found

    def _kind(self, name: str) -> str:
        known = self._catalog.known_names().get(name) or self.schema.entry(name)
        if known is None:
            return kind_of(self.core.type_map[name])
        return _kind_of(known)

    def find(self, name: str) -> DescribedType | None:
        """Describe a type; None where the schema has none of that name."""
        entry = self.schema.entry(name)
        if entry is not None:
            return self.generated(entry)
        made = self.core.get_type(name)
        if made is None:
            return None
        if isinstance(made, GraphQLObjectType) and name in self.roots:
            return self._root(made)
        return described(made, self._possible)

    def _possible(self, name: str) -> list[str]:
        """Give the possible types of an abstract type that has no entry: hand-written, or ``Node``."""
        generated, _ = self.schema.implementers(name)
        if generated:
            return generated
        made = self.core.type_map[name]
        if isinstance(made, GraphQLUnionType):
            return [member.name for member in made.types]
        return [member.name for member in self.core.get_possible_types(made)]  # type: ignore[arg-type]

    # Generated types

    def generated(self, entry: TypeEntry) -> DescribedType:
        """Describe a generated type."""
        catalog, name, csdl = self._catalog, entry.name, entry.csdl
        if entry.kind in _OBJECTS:
            is_abstract = entry.kind is TypeKind.INTERFACE
            return DescribedType(
                name=name,
                kind="INTERFACE" if is_abstract else "OBJECT",
                description=catalog.type_description(csdl) or None,
                fields=lambda: map(self.row_member, catalog.object(csdl).fields.values()),
                interfaces=lambda: (n for n in catalog.interfaces(csdl) if n != name),
                possible=(lambda: self.schema.implementers(name)[0]) if is_abstract else None,
            )
        if entry.kind in _ASKING:
            return DescribedType(
                name=name,
                kind="INPUT_OBJECT",
                description=describe.input_type(entry),
                inputs=lambda: map(input_member, catalog.inputs_of(name).values()),
                one_of=entry.kind is TypeKind.ORDER_BY,
            )
        if entry.kind in _WIRED:
            fields, describe_it = _WIRED[entry.kind]
            return DescribedType(
                name=name,
                kind="OBJECT",
                description=describe_it(csdl),
                fields=lambda: map(_wired, fields(catalog, csdl)),
                interfaces=tuple,
            )
        if self._writes is not None and entry.kind not in _READING:
            return _written(entry, self._writes)
        definition = self.schema.define(name)
        assert definition is not None
        return _defined(definition)

    def row_member(self, field: Field) -> Member:
        """Describe a field of rows."""
        arguments: tuple[Member, ...] = ()
        if field.kind is FieldKind.TO_MANY:
            given = self._catalog.list_arguments(field.target, root=False)
            arguments = tuple(map(_argument, given))
        use = notation(field.type_name, nullable=field.nullable, many=field.many)
        return Member(field.name, field.description or None, use, arguments)

    # Root types

    def root_members(self, made: GraphQLObjectType) -> Iterator[RootMember]:
        """Give the fields of a root type in order, without describing them."""
        records: Mapping[str, RootField | MutationField] = {}
        if made is self.core.query_type:
            records = self._catalog.roots
        elif made is self.core.mutation_type and self._writes is not None:
            records = self._writes
        for name in made.fields:
            record = records.get(name)
            yield RootMember(name, "" if record is None else record.csdl)

    def root_member(self, made: GraphQLObjectType, name: str) -> Member:
        """Describe a field of a root type."""
        catalog, writes = self._catalog, self._writes
        if made is self.core.query_type and (root := catalog.roots.get(name)) is not None:
            return Member(
                name,
                catalog.root_description(root) or None,
                _result(catalog.result(root)),
                tuple(map(_argument, catalog.root_arguments(root))),
            )
        if made is self.core.mutation_type and writes is not None and name in writes:
            mutation = writes[name]
            return Member(
                name,
                writes.description(mutation) or None,
                _result(writes.result(mutation)),
                tuple(map(_argument, writes.arguments(mutation))),
            )
        generated = self._generated_field(made, name)
        return member_of(name, made.fields[name]) if generated is None else _generated(generated)

    def _generated_field(self, made: GraphQLObjectType, name: str) -> GeneratedField | None:
        definition = made.extensions.get(DEFINITION)
        return definition.field(name) if isinstance(definition, GeneratedDefinition) else None

    def _root(self, made: GraphQLObjectType) -> DescribedType:
        return DescribedType(
            name=made.name,
            kind="OBJECT",
            description=made.description,
            fields=lambda: (self.root_member(made, name) for name in made.fields),
            interfaces=lambda: (i.name for i in made.interfaces),
        )


def _kind_of(entry: TypeEntry) -> str:
    if entry.kind in INPUT_KINDS:
        return "INPUT_OBJECT"
    return {TypeKind.ENUM: "ENUM", TypeKind.INTERFACE: "INTERFACE"}.get(entry.kind, "OBJECT")


def _written(entry: TypeEntry, writes: Writes) -> DescribedType:
    """Describe a type that only mutations take or answer."""
    name, description = entry.name, texts.companion(entry)
    if entry.kind in INPUT_KINDS:
        return DescribedType(
            name=name,
            kind="INPUT_OBJECT",
            description=description,
            inputs=lambda: map(input_member, writes.inputs.fields(entry).values()),
            one_of=False,
        )
    return DescribedType(
        name=name,
        kind="OBJECT",
        description=description,
        fields=lambda: map(_payload_field, writes.payload_of(name).values()),
        interfaces=tuple,
    )


def _payload_field(field: PayloadField) -> Member:
    return Member(field.name, field.description or None, _result(field.result))


def _result(result: Result) -> str:
    return notation(result.type_name, nullable=result.nullable, many=result.many, gaps=result.gaps)


def _use(ref: Ref) -> str:
    return notation(ref.name, nullable=ref.nullable, many=ref.many, gaps=ref.gaps)


def _argument(argument: Argument) -> Member:
    use = notation(argument.type_name, nullable=argument.nullable, many=argument.many)
    return Member(argument.name, argument.description or None, use)


def input_member(field: InputField) -> Member:
    """Describe a field of a generated input type."""
    use = notation(field.type_name, nullable=field.nullable, many=field.many)
    return Member(field.name, field.description or None, use)


def _wired(wire: Wire) -> Member:
    return Member(wire.name, wire.description or None, _use(wire.ref))


def _generated(field: GeneratedField) -> Member:
    arguments = tuple(
        Member(a.python_name, a.description, _use(a.ref))
        for a in field.arguments
        if isinstance(a, GeneratedArgument)
    )
    return Member(field.name, field.description, _use(field.ref), arguments)


def _defined(definition: GeneratedDefinition | StrawberryEnumDefinition) -> DescribedType:
    """Describe any generated type by its Strawberry definition."""
    name, description = definition.name, definition.description
    if isinstance(definition, StrawberryEnumDefinition):
        values = definition.values
        return DescribedType(
            name=name,
            kind="ENUM",
            description=description,
            values=lambda: (Value(v.name, v.description, v.deprecation_reason) for v in values),
        )
    found = definition

    def members() -> Iterable[Member]:
        return (_generated(f) for f in found.fields if isinstance(f, GeneratedField))

    if definition.is_input:
        return DescribedType(
            name=name,
            kind="INPUT_OBJECT",
            description=description,
            inputs=members,
            one_of=definition.is_one_of,
        )
    return DescribedType(
        name=name,
        kind="OBJECT",
        description=description,
        fields=members,
        interfaces=lambda: (i.name for i in found.interfaces),
    )
