"""Writes types family by family, each with the root fields of its rows, because both come from the same records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from schema.catalog.records import TypeEntry

from .compressed_store import Spool
from .family_templates import FamilyNames, Shapes
from .type_records import Member
from .types import Family, RowRoot, Types
from .writers import Write, WritePieces, Writers

FORGET_AFTER = 100
"""Families after which the catalogue's records are dropped, to bound memory."""


class FamilyTexts(NamedTuple):
    """The JSON of types and of the fields of root types, until the stream comes to them."""

    reading: Spool
    """CSDL type → its types for reading, in the schema's order."""
    writing: Spool
    """CSDL type → its types for writing."""
    roots: Mapping[str, Sequence[Spool]]
    """Name of a root type → for each place where its fields are selected: field name → the field."""


class FamilyWriter:
    """Writes families of types with the fields that the operation selects."""

    def __init__(
        self,
        types: Types,
        writers: Writers,
        write: WritePieces,
        write_fields: Sequence[Write[Member]],
    ) -> None:
        self._types = types
        self._catalog = types.schema.catalog
        self._writes = types.schema.writes
        self._shapes = Shapes(types, writers, write, write_fields)
        self._write = write
        self._write_fields = write_fields

    def write(self) -> FamilyTexts:
        """Return the JSON of all families; drops the catalogue's records on the way."""
        types, shapes = self._types, self._shapes
        roots = {root: [Spool() for _ in self._write_fields] for root in types.roots}
        texts = FamilyTexts(Spool(), Spool(), roots)
        for family in self._families():
            names = shapes.names(family.csdl, chain(family.reading, family.writing))
            if family.reading:
                texts.reading.put(family.csdl, self._listed(family.reading, names))
            if family.writing:
                texts.writing.put(family.csdl, self._listed(family.writing, names))
            for field in types.roots_of(family.csdl):
                pieces = shapes.fields(field, names) or self._fields(field)
                for spool, piece in zip(roots[field.of.name], pieces, strict=True):
                    spool.put(field.name, piece)
        return texts

    def _families(self) -> Iterator[Family]:
        """Yield the families, dropping the records read for them from time to time."""
        for count, family in enumerate(self._types.families(), 1):
            yield family
            if count % FORGET_AFTER == 0:
                self._types.forget()
        self._types.forget()

    def _listed(self, entries: Iterable[TypeEntry], names: FamilyNames | None) -> bytes:
        short, types, write = self._shapes.type, self._types, self._write
        pieces: list[bytes] = []
        for entry in entries:
            text = short(entry, names)
            if text is not None:
                pieces += (b",", text)
            else:
                pieces.append(b",")
                pieces += write(types.generated(entry))
        return b"".join(pieces[1:])

    def _fields(self, field: RowRoot) -> list[bytes]:
        member = self._types.root_member(field.of, field.name)
        return [write_field(member) for write_field in self._write_fields]
