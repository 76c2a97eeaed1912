"""The unified models of one catalogue: their root fields and types by name, each bound on first use.

Query.directory → UnifiedDirectory → users, user(id) → UnifiedUser … → UnifiedUserConnection, …Where, …OrderBy
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cached_property

from msgspec import Struct

from schema.catalog import Catalog
from schema.catalog.names import add_prefix, type_name
from schema.catalog.records import RootField, RootKind

from .bind import OBJECT, SOURCE, Binder
from .filters import TEXT_FILTER
from .records import EnumSpec, ModelSpec, TypeSpec
from .views import UnifiedType


class UnifiedKind(Enum):
    """The families of types of unified models."""

    NAMESPACE = "namespace"
    OBJECT = "object"
    CONNECTION = "connection"
    EDGE = "edge"
    WHERE = "where"
    ORDER_BY = "order_by"
    ENUM = "enum"
    FILTER = "filter"
    """Of an enum, or of texts from a table."""
    CREATE_INPUT = "create_input"
    PATCH = "patch"
    NESTED_INPUT = "nested_input"
    UPDATE_INPUT = "update_input"
    """One object of a list to change."""
    DELETE_INPUT = "delete_input"
    """One object of a list to delete."""
    PAYLOAD = "payload"
    PAYLOADS = "payloads"
    """The results of a list."""
    SOURCE = "source"
    INTERFACE = "interface"
    """What all objects have in common."""


class UnifiedEntry(Struct, frozen=True):
    """The name of a type, its family and what it is made from: a type, enum or namespace of a mapping."""

    name: str
    kind: UnifiedKind
    short: str = ""


class UnifiedRoot(Struct, frozen=True, eq=False):
    """A field of a namespace: a list, one row by its id, or several by theirs."""

    name: str
    short: str
    root: RootField

    @property
    def is_list(self) -> bool:
        """Whether it lists rows."""
        return self.root.kind is RootKind.LIST

    @property
    def is_several(self) -> bool:
        """Whether it returns several rows by their ids."""
        return self.root.kind is RootKind.NODES


class Namespace:
    """A root field below which a unified model is."""

    def __init__(
        self, name: str, type_name: str, spec: ModelSpec, roots: Callable[[], Iterator[UnifiedRoot]]
    ) -> None:
        self.name = name
        self.type_name = type_name
        self.spec = spec
        self._roots = roots

    @cached_property
    def fields(self) -> Mapping[str, UnifiedRoot]:
        """The fields below it, by name: at a start nobody asks for them, and each reads a set of the metadata."""
        return {root.name: root for root in self._roots()}


class UnifiedApi:
    """The unified models that a catalogue can serve."""

    def __init__(
        self, models: Sequence[ModelSpec], catalog: Catalog, *, has_prefix: bool = True
    ) -> None:
        """``has_prefix`` False: root fields have no prefix, because other subgraphs share them."""
        self.models = models
        self._catalog = catalog
        self._prefix = catalog.prefix if has_prefix else ""
        self.findings: list[str] = []
        """Why a model is not served, in words."""
        self._specs: dict[str, TypeSpec] = {n: t for m in models for n, t in m.types.items()}
        self._enums: dict[str, EnumSpec] = {n: e for m in models for n, e in m.enums.items()}
        self.binder = Binder(catalog, self._specs, self._enums, catalog.type_prefix)
        self._bound: dict[str, UnifiedType] = {}
        self.written: Callable[[], Iterable[UnifiedEntry]] = tuple
        """Returns the types of mutations of unified types, if the schema has any."""

    @cached_property
    def part_names(self) -> frozenset[str]:
        """The names of fields that are parts of display values."""
        return frozenset(f.name for t in self._specs.values() for f in t.fields.values() if f.part)

    def __bool__(self) -> bool:
        return bool(self.namespaces)

    @property
    def interface(self) -> str:
        """The name of the interface of all objects."""
        return self.binder.prefix + OBJECT

    @cached_property
    def namespaces(self) -> Mapping[str, Namespace]:
        """The root fields, by name. Only names of entity sets are read for them."""
        named: dict[str, Namespace] = {}
        for model in self.models:
            space = self._namespace(model)
            if space is not None:
                named[space.name] = space
        return named

    def _namespace(self, model: ModelSpec) -> Namespace | None:
        catalog = self._catalog
        name = add_prefix(self._prefix, model.namespace)
        if name in catalog.roots:
            name = add_prefix(self._prefix, add_prefix("unified", model.namespace))
        own = self.binder.type_name(type_name(model.namespace))
        taken = [
            n for n in (own, *map(self.binder.type_name, model.types)) if n in catalog.known_names()
        ]
        if name in catalog.roots or taken:
            self.findings.append(
                f"{model.namespace}: {', '.join(taken) or name} is taken by the metadata."
            )
            return None
        if next(self._fields(model), None) is None:
            return None
        return Namespace(name, own, model, lambda: self._fields(model))

    def _fields(self, model: ModelSpec) -> Iterator[UnifiedRoot]:
        """Yield the fields below a root field: lists and single rows of the types that can be read."""
        catalog = self._catalog
        for spec in model.types.values():
            for field, kind in _root_names(spec):
                set_name = self.binder.set_of(spec) if field else None
                if set_name is None or not self.binder.can_list(spec):
                    continue
                entity_set = catalog.model.entity_sets[set_name]
                if kind is not RootKind.LIST and not catalog.is_node(entity_set.type):
                    continue
                root = RootField(name=field, kind=kind, entity_set=entity_set, csdl=entity_set.type)
                yield UnifiedRoot(field, spec.name, root)

    def find_list(self, name: str) -> tuple[Namespace, UnifiedRoot] | None:
        """Return a list by the names of its root field and its own, ``accounting.vendors``; None if there is none."""
        above, _, field = name.partition(".")
        space = self.namespaces.get(above)
        root = None if space is None else space.fields.get(field)
        if space is None or root is None or not root.is_list:
            return None
        return space, root

    def objects(self) -> list[str]:
        """Return the names of the types whose objects stand for rows that the catalogue has."""
        specs = (t for s in self.namespaces.values() for t in s.spec.types.values())
        return [self.binder.type_name(t.name) for t in specs if self.binder.can_list(t)]

    def type(self, short: str) -> UnifiedType:
        """Return a bound type, by its name in the mapping. Raises KeyError."""
        bound = self._bound.get(short)
        if bound is None:
            bound = self._bound[short] = self.binder.type(self._specs[short])
        return bound

    def spec(self, short: str) -> TypeSpec:
        """Return a type as its mapping declares it. Raises KeyError."""
        return self._specs[short]

    def enum(self, short: str) -> EnumSpec:
        """Return an enum, by its name in the mapping. Raises KeyError."""
        return self._enums[short]

    def namespace(self, type_name: str) -> Namespace:
        """Return a namespace by the name of its type. Raises KeyError."""
        return next(n for n in self.namespaces.values() if n.type_name == type_name)

    @cached_property
    def entries(self) -> Mapping[str, UnifiedEntry]:
        """Every type, by name. Binds all types."""
        named = {e.name: e for e in self._named.values() if self._exists(e)}
        return {**named, **self._of_writing}

    def entry(self, name: str) -> UnifiedEntry | None:
        """Return the entry of a type; None if there is none of that name. Binds no other types."""
        if not name.startswith(self.binder.type_name("")) or not self:
            return None
        entry = self._named.get(name)
        if entry is not None:
            return entry if self._exists(entry) else None
        return self._of_writing.get(name)

    @cached_property
    def _of_writing(self) -> Mapping[str, UnifiedEntry]:
        """The types of mutations, by name. Binds the types that can be written."""
        return {entry.name: entry for entry in self.written()}

    @cached_property
    def _named(self) -> Mapping[str, UnifiedEntry]:
        """The types that there may be, by name, as the mappings say: nothing is bound."""
        return {entry.name: entry for entry in self._entries()}

    def _exists(self, entry: UnifiedEntry) -> bool:
        """Return whether the environment has what a type is made of."""
        if entry.kind is UnifiedKind.WHERE:
            return bool(self.type(entry.short).filters)
        if entry.kind is UnifiedKind.ORDER_BY:
            return any(f.order for f in self.type(entry.short).filters.values())
        return True

    def _entries(self) -> Iterator[UnifiedEntry]:
        if not self:
            return
        served = [space.spec for space in self.namespaces.values()]
        connections = self._connections(served)
        for space in self.namespaces.values():
            yield UnifiedEntry(space.type_name, UnifiedKind.NAMESPACE, space.name)
        for spec in (t for model in served for t in model.types.values()):
            name = self.binder.type_name(spec.name)
            yield UnifiedEntry(name, UnifiedKind.OBJECT, spec.name)
            if spec.name in connections:
                yield UnifiedEntry(f"{name}Connection", UnifiedKind.CONNECTION, spec.name)
                yield UnifiedEntry(f"{name}Edge", UnifiedKind.EDGE, spec.name)
                yield UnifiedEntry(f"{name}Where", UnifiedKind.WHERE, spec.name)
                yield UnifiedEntry(f"{name}OrderBy", UnifiedKind.ORDER_BY, spec.name)
        for enum in (e for model in served for e in model.enums.values()):
            name = self.binder.type_name(enum.name)
            yield UnifiedEntry(name, UnifiedKind.ENUM, enum.name)
            yield UnifiedEntry(f"{name}Filter", UnifiedKind.FILTER, enum.name)
        if any(_has_texts(t) for model in served for t in model.types.values()):
            yield UnifiedEntry(self.binder.prefix + TEXT_FILTER, UnifiedKind.FILTER)
        yield UnifiedEntry(self.binder.prefix + SOURCE, UnifiedKind.SOURCE)
        yield UnifiedEntry(self.interface, UnifiedKind.INTERFACE)

    def _connections(self, served: Sequence[ModelSpec]) -> frozenset[str]:
        """Return the types of which there are connections."""
        listed = {t.name for model in served for t in model.types.values() if t.list}
        paged = {
            f.type
            for model in served
            for t in model.types.values()
            for f in t.fields.values()
            if f.paged
        }
        return frozenset(listed | paged)

    def has(self, name: str) -> bool:
        """Return whether there is a type of that name."""
        return self.entry(name) is not None


def _has_texts(spec: TypeSpec) -> bool:
    """Return whether a type may have texts from a table, or members of enums as texts."""
    return any(f.type == "String" and f.paths for f in spec.fields.values())


def _root_names(spec: TypeSpec) -> Iterator[tuple[str, RootKind]]:
    """Yield the fields of a namespace that a type has: its list, one object, several objects."""
    yield spec.list, RootKind.LIST
    yield spec.single, RootKind.BY_KEY
    yield f"{spec.list}ById" if spec.list else "", RootKind.NODES
