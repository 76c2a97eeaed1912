"""Builds a Strawberry schema of a catalogue in milliseconds at any size: types are created on first use.

``schema.core`` is the graphql-core schema for parsing, validation and execution. Introspecting it through graphql-core
creates every type, so ``schema.introspection`` answers such operations from the catalogue instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import strawberry
from graphql import GraphQLNamedType, GraphQLObjectType, GraphQLSchema
from strawberry.schema.config import StrawberryConfig
from strawberry.types.base import StrawberryObjectDefinition, get_object_definition
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField

from schema.catalog import Catalog
from schema.catalog.display_values import PARTS_TYPES
from schema.catalog.records import RootField, RootKind, TypeEntry
from schema.errors import NameCollisionError, SchemaError
from schema.unified.api import Namespace, UnifiedApi
from schema.unified.records import ModelSpec
from schema.writes import Writes
from schema.writes.unified import UnifiedWrites

from . import scalars
from .aggregates import FIXED_TYPES as _FIXED_BY_AGGREGATES
from .aggregates import AggregateTypes
from .changes import CHANGES, ChangesTypes
from .combinations import (
    COMBINATION,
    COMBINATION_TYPES,
    CombinationTypes,
    has_combinations,
)
from .federation import ENTITY, SCALARS, Federation, FederationTypes, Named, chained
from .inputs import INPUT_KINDS, InputTypes
from .lazy import LazyFields, LazySchema, LazyTypes
from .mutations import ATOMIC, PAYLOAD_KINDS, VALUE_FROM, MutationTypes
from .objects import ObjectTypes
from .parts import PartsTypes
from .printing import print_sdl
from .resolvers import Resolvers
from .strawberry_converter import GeneratingConverter, is_one_of
from .strawberry_definitions import (
    DEFINITION,
    GeneratedDefinition,
    GeneratedField,
    NamedType,
    Ref,
    TypeTable,
)
from .subscriptions import FIXED_TYPES as _FIXED_BY_SUBSCRIPTIONS
from .subscriptions import SubscriptionTypes
from .unified import UnifiedTypes

_BUILT_IN: Mapping[str, NamedType] = {
    "String": str,
    "Int": int,
    "Float": float,
    "Boolean": bool,
    "ID": cast("NamedType", strawberry.ID),
}
_STARTED = frozenset({*_BUILT_IN, "Query"})
"""Names of types that Strawberry itself puts into every schema."""
_FIXED = ("Node", "PageInfo", "SortDirection")
_FIXED_BY_WRITES = ("UserError", "FieldConflict")


def build_schema(  # noqa: PLR0913 - the parts of an API
    catalog: Catalog,
    resolvers: Resolvers,
    *,
    writes: Writes | None = None,
    subscriptions: bool = False,
    changes: str | None = None,
    aggregates: bool = False,
    unified: Sequence[ModelSpec] = (),
    unified_prefix: bool = True,
    federation: Federation | None = None,
    extra_query: type | None = None,
    extra_types: Sequence[type] = (),
) -> ODataSchema:
    """Return the schema of a catalogue.

    Without ``writes`` it has no mutations, without ``aggregates`` no fields that aggregate lists. ``subscriptions`` and
    ``changes`` need rows with global ids; ``changes`` is the description of that field, None: there is none. Of the
    ``unified`` models those are served that the catalogue has entity sets for; without ``unified_prefix`` their root
    fields have no prefix, so that they are the same in other subgraphs. With ``federation`` the schema is a subgraph.
    ``extra_query`` is an ordinary ``@strawberry.type`` class whose fields are added to ``Query`` and resolved by
    Strawberry as usual. Raises NameCollisionError if a hand-written name equals a generated one.
    """
    return ODataSchema(
        catalog,
        resolvers,
        writes=writes,
        subscriptions=subscriptions,
        changes=changes,
        aggregates=aggregates,
        unified=unified,
        unified_prefix=unified_prefix,
        federation=federation,
        extra_query=extra_query,
        extra_types=extra_types,
    )


class ODataSchema(strawberry.Schema):
    """A Strawberry schema over a catalogue."""

    def __init__(  # noqa: PLR0913 - likewise
        self,
        catalog: Catalog,
        resolvers: Resolvers,
        *,
        writes: Writes | None = None,
        subscriptions: bool = False,
        changes: str | None = None,
        aggregates: bool = False,
        unified: Sequence[ModelSpec] = (),
        unified_prefix: bool = True,
        federation: Federation | None = None,
        extra_query: type | None = None,
        extra_types: Sequence[type] = (),
    ) -> None:
        self.catalog = catalog
        self.federation = federation
        self._copy = partial(
            ODataSchema,
            resolvers=resolvers,
            subscriptions=subscriptions,
            changes=changes,
            aggregates=aggregates,
            unified=unified,
            unified_prefix=unified_prefix,
            extra_query=extra_query,
            extra_types=extra_types,
        )
        self.writes = writes or None
        self.unified = UnifiedApi(unified, catalog, has_prefix=unified_prefix)
        """The unified models that are served."""
        self._types = TypeTable(self._make)
        written = None
        if self.writes is not None:
            written = self.writes.unified = UnifiedWrites(self.unified, self.writes)
            self.unified.written = written.entries
        self._federated = (
            None
            if federation is None
            else FederationTypes(resolvers, self._types, has_entities="node" in catalog.roots)
        )
        has_subscriptions = subscriptions and catalog.has_watchable
        has_companies = catalog.abilities.company_property is not None
        objects = self.unified.interface if self.unified else ""
        self._combinations = CombinationTypes(self._types) if has_combinations(catalog) else None
        self._changes = (
            ChangesTypes(
                self._types,
                changes,
                companies=has_companies,
                streams=has_subscriptions,
                objects=objects,
            )
            if changes is not None and catalog.has_watchable
            else None
        )
        fixed = (
            *_FIXED,
            *(_FIXED_BY_WRITES if self.writes else ()),
            *(_FIXED_BY_SUBSCRIPTIONS if has_subscriptions else ()),
            *(() if self._changes is None else self._changes.names),
            *(_FIXED_BY_AGGREGATES if aggregates else ()),
            *(PARTS_TYPES if catalog.abilities.display_values else ()),
            *(COMBINATION_TYPES if self._combinations else ()),
            *(() if self._federated is None else self._federated.names),
        )
        self._fixed = tuple(
            name
            for name in (*_BUILT_IN, *scalars.DEFINITIONS, *fixed)
            if name != "Node" or "node" in catalog.roots
        )
        self._objects = ObjectTypes(catalog, resolvers, self._types)
        self._inputs = InputTypes(catalog, self._types, self.writes)
        self._aggregates = AggregateTypes(resolvers, self._types) if aggregates else None
        self._parts = PartsTypes(self._types) if catalog.abilities.display_values else None
        self._unified = (
            UnifiedTypes(self.unified, catalog, resolvers, self._types, written)
            if self.unified
            else None
        )
        self._mutations = (
            None if self.writes is None else MutationTypes(self.writes, resolvers, self._types)
        )
        self._subscriptions = (
            SubscriptionTypes(self._types, self._changes, companies=has_companies, objects=objects)
            if has_subscriptions
            else None
        )
        # Strawberry rejects a Query without fields; the placeholder goes when the lazy schema replaces Strawberry's.
        extra = _extra_fields(extra_query)
        super().__init__(
            _query_class(extra or [GeneratedField("_", Ref("Boolean"), self._types)]),
            types=extra_types,
            config=StrawberryConfig(scalar_map={**scalars.SCALAR_MAP, **SCALARS}),
        )
        self._grow(keep_started_fields=bool(extra))

    @property
    def core(self) -> GraphQLSchema:
        """The graphql-core schema."""
        return self._schema

    @property
    def made_types(self) -> int:
        """The number of types created so far."""
        return len(self.schema_converter.type_map)

    @property
    def roots(self) -> Mapping[str, RootField]:
        """The fields of ``Query`` that the planner handles; the others are resolved by graphql-core."""
        own = self._own_roots
        return own if self._federated is None else self._federated.roots(own)

    @property
    def has_aggregates(self) -> bool:
        """Whether lists have fields that aggregate them."""
        return self._aggregates is not None

    @property
    def _own_roots(self) -> Mapping[str, RootField]:
        own = self.catalog.roots
        return own if self._aggregates is None else chained(self.catalog.aggregates, own)

    def copy_for(self, catalog: Catalog, *, federated: bool = True) -> ODataSchema:
        """Return the same schema over another catalogue of the same model, with no type created yet.

        ``federated`` False leaves out what makes a subgraph of it.
        """
        writes = None if self.writes is None else Writes(catalog, self.writes.rules)
        federation = self.federation if federated else None
        return self._copy(catalog, writes=writes, federation=federation)

    def define(self, name: str) -> GeneratedDefinition | StrawberryEnumDefinition | None:
        """Return the definition of a generated type without caching it; None for any other name."""
        fixed = self._fixed_type(name)
        return self._generated_type(name) if fixed is None and self.entry(name) else fixed

    def as_str(self) -> str:
        """Return the SDL."""
        return print_sdl(self.core)

    def get_type_by_name(self, name: str) -> Any:  # type: ignore[override]
        """Return the Strawberry definition of a type."""
        core_type = self.core.get_type(name)
        return None if core_type is None else core_type.extensions.get(DEFINITION)

    def _extend_introspection(self) -> None:
        """Make ``isOneOf`` null for all but input types: Strawberry's resolver has no null and fails for lists."""
        meta = cast("GraphQLObjectType", self._schema.type_map["__Type"])
        meta.fields["isOneOf"].resolve = lambda made, _info: is_one_of(made)

    def _grow(self, *, keep_started_fields: bool) -> None:
        """Replace the schema that Strawberry started with by the lazy one."""
        catalog, started = self.catalog, self._schema
        self._refuse_collisions(started)
        converter = GeneratingConverter(self.schema_converter, self._types, self.implementers)
        self.schema_converter = converter
        started_query = cast("Any", started.query_type)
        ordinary = started_query.fields if keep_started_fields else {}
        fields = self._query_fields()
        for name in ordinary:
            if name in fields:
                raise _collision(f"Query.{name}")

        definition = GeneratedDefinition("Query", lambda: fields, self._root_field)
        query = converter.root(definition, ordinary)

        def make(name: str) -> GraphQLNamedType | None:
            return converter.named(name) if self._has(name) else None

        roots = {"Query": query}
        if self._mutations is not None:
            mutation = self._mutations.root()
            roots["Mutation"] = converter.root(mutation)
            self.mutation = mutation.origin
        if self._subscriptions is not None:
            subscription = self._subscriptions.root()
            roots["Subscription"] = converter.root(subscription)
            self.subscription = subscription.origin
        types = LazyTypes({**started.type_map, **roots}, self._names, make)
        self.query = definition.origin
        self._schema = LazySchema(
            started,
            query,
            types,
            self.implementers,
            mutation=roots.get("Mutation"),
            subscription=roots.get("Subscription"),
        )
        if self._mutations is not None:
            self._schema.directives = (*self._schema.directives, ATOMIC, VALUE_FROM)
        self._schema.description = catalog.description
        # Strawberry finds its own schema by this attribute of graphql-core's.
        self._schema._strawberry_schema = self  # type: ignore[attr-defined]  # noqa: SLF001

    def _query_fields(self) -> Mapping[str, Named]:
        """Return the fields of ``Query`` that are generated, without a copy."""
        fields: Mapping[str, Named] = self._own_roots
        if self._federated is not None:
            fields = self._federated.fields(self._own_roots)
        if self._changes is not None:
            fields = self._changes.fields(fields)
        if self._combinations is not None:
            fields = self._combinations.fields(fields)
        if self._unified is not None:
            fields = self._unified.fields(fields)
        return fields

    def _root_field(self, record: Named) -> GeneratedField:
        if self._unified is not None and isinstance(record, Namespace):
            return self._unified.root_field(record)
        if self._changes is not None and record.name == CHANGES:
            return self._changes.field()
        if self._combinations is not None and record.name == COMBINATION:
            return self._combinations.field()
        if isinstance(record, RootField) and record.kind is not RootKind.ENTITIES:
            return self._objects.root_field(record)
        assert self._federated is not None
        return self._federated.field(record)

    def _refuse_collisions(self, started: GraphQLSchema) -> None:
        for name, made in started.type_map.items():
            if name in scalars.DEFINITIONS:
                _check_scalar(name, made)
            elif name in _STARTED or name.startswith("__"):
                continue
            elif name in self._fixed or self.unified.has(name) or self._is_generated(name):
                raise _collision(name)

    def _is_generated(self, name: str) -> bool:
        is_written = self.writes is not None and self.writes.entry(name) is not None
        return is_written or name in self.catalog.known_names()

    def _has(self, name: str) -> bool:
        return name in self._fixed or self.unified.has(name) or self.entry(name) is not None

    def entry(self, name: str) -> TypeEntry | None:
        """Return the catalogue entry of a generated type; None if the schema has none of that name."""
        entry = self.catalog.entry(name)
        if entry is None and self.writes is not None:
            entry = self.writes.entry(name)
        return entry

    def entries(self) -> Iterator[TypeEntry]:
        """Yield every generated type in the order of the schema, lazily."""
        yield from self.catalog.entries()
        if self.writes is not None:
            yield from self.writes.entries()

    def implementers(self, interface: str) -> tuple[list[str], list[str]]:
        """Return the object types and the interfaces that implement an interface, or that ``_Entity`` stands for."""
        if self.unified and interface == self.unified.interface:
            return self.unified.objects(), []
        is_union = interface == ENTITY and self._federated is not None
        return self.catalog.implementers("Node" if is_union else interface, self.entry)

    def forget(self) -> None:
        """Drop the catalogue's records; for schemas that are walked once, over a copy of the catalogue."""
        self.catalog.forget()
        if self.writes is not None:
            self.writes.forget()

    def tables(self) -> Iterator[dict[Any, Any]]:
        """Yield the tables that hold most of the schema's memory, to be cleared once the schema is retired.

        Types refer to each other through these tables. Cleared in steps they free nearly everything by reference
        counts, so that the garbage collector need not pause the process for it.
        """
        converter = cast("GeneratingConverter", self.schema_converter)
        # A copy, because the mapping may change while this generator is suspended.
        for made in tuple(converter.type_map.values()):
            fields = getattr(made.implementation, "fields", None)
            if isinstance(fields, LazyFields):
                yield fields.table
        yield from (converter.made_arguments, converter.refs, converter.type_map)
        yield cast("LazyTypes", self.core.type_map).table
        yield from (self._objects.table, self._types.by_ref, self._types.by_name)
        if self.writes is not None:
            yield from self.writes.tables()
        yield from self.catalog.tables()

    def _names(self) -> Iterator[str]:
        yield from self._fixed
        yield from self.unified.entries
        yield from (entry.name for entry in self.entries())

    def _make(self, name: str) -> NamedType:
        built_in = _BUILT_IN.get(name)
        if built_in is not None:
            return built_in
        if name in scalars.DEFINITIONS:
            return cast("NamedType", scalars.DEFINITIONS[name][0])
        if self._federated is not None and name in self._federated.names:
            return self._federated.named(name)
        return self._fixed_type(name) or self._generated_type(name)

    def _fixed_type(self, name: str) -> GeneratedDefinition | StrawberryEnumDefinition | None:
        fixed = self._objects.fixed(name)
        if fixed is None and self._mutations is not None:
            fixed = self._mutations.fixed(name)
        if fixed is None and self._subscriptions is not None:
            fixed = self._subscriptions.fixed(name)
        if fixed is None and self._changes is not None:
            fixed = self._changes.fixed(name)
        if fixed is None and self._aggregates is not None:
            fixed = self._aggregates.fixed(name)
        if fixed is None and self._parts is not None:
            fixed = self._parts.fixed(name)
        if fixed is None and self._combinations is not None:
            fixed = self._combinations.fixed(name)
        if fixed is None and self._unified is not None:
            fixed = self._unified.fixed(name)
        return fixed

    def _generated_type(self, name: str) -> GeneratedDefinition | StrawberryEnumDefinition:
        entry = self.catalog.known_names().get(name) or self.entry(name)
        if entry is None:
            raise KeyError(name)
        if entry.kind in PAYLOAD_KINDS and self._mutations is not None:
            return self._mutations.make(entry)
        maker = self._inputs if entry.kind in INPUT_KINDS else self._objects
        return maker.make(entry)


