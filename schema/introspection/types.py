"""Descriptions of the types of one schema: generated ones from the catalogue, the few others from graphql-core.

Only names are kept, so a walk through all types needs no memory beyond the catalogue's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, takewhile
from typing import Any, NamedTuple

from graphql import GraphQLObjectType, GraphQLUnionType
from strawberry.types.enum import StrawberryEnumDefinition

from schema.catalog import Catalog
from schema.catalog import descriptions as describe
from schema.catalog.objects import CUSTOM_ARGUMENTS
from schema.catalog.records import (
    Argument,
    EnumInfo,
    Field,
    FieldKind,
    MutationField,
    PayloadField,
    Result,
    RootField,
    RootKind,
    TypeEntry,
    TypeKind,
    Verb,
)
from schema.types.aggregates import AGGREGATE
from schema.types.build import ODataSchema
from schema.types.inputs import INPUT_KINDS
from schema.types.objects import Wire, connection_fields, edge_fields
from schema.types.strawberry_definitions import (
    DEFINITION,
    GeneratedArgument,
    GeneratedDefinition,
    GeneratedField,
    Ref,
)
from schema.writes import Writes
from schema.writes import descriptions as texts

from .row_shapes import MARKED_KINDS
from .row_templates import Rows
from .type_records import (
    DescribedType,
    Member,
    Value,
    describe_type,
    input_member,
    kind_of,
    member_of,
    notation,
)

_OBJECTS = frozenset({TypeKind.OBJECT, TypeKind.INTERFACE})
_ASKING = frozenset({TypeKind.WHERE, TypeKind.COLLECTION_WHERE, TypeKind.ORDER_BY, TypeKind.FILTER})
_OF_ROWS = frozenset({TypeKind.WHERE, TypeKind.ORDER_BY})
_READING = _OBJECTS | _ASKING | {TypeKind.CONNECTION, TypeKind.EDGE, TypeKind.ENUM}
_WIRED: Mapping[TypeKind, tuple[Any, Callable[[str], str]]] = {
    TypeKind.CONNECTION: (connection_fields, describe.connection),
    TypeKind.EDGE: (edge_fields, describe.edge),
}


class RowRoot(NamedTuple):
    """A field of a root type that reads or writes rows of an entity set."""

    of: GraphQLObjectType
    name: str
    of_set: str
    many: bool
    verb: Verb | None = None
    aggregates: bool = False
    """Whether it returns aggregates of the rows."""


class Family(NamedTuple):
    """A CSDL type and the GraphQL types generated from it."""

    csdl: str
    reading: list[TypeEntry]
    writing: list[TypeEntry]


class Types:
    """Describes the types of a schema, by name."""

    def __init__(self, schema: ODataSchema) -> None:
        self.schema = schema
        self.core = schema.core
        self._catalog = schema.catalog
        self._writes = schema.writes
        self._kinds: dict[str, str] = dict(MARKED_KINDS)
        self._list_arguments: dict[str, tuple[Member, ...]] = {}
        """CSDL type → arguments of to-many fields of such rows."""
        self.rows = Rows(schema.catalog, schema.writes, self.row_member)
        roots = (self.core.query_type, self.core.mutation_type, self.core.subscription_type)
        self.roots = {root.name: root for root in roots if root is not None}

    def for_catalog(self, catalog: Catalog, writes: Writes | None) -> Types:
        """Return an instance for the generated types of another catalogue; it knows the kinds of both."""
        self._kinds.update((e.name, _kind_of(e)) for e in catalog.entries())
        result = copy.copy(self)
        rows = Rows(catalog, writes, result.row_member)
        vars(result).update(_catalog=catalog, _writes=writes, rows=rows)
        return result

    def names(self) -> Iterator[str]:
        """Return every name in the schema's order, lazily."""
        return iter(self.core.type_map)

    def first_names(self) -> Iterator[str]:
        """Return the names that come before those of generated types."""
        return takewhile(lambda name: self.schema.entry(name) is None, self.names())

    def entries(self) -> Iterator[TypeEntry]:
        """Return the generated types in the schema's order, lazily."""
        return self.schema.entries()

    def families(self) -> Iterator[Family]:
        """Yield the types by the CSDL type that they are made from.

        Types for reading come in the schema's order; the order of those for writing is that of ``write_owners``.
        """
        with_reading = set[str]()
        for csdl, entries in self._catalog.families():
            with_reading.add(csdl)
            yield self._family(csdl, list(entries))
        for csdl in self.write_owners():
            if csdl not in with_reading:
                yield self._family(csdl, [])

    def _family(self, csdl: str, reading: list[TypeEntry]) -> Family:
        writing = [] if self._writes is None else list(self._writes.family(csdl))
        return Family(csdl, reading, writing)

    def remember_kinds(self, entries: Iterable[TypeEntry]) -> None:
        """Make ``kind`` fast for types that others refer to."""
        self._kinds.update((e.name, _kind_of(e)) for e in entries)

    def write_owners(self) -> Iterator[str]:
        """Return CSDL types in the order in which their types for writing appear in the schema."""
        return iter(()) if self._writes is None else self._writes.owners()

    def forget(self) -> None:
        """Drop the catalogue's records."""
        self._list_arguments = {}
        self.rows.forget()
        self.schema.forget()

    def kind(self, name: str) -> str:
        """Return the ``__TypeKind`` of a type. Raises KeyError if there is none."""
        kind_ = self._kinds.get(name)
        if kind_ is None:
            kind_ = self._kinds[name] = self._kind(name)
        return kind_

    def _kind(self, name: str) -> str:
        entry = self._catalog.known_names().get(name) or self.schema.entry(name)
        if entry is None:
            return kind_of(self.core.type_map[name])
        return _kind_of(entry)

    def find(self, name: str) -> DescribedType | None:
        """Describe a type; None if the schema has none of that name."""
        entry = self.schema.entry(name)
        if entry is not None:
            return self.generated(entry)
        core_type = self.core.get_type(name)
        if core_type is None:
            return None
        if isinstance(core_type, GraphQLObjectType) and name in self.roots:
            return self._root(core_type)
        return describe_type(core_type, self._possible)

    def _possible(self, name: str) -> list[str]:
        """Return the possible types of an abstract type outside the catalogue: hand-written, or ``Node``."""
        generated, _ = self.schema.implementers(name)
        if generated:
            return generated
        core_type = self.core.type_map[name]
        if isinstance(core_type, GraphQLUnionType):
            return [member.name for member in core_type.types]
        return [member.name for member in self.core.get_possible_types(core_type)]  # type: ignore[arg-type]

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
                fields=lambda: self.rows.members(entry) or self._row_members(csdl),
                interfaces=lambda: (n for n in catalog.interfaces(csdl) if n != name),
                possible=(lambda: self.schema.implementers(name)[0]) if is_abstract else None,
            )
        if entry.kind in _ASKING:
            return DescribedType(
                name=name,
                kind="INPUT_OBJECT",
                description=describe.input_type(entry),
                inputs=lambda: self._asking(entry),
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
            return _written(entry, self._writes, self.rows)
        if entry.kind is TypeKind.ENUM:
            return _enum(catalog.enum(csdl))
        definition = self.schema.define(name)
        assert definition is not None
        return _defined(definition)

    def _row_members(self, csdl: str) -> Iterator[Member]:
        return map(self.row_member, self._catalog.object(csdl).fields.values())

    def _asking(self, entry: TypeEntry) -> Iterable[Member]:
        alike = self.rows.members(entry)
        if alike is not None:
            return alike
        if entry.kind not in _OF_ROWS:
            return map(input_member, self._catalog.inputs_of(entry.name).values())
        of_rows = (
            Member(name, field.description or None, type_name)
            for name, _, type_name, field in self._catalog.row_inputs(entry)
        )
        return chain(map(input_member, self._catalog.logic_fields(entry)), of_rows)

    def row_member(self, field: Field) -> Member:
        """Describe a field of rows."""
        use = notation(field.type_name, nullable=field.nullable, many=field.many)
        arguments: tuple[Member, ...] = ()
        if field.kind is FieldKind.TO_MANY:
            arguments = self._arguments(field.target)
        elif field.kind is FieldKind.CUSTOM:
            arguments = _CUSTOM_ARGUMENTS
        return Member(field.name, field.description or None, use, arguments)

    def _arguments(self, csdl: str) -> tuple[Member, ...]:
        arguments = self._list_arguments.get(csdl)
        if arguments is None:
            declared = self._catalog.list_arguments(csdl, root=False)
            arguments = self._list_arguments[csdl] = tuple(map(_argument, declared))
        return arguments

    # Root types

    def roots_of(self, csdl: str) -> Iterator[RowRoot]:
        """Yield the root fields that read and write rows of a type, without describing them."""
        query, mutation = self.core.query_type, self.core.mutation_type
        assert query is not None
        aggregates = self._catalog.aggregates if self.schema.has_aggregates else None
        for of_set in self._catalog.model.sets_of_type.get(csdl, ()):
            for kind, name in self._roots_of_sets.get(of_set, ()):
                many = kind is RootKind.LIST
                yield RowRoot(query, name, of_set, many)
                if many and aggregates is not None:
                    aggregate = aggregates.of_list(name, of_set)
                    if aggregate is not None:
                        yield RowRoot(query, aggregate, of_set, many, aggregates=True)
                if mutation is not None and self._writes is not None:
                    for verb, written in self._writes.of_root(name, of_set):
                        yield RowRoot(mutation, written, of_set, many, verb)

    @cached_property
    def _roots_of_sets(self) -> Mapping[str, list[tuple[RootKind, str]]]:
        by_set: dict[str, list[tuple[RootKind, str]]] = {}
        for kind, of_set, name in self._catalog.set_roots():
            by_set.setdefault(of_set, []).append((kind, name))
        return by_set

    def root_member(self, root_type: GraphQLObjectType, name: str) -> Member:
        """Describe a field of a root type."""
        catalog, writes = self._catalog, self._writes
        root = self._read_root(name) if root_type is self.core.query_type else None
        if root is not None:
            key = self.rows.key(root.csdl) if root.kind is RootKind.BY_KEY else None
            return Member(
                name,
                catalog.root_description(root) or None,
                _result(catalog.result(root)),
                tuple(map(_argument, catalog.root_arguments(root))) if key is None else key,
            )
        if root_type is self.core.mutation_type and writes is not None and name in writes:
            return mutation_member(writes[name], writes)
        generated = self._generated_field(root_type, name)
        return (
            member_of(name, root_type.fields[name]) if generated is None else _generated(generated)
        )

    def _read_root(self, name: str) -> RootField | None:
        """Return a field of ``Query`` that is made of the metadata; None for any other."""
        root = self._catalog.roots.get(name)
        if root is None and self.schema.has_aggregates:
            return self._catalog.aggregates.get(name)
        return root

    def _generated_field(self, root_type: GraphQLObjectType, name: str) -> GeneratedField | None:
        definition = root_type.extensions.get(DEFINITION)
        return definition.field(name) if isinstance(definition, GeneratedDefinition) else None

    def _root(self, root_type: GraphQLObjectType) -> DescribedType:
        return DescribedType(
            name=root_type.name,
            kind="OBJECT",
            description=root_type.description,
            fields=lambda: (self.root_member(root_type, name) for name in root_type.fields),
            interfaces=lambda: (i.name for i in root_type.interfaces),
        )


def mutation_member(field: MutationField, writes: Writes) -> Member:
    """Describe a field of ``Mutation``."""
    return Member(
        field.name,
        writes.description(field) or None,
        _result(writes.result(field)),
        tuple(map(_argument, writes.arguments(field))),
    )


def list_member(
    name: str, description: str, connection: str, arguments: Iterable[Argument]
) -> Member:
    """Describe a field of ``Query`` that lists rows."""
    return Member(name, description, f"{connection}!", tuple(map(_argument, arguments)))


def aggregate_member(name: str, of_set: str, arguments: Iterable[Argument]) -> Member:
    """Describe a field of ``Query`` that aggregates a list."""
    description = describe.aggregate(of_set)
    return Member(name, description, AGGREGATE, tuple(map(_argument, arguments)))


def _kind_of(entry: TypeEntry) -> str:
    if entry.kind in INPUT_KINDS:
        return "INPUT_OBJECT"
    return {TypeKind.ENUM: "ENUM", TypeKind.INTERFACE: "INTERFACE"}.get(entry.kind, "OBJECT")


def _enum(info: EnumInfo) -> DescribedType:
    return DescribedType(
        name=info.name,
        kind="ENUM",
        description=info.description or None,
        values=lambda: (Value(name, text or None) for name, text in info.descriptions.items()),
    )


def _written(entry: TypeEntry, writes: Writes, rows: Rows) -> DescribedType:
    """Describe a type that only mutations use."""
    name, description = entry.name, texts.companion(entry)
    if entry.kind in INPUT_KINDS:
        return DescribedType(
            name=name,
            kind="INPUT_OBJECT",
            description=description,
            inputs=lambda: rows.members(entry) or _written_inputs(entry, writes),
            one_of=False,
        )
    return DescribedType(
        name=name,
        kind="OBJECT",
        description=description,
        fields=lambda: map(_payload_field, writes.payload_fields(entry).values()),
        interfaces=tuple,
    )


def _written_inputs(entry: TypeEntry, writes: Writes) -> Iterator[Member]:
    of_row = writes.inputs.of_row(entry)
    if of_row is None:
        return map(input_member, writes.inputs.fields(entry).values())
    return (
        Member(
            field.name,
            spec.description or None,
            notation(spec.type_name, nullable=spec.nullable, many=field.many),
        )
        for field, spec in of_row
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


_CUSTOM_ARGUMENTS = tuple(map(_argument, CUSTOM_ARGUMENTS))


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
    fields_of = definition

    def members() -> Iterable[Member]:
        return (_generated(f) for f in fields_of.fields if isinstance(f, GeneratedField))

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
        interfaces=lambda: (i.name for i in fields_of.interfaces),
    )
