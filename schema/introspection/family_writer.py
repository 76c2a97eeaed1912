"""What is written before its turn, because it is made from the same records: a family's types and its root fields.

Families do not depend on each other. Where a second process can help, each writes every other block of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, TypeVar

from schema.catalog.records import TypeEntry, Verb

from .compressed_store import Spool, Spools
from .family_templates import FamilyNames, Shapes
from .type_records import DescribedType, Member
from .types import EVERY_FAMILY, Family, RowRoot, Share, Types
from .writers import Write, Writers

FORGET_AFTER = 25
"""Families after which the records are forgotten."""

Work = TypeVar("Work")
Beside = Callable[[Callable[[], Work]], Callable[[], Work]]
"""Starts some work beside one's own, in a copy of the process, and gives the way to what came of it."""


class Ahead(NamedTuple):
    """The texts of types and of the fields of root types."""

    reading: Spools[int]
    """Of each family, by its number."""
    writing: Spools[str]
    """Of each family, by its type of the metadata."""
    roots: Mapping[str, Sequence[Spools[str]]]
    """Name of a root type → of each place where its fields are selected: each field by its name."""


class _Written(NamedTuple):
    """What one process has written."""

    reading: Spool[int]
    writing: Spool[str]
    roots: dict[str, list[Spool[str]]]
    offered: Mapping[tuple[Verb, str], bool]
    interfaces: Mapping[str, tuple[str, ...]]
    """These two are small, and whoever puts the parts together would else read all records for them again."""


class FamilyWriter:
    """Writes families of types as they are selected."""

    def __init__(
        self,
        types: Types,
        writers: Writers,
        write: Write[DescribedType],
        write_fields: Sequence[Write[Member]],
    ) -> None:
        self._types = types
        self._catalog = types.schema.catalog
        self._writes = types.schema.writes
        self._shapes = Shapes(types, writers, write, write_fields)
        self._write = write
        self._write_fields = write_fields

    def write(self, beside: Beside[_Written] | None) -> Ahead:
        """Write all of them."""
        if beside is None:
            return self._together(self._written(EVERY_FAMILY))
        others = beside(lambda: self._written(Share(1, 2)))
        own = self._written(Share(0, 2))
        other = others()
        self._catalog.learn_interfaces(other.interfaces)
        if self._writes is not None:
            self._writes.offered.learn(other.offered)
        return self._together(own, other)

    def _together(self, *parts: _Written) -> Ahead:
        places = range(len(self._write_fields))
        return Ahead(
            Spools(part.reading for part in parts),
            Spools(part.writing for part in parts),
            {
                root: [Spools(part.roots[root][place] for part in parts) for place in places]
                for root in self._types.roots
            },
        )

    def _written(self, share: Share) -> _Written:
        types, shapes = self._types, self._shapes
        roots = {root: [Spool[str]() for _ in self._write_fields] for root in types.roots}
        offered = {} if self._writes is None else self._writes.offered.decided
        done = _Written(Spool(), Spool(), roots, offered, self._catalog.known_interfaces)
        for family in self._families(share):
            names = shapes.names(family.csdl, chain(family.reading, family.writing))
            if family.reading:
                done.reading.put(family.number, self._listed(family.reading, names))
            if family.writing:
                done.writing.put(family.csdl, self._listed(family.writing, names))
            for field in types.roots_of(family.csdl):
                pieces = shapes.fields(field, names) or self._fields(field)
                for spool, piece in zip(roots[field.of.name], pieces, strict=True):
                    spool.put(field.name, piece)
        return done

    def _families(self, share: Share) -> Iterator[Family]:
        """Return the families, and forget the records that were read for them from time to time."""
        for count, family in enumerate(self._types.families(share), 1):
            yield family
            if count % FORGET_AFTER == 0:
                self._types.forget()
        self._types.forget()

    def _listed(self, entries: Iterable[TypeEntry], names: FamilyNames | None) -> bytes:
        short, types, write = self._shapes.type, self._types, self._write
        return b",".join(
            [short(entry, names) or write(types.generated(entry)) for entry in entries]
        )

    def _fields(self, field: RowRoot) -> list[bytes]:
        member = self._types.root_member(field.of, field.name)
        return [write_field(member) for write_field in self._write_fields]