def _extra_fields(extra_query: type | None) -> list[StrawberryField]:
    if extra_query is None:
        return []
    definition = get_object_definition(extra_query)
    if definition is None:
        raise SchemaError(
            f"extra_query {extra_query.__name__} is not a Strawberry type.",
            hint="Decorate the class with @strawberry.type.",
        )
    return definition.fields


def _query_class(fields: list[StrawberryField]) -> type:
    definition = StrawberryObjectDefinition(
        name="Query",
        is_input=False,
        is_interface=False,
        origin=object,
        description=None,
        interfaces=[],
        extend=False,
        directives=(),
        is_type_of=None,
        resolve_type=None,
        fields=fields,
    )
    definition.origin = type("Query", (), {"__strawberry_definition__": definition})
    return definition.origin


def _collision(name: str) -> NameCollisionError:
    return NameCollisionError(
        f"The hand-written {name} has the same name as a generated type or field.",
        hint="Rename it, or rename the generated one in the setting renames.",
    )


def _check_scalar(name: str, made: GraphQLNamedType) -> None:
    if made.extensions.get(DEFINITION) is not scalars.DEFINITIONS[name][1]:
        raise NameCollisionError(
            f"A hand-written field uses another scalar named {name}.",
            hint=f"Annotate it with schema.types.scalars.{name}.",
        )
