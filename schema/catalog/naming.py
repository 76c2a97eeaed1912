"""The names of a catalogue as data, stored with a model's snapshot so that a start need not compute 30,000 names.

Names depend on each other (a clash gets a suffix), so they are computed or loaded all at once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from operator import is_
from typing import NamedTuple, TypeAlias

import msgspec

from schema.model.records import Model
from schema.model.sharing import shared

from .records import RootField, RootKind, TypeEntry, TypeKind

Families: TypeAlias = dict[str, dict[TypeKind, TypeEntry]]
"""CSDL type → kinds of its GraphQL types, and their entries."""


class RootName(NamedTuple):
    """A root field without the model's records: names of what it returns."""

    name: str
    kind: RootKind
    csdl: str = ""
    of: str = ""
    """Name of the entity set, singleton or function import."""
    operation: int = 0
    """Index of a function's operation in ``Model.operations``."""


class Naming(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """The names of one catalogue."""

    families: dict[str, tuple[tuple[TypeKind, str], ...]]
    """CSDL type → kinds and names of its GraphQL types, in the order of the schema."""
    roots: tuple[RootName, ...]
    type_findings: tuple[str, ...]
    root_findings: tuple[str, ...]
    unreachable: tuple[str, ...]
    """Names of types that no root field leads to."""
    parents: dict[str, tuple[tuple[str, str], ...]]
    """CSDL type → (parent type, set of the child rows) for each to-many navigation with a known join."""

    def entries(self, tables: NameTables) -> Families:
        """Return the entries by CSDL type, as the catalogue holds them: those of ``tables`` where they are equal."""
        like = tables.families
        if tables.of is self:
            return like
        families: Families = {}
        for csdl, members in self.families.items():
            other = like.get(csdl)
            if other is not None and members == tuple((e.kind, e.name) for e in other.values()):
                families[_csdl_of(other)] = other
            else:
                families[csdl] = {kind: TypeEntry(name, kind, csdl) for kind, name in members}
        return like if _are_same(families, like) else families

    def reach(
        self, tables: NameTables
    ) -> tuple[frozenset[str], Mapping[str, tuple[tuple[str, str], ...]]]:
        """Return ``unreachable`` and ``parents`` as a catalogue holds them: those of ``tables`` if they are equal."""
        if tables.of is self:
            return tables.unreachable, tables.parents
        unreachable = frozenset(self.unreachable)
        is_same = unreachable == tables.unreachable
        parents = shared(self.parents, tables.parents)
        return tables.unreachable if is_same else unreachable, parents


def _csdl_of(family: dict[TypeKind, TypeEntry]) -> str:
    return next(iter(family.values())).csdl


def _are_same(own: Mapping[str, object], like: Mapping[str, object]) -> bool:
    """Return whether two mappings have the same values in the same order."""
    return len(own) == len(like) and all(map(is_, own.values(), like.values()))


class NameTables(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of names of a catalogue, for others that share what is equal."""

    families: Families
    entries: Mapping[str, TypeEntry]
    roots: Mapping[str, RootName]
    unreachable: frozenset[str]
    parents: Mapping[str, tuple[tuple[str, str], ...]]
    of: Naming | None = None
    """The names of which these are the tables, if that is known: then nothing is to be compared."""


NO_TABLES = NameTables(families={}, entries={}, roots={}, unreachable=frozenset(), parents={})


def encode_naming(naming: Naming) -> bytes:
    """Return a naming as bytes, for ``decode_naming``."""
    return msgspec.msgpack.encode(naming)


def decode_naming(content: bytes) -> Naming | None:
    """Return the naming; None if the bytes were written by another version."""
    try:
        return msgspec.msgpack.decode(content, type=Naming)
    except msgspec.MsgspecError:
        return None


def root_names(roots: Iterable[RootField], model: Model) -> Iterator[RootName]:
    """Yield root fields by name, without the model's records."""
    places = {id(operation): place for place, operation in enumerate(model.operations)}
    for root in roots:
        named = root.entity_set or root.singleton or root.operation_import
        yield RootName(
            name=root.name,
            kind=root.kind,
            csdl=root.csdl,
            of="" if named is None else named.name,
            operation=0 if root.operation is None else places[id(root.operation)],
        )


def names_from_whole(
    naming: Naming,
    part: Model,
    entries: Iterable[TypeEntry],
    roots: Iterable[RootName],
    whole: Model,
) -> Naming:
    """Return the naming of a part of a model with the names of the whole.

    A name that clashes in the whole need not clash in the part; a profile must still use the same name. ``naming`` is
    that of the part alone, ``entries`` and ``roots`` are the whole's.
    """
    types = {(e.kind, e.csdl): e.name for e in entries}
    fields = {_origin(root, whole): root.name for root in roots}
    renamed = {
        name: types[kind, csdl] for csdl, family in naming.families.items() for kind, name in family
    }
    return Naming(
        families={
            csdl: tuple((kind, types[kind, csdl]) for kind, _ in family)
            for csdl, family in naming.families.items()
        },
        roots=tuple(root._replace(name=fields[_origin(root, part)]) for root in naming.roots),
        type_findings=(),
        root_findings=(),
        unreachable=tuple(renamed[name] for name in naming.unreachable),
        parents=naming.parents,
    )


def _origin(root: RootName, model: Model) -> tuple[RootKind, str, int]:
    """Return a key that is equal for a root field of the part and of the whole, which share operation records."""
    is_bound = root.kind is RootKind.FUNCTION and not root.of
    return root.kind, root.of, id(model.operations[root.operation]) if is_bound else 0


def set_of(root: RootField | RootName) -> str:
    """Return the entity set's name of a list or by-key field; empty for others."""
    if isinstance(root, RootName):
        return root.of
    return "" if root.entity_set is None else root.entity_set.name


def named_roots(naming: Naming, tables: NameTables) -> Mapping[str, RootName]:
    """Return the root fields by name: those of ``tables`` where they are equal."""
    like = tables.roots
    if tables.of is naming:
        return like
    named: dict[str, RootName] = {}
    for root in naming.roots:
        other = like.get(root.name)
        name = other if other is not None and other == root else root
        named[name.name] = name
    return like if _are_same(named, like) else named


class Roots(Mapping[str, RootField]):
    """Root fields by name; the model's records are read on first lookup."""

    def __init__(self, named: Mapping[str, RootName], model: Model) -> None:
        self._named = named
        self._model = model
        self._made: dict[str, RootField] = {}

    def __getitem__(self, name: str) -> RootField:
        field = self._made.get(name)
        if field is None:
            field = self._made[name] = self._field(self._named[name])
        return field

    @property
    def by_name(self) -> Mapping[str, RootName]:
        """All root fields without the model's records, by name."""
        return self._named

    def named(self) -> Iterable[RootName]:
        """Return all root fields without reading the model."""
        return self._named.values()

    def copy_for(self, model: Model) -> Roots:
        """Return the same fields over another copy of the model, with no record read yet."""
        result = copy.copy(self)
        result._model, result._made = model, {}  # noqa: SLF001 - of the same class
        return result

    def forget(self) -> None:
        """Drop the fields created so far."""
        self._made = {}

    @property
    def table(self) -> dict[str, RootField]:
        """The fields created so far."""
        return self._made

    def __contains__(self, name: object) -> bool:
        return name in self._named

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)

    def _field(self, root: RootName) -> RootField:
        model, kind, of = self._model, root.kind, root.of
        is_of_set = kind in (RootKind.LIST, RootKind.BY_KEY)
        is_function = kind is RootKind.FUNCTION
        return RootField(
            name=root.name,
            kind=kind,
            csdl=root.csdl,
            entity_set=model.entity_sets[of] if is_of_set else None,
            singleton=model.singletons[of] if kind is RootKind.SINGLETON else None,
            operation=model.operations[root.operation] if is_function else None,
            operation_import=model.imports[of] if is_function and of else None,
        )
