"""Writes types family by family, each with the root fields of its rows, because both come from the same records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from schema.catalog.records import TypeEntry

from .compressed_store import Spool
from .family_templates import FamilyTemplates
from .member_lists import WritePieces
from .root_templates import RootPlace, RootTemplates
from .selection import Selected
from .templates import Words
from .types import Family, RowRoot, Types
from .writers import Writers

FORGET_AFTER = 250
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
        below: Sequence[Selected],
        write: WritePieces,
        places: Sequence[RootPlace],
    ) -> None:
        """``below`` is selected of each type, which ``write`` writes, ``places`` of root types."""
        self._types = types
        self._write = write
        self._places = places
        is_by_name = writers.is_by_name()
        self._templates = FamilyTemplates(types, writers, below, write) if is_by_name else None
        self._root_templates = RootTemplates(types, writers, places) if is_by_name else None

    def write(self) -> FamilyTexts:
        """Return the JSON of all families; drops the catalogue's records on the way."""
        types, templates = self._types, self._templates
        roots = {root: [Spool() for _ in self._places] for root in types.roots}
        texts = FamilyTexts(Spool(), Spool(), roots)
        for csdl, reading, writing in self._families():
            words = None
            if templates is not None:
                words = templates.words(csdl, chain(reading, writing))
            if words is None:
                types.remember_kinds(writing)
            if reading:
                texts.reading.put(csdl, self._listed(reading, words))
            if writing:
                texts.writing.put(csdl, self._listed(writing, words))
            for field in types.roots_of(csdl):
                pieces = self._fields(field, csdl, words)
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

    def _listed(self, entries: Iterable[TypeEntry], words: Words | None) -> bytes:
        templates, types, write = self._templates, self._types, self._write
        pieces: list[bytes] = []
        for entry in entries:
            filled = None if templates is None else templates.pieces(entry, words)
            pieces.append(b",")
            pieces += write(types.generated(entry)) if filled is None else filled
        return b"".join(pieces[1:])

    def _fields(self, field: RowRoot, csdl: str, words: Words | None) -> list[bytes]:
        templates = self._root_templates
        if templates is not None and words is not None:
            pieces = templates.pieces(field, csdl, words)
            if pieces is not None:
                return pieces
        member = self._types.root_member(field.of, field.name)
        return [place.write(member) for place in self._places]
