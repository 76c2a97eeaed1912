"""What naming decided, as data: kept beside a model's snapshot, so that a start need not name 30,000 things again.

Names depend on each other (a clash gets a suffix), so they are decided all at once or taken over all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from schema.model.records import Model

from .records import RootField, RootKind, TypeEntry, TypeKind


class RootName(NamedTuple):
    """A root field by what it stands for, without the records of the model."""

    name: str
    kind: RootKind
    csdl: str = ""
    of: str = ""
    """The entity set, the singleton or the import."""
    operation: int = 0
    """Place of a function's operation in ``Model.operations``."""


class Naming(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """The decided names of one catalog."""

    families: dict[str, tuple[tuple[TypeKind, str], ...]]
    """CSDL type → kinds and names of its GraphQL types, in the order of the schema."""
    roots: tuple[RootName, ...]
    type_findings: tuple[str, ...]
    root_findings: tuple[str, ...]
    unreachable: tuple[str, ...]
    """Names of types that no root field leads to."""
    parents: dict[str, tuple[tuple[str, str], ...]]
    """CSDL type → types whose rows have such rows below them, and the sets of the latter, where fields join them."""

    def entries(self) -> dict[str, list[TypeEntry]]:
        """Return the families as the catalog holds them."""
        return {
            csdl: [TypeEntry(name, kind, csdl) for kind, name in members]
            for csdl, members in self.families.items()
        }


def encode_naming(naming: Naming) -> bytes:
    """Return the bytes; ``decode_naming`` is the way back."""
    return msgspec.msgpack.encode(naming)


def decode_naming(content: bytes) -> Naming | None:
    """Return the naming; None where the bytes are of another program."""
    try:
        return msgspec.msgpack.decode(content, type=Naming)
    except msgspec.MsgspecError:
        return None


def root_names(roots: Iterable[RootField], model: Model) -> Iterator[RootName]:
    """Take the records of the model out of root fields."""
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
    """Call what a part of a model has as the whole calls it: clashes in the whole are none in the part.

    ``naming`` is what the part would be called alone, ``entries`` and ``roots`` are the whole's.
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
    """Say what a root field stands for, in the part as in the whole: operations are the same records in both."""
    is_bound = root.kind is RootKind.FUNCTION and not root.of
    return root.kind, root.of, id(model.operations[root.operation]) if is_bound else 0


def set_of(root: RootField | RootName) -> str:
    """Name the entity set of a list or by-key field."""
    if isinstance(root, RootName):
        return root.of
    return "" if root.entity_set is None else root.entity_set.name


class Roots(Mapping[str, RootField]):
    """Root fields, each with its records from the model when it is first looked up."""

    def __init__(self, names: Iterable[RootName], model: Model) -> None:
        self._named = {root.name: root for root in names}
        self._model = model
        self._made: dict[str, RootField] = {}

    def __getitem__(self, name: str) -> RootField:
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = self._field(self._named[name])
        return found

    def named(self) -> Iterable[RootName]:
        """Return all of them without touching the model."""
        return self._named.values()

    def copy_for(self, model: Model) -> Roots:
        """Return the same fields, none of them made, over another reading of the model."""
        return Roots(self._named.values(), model)

    def forget(self) -> None:
        """Let go of the fields that were made."""
        self._made = {}

    @property
    def table(self) -> dict[str, RootField]:
        """The fields that were made."""
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
