"""The types that exist for mutations only: those reachable from a field of ``Mutation``, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, lru_cache

from schema.catalog import Catalog
from schema.catalog.names import add_prefix, type_name
from schema.catalog.reach import reachable_names
from schema.catalog.records import (
    MutationField,
    RootField,
    RootKind,
    TypeEntry,
    TypeKind,
    ValueType,
    Verb,
)
from schema.model.records import Operation, TypeRef

from .allowed import AllowedWrites
from .naming import ROW_VERBS, companion_name, companion_names, parse_companion_name

_NEEDED_BY: Mapping[TypeKind, tuple[Verb, ...]] = {
    TypeKind.CREATE_INPUT: (Verb.CREATE,),
    TypeKind.PATCH: (Verb.UPDATE,),
    TypeKind.KEY: (Verb.UPDATE, Verb.DELETE),
    TypeKind.UPDATE_INPUT: (Verb.UPDATE,),
    TypeKind.DELETE_INPUT: (Verb.DELETE,),
    TypeKind.PAYLOAD: ROW_VERBS,
    TypeKind.PAYLOADS: ROW_VERBS,
}
_NESTED = (TypeKind.NESTED_INPUT, TypeKind.NESTED_CREATE)
_OF_VALUES = (TypeKind.VALUE_INPUT,)
_STRUCTURED = (TypeKind.OBJECT, TypeKind.INTERFACE)


@lru_cache(maxsize=64)
def _needed_by(verbs: frozenset[Verb]) -> tuple[TypeKind, ...]:
    """Return the kinds of types that writes need."""
    return tuple(kind for kind, by in _NEEDED_BY.items() if not verbs.isdisjoint(by))


class WriteTypes:
    """Looks types up by name and lists them; stores none that belongs to an entity set."""

    def __init__(
        self,
        catalog: Catalog,
        offers: AllowedWrites,
        actions: Mapping[str, MutationField],
        payloads_of_whole: Callable[[], Mapping[str, str] | None],
    ) -> None:
        self._payloads_of_whole = payloads_of_whole
        self._catalog = catalog
        self._offers = offers
        self._actions = actions

    def entry(self, name: str) -> TypeEntry | None:
        """Return the entry of a type that exists for mutations only; None for any other name."""
        return self.companion_entry(name) or self._of_operations.get(name)

    def entries(self) -> Iterator[TypeEntry]:
        """Yield every such type, by CSDL type; reads the whole model."""
        for owner in self.owners():
            yield from self.family(owner)

    def owners(self) -> Iterator[str]:
        """Yield the CSDL types that may have such types, and finally "" for operations."""
        yield from self._catalog.model.sets_of_type
        yield from self._catalog.model.complex_types
        yield ""

    def family(self, owner: str) -> Iterator[TypeEntry]:
        """Yield the types that exist for mutations of a CSDL type."""
        if not owner:
            yield from self._of_operations.values()
            return
        for kind, name in companion_names(self._catalog, self._kinds(owner), owner):
            yield TypeEntry(name, kind, owner)

    def _kinds(self, owner: str) -> Iterator[TypeKind]:
        """Yield the kinds that a CSDL type has: what decides several of them is computed once."""
        if owner in self._catalog.model.complex_types:
            yield from (kind for kind in _OF_VALUES if self._exists(kind, owner))
            return
        verbs = self._offers.of_type(owner)
        if verbs:
            yield from _needed_by(verbs)
        if self._exists(_NESTED[0], owner):
            yield from _NESTED

    def companion_entry(self, name: str) -> TypeEntry | None:
        """Return the entry of a structured type's companion, without reading operations."""
        parsed = parse_companion_name(name)
        if parsed is None:
            return None
        base, kind = parsed
        of = self._catalog.known_names().get(base)
        if of is None or of.kind not in _STRUCTURED or not self._is_named(of, kind, name):
            return None
        return TypeEntry(name, kind, of.csdl) if self._exists(kind, of.csdl) else None

    def _is_named(self, of: TypeEntry, kind: TypeKind, name: str) -> bool:
        is_it = self._catalog.reference_name(of.csdl) == of.name
        return is_it and companion_name(self._catalog, kind, of.csdl) == name

    def _exists(self, kind: TypeKind, csdl: str) -> bool:
        if kind is TypeKind.VALUE_INPUT:
            return csdl in self._values
        if kind in _NESTED:
            above = self._catalog.parents.get(csdl, ())
            if not above:
                return False
            create, offers = Verb.CREATE, self._offers
            return any(
                create in offers.of_type(parent) and create in offers.of_set(of_set)
                for parent, of_set in above
            )
        return not self._offers.of_type(csdl).isdisjoint(_NEEDED_BY[kind])

    # Complex values

    @cached_property
    def _values(self) -> frozenset[str]:
        """The complex types used in inputs of rows and in parameters of actions."""
        complex_types, catalog = self._catalog.model.complex_types, self._catalog
        if not complex_types:
            return frozenset()
        waiting = [n for n in self._written() if n in complex_types and catalog.is_served(n)]
        used = set(waiting)
        for csdl in waiting:  # grows while it is walked
            for prop in catalog.properties_of(csdl):
                name = prop.type.name
                is_new = name in complex_types and name not in used and catalog.is_served(name)
                if is_new and self._offers.on_create(prop):
                    used.add(name)
                    waiting.append(name)
        return frozenset(used)

    def _written(self) -> Iterator[str]:
        for csdl in self._catalog.model.sets_of_type:
            verbs = self._offers.of_type(csdl)
            creates, changes = Verb.CREATE in verbs, Verb.UPDATE in verbs
            for prop in self._catalog.properties_of(csdl) if creates or changes else ():
                is_given = creates and self._offers.on_create(prop)
                if is_given or (changes and self._offers.on_change(prop)):
                    yield prop.type.name
        yield from (p.name for p in self._parameters())

    # Operations

    @cached_property
    def payloads(self) -> Mapping[str, str]:
        """Name of an operation's field → name of its payload type."""
        whole = self._payloads_of_whole() if self._actions else {}
        if whole is not None:
            return {field: whole[field] for field in self._actions}
        names: dict[str, str] = {}
        taken = set[str]()
        for field in self._actions:
            of = type_name(field.removeprefix(self._catalog.prefix))
            name = f"{add_prefix(self._catalog.type_prefix, of)}Payload"
            while (
                name in taken or name in self._catalog.known_names() or self.companion_entry(name)
            ):
                name += "2"
            taken.add(name)
            names[field] = name
        return names

    @cached_property
    def _of_operations(self) -> Mapping[str, TypeEntry]:
        """Payloads of actions and services, and the types reachable from actions only."""
        entries = {
            payload: TypeEntry(payload, TypeKind.OPERATION_PAYLOAD, field)
            for field, payload in self.payloads.items()
        }
        known = self._catalog.known_names()
        for name in sorted(self._reached()):
            if self._catalog.entry(name) is None:
                entries[name] = known[name]
        return entries

    def _operations(self) -> Iterator[Operation]:
        return (f.operation for f in self._actions.values() if f.operation is not None)

    def _parameters(self) -> Iterator[TypeRef]:
        return (p.type for operation in self._operations() for p in operation.parameters)

    def _reached(self) -> frozenset[str]:
        """Return the types reachable from results and parameters, but not from ``Query``."""
        catalog = self._catalog
        rows = dict.fromkeys(f.csdl for f in self._actions.values() if f.csdl)
        calls = (
            RootField(name="", kind=RootKind.FUNCTION, csdl=csdl)
            for csdl in rows
            if catalog.entry(catalog.reference_name(csdl)) is None
        )
        enums = (v.scalar for v in self._value_types() if v.enum and v.scalar == v.enum.name)
        return reachable_names(catalog, calls).union(enums)

    def _value_types(self) -> Iterator[ValueType]:
        """Yield the types of plain parameters and results, and of the fields of value inputs."""
        catalog, model = self._catalog, self._catalog.model
        returned = (o.returns for o in self._operations() if o.returns is not None)
        for ref in (*self._parameters(), *returned):
            if ref.name not in model.complex_types and ref.name not in model.entity_types:
                yield catalog.value_of(ref)
        for csdl in self._values:
            for prop in catalog.properties_of(csdl):
                if prop.allow_edit_on_create and prop.type.name not in model.complex_types:
                    yield catalog.value(prop, is_key=False)
