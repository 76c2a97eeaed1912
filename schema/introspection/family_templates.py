"""Writes the types of families from templates, and the filters of enums.

What is written for each family is what differs: its names, and its properties by their own templates
(``row_templates``). Families whose names follow another pattern are written without templates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import structs

from schema.catalog import Catalog
from schema.catalog.records import TypeEntry, TypeKind
from schema.model.records import short
from schema.writes import WriteRules, Writes
from schema.writes.payloads import Payloads

from .member_lists import WritePieces, text
from .row_shapes import ENUM, FILTER, TEXT
from .row_templates import ROW_KINDS
from .selection import Selected
from .templates import (
    CSDL,
    NAME,
    SENTINEL,
    SPECIMEN,
    TYPE,
    Fill,
    Frame,
    Words,
    filling,
    framed,
    inner_text,
)
from .type_records import DescribedType, Member, input_member
from .types import Types
from .writers import Writers

_BY_NAMES = frozenset(
    {
        TypeKind.CONNECTION,
        TypeKind.EDGE,
        TypeKind.COLLECTION_WHERE,
        TypeKind.UPDATE_INPUT,
        TypeKind.DELETE_INPUT,
        TypeKind.NESTED_CREATE,
        TypeKind.PAYLOAD,
        TypeKind.PAYLOADS,
    }
)
"""Kinds of types in which only names depend on the family."""


def specimen_of(types: Types) -> tuple[Catalog, Writes | None]:
    """Return the catalogue of the specimen under the abilities of a schema, and its mutations."""
    catalog = Catalog(SPECIMEN, types.schema.catalog.abilities, renames={TYPE: NAME})
    written = types.schema.writes
    if written is None:
        return catalog, None
    rules = WriteRules(if_match_required=written.rules.if_match_required)
    return catalog, Writes(catalog, rules)


class FamilyTemplates:
    """Writes types from the words of their families."""

    def __init__(
        self, types: Types, writers: Writers, below: Sequence[Selected], write: WritePieces
    ) -> None:
        """``below`` is selected of each type, which ``write`` writes."""
        self._types = types
        self._catalog = types.schema.catalog
        self._payloads = Payloads(self._catalog)
        self._write = write
        self._fields = writers.lists(below, "fields", "__Field")
        self._inputs = writers.lists(below, "inputFields", "__InputValue")
        self._specimens: dict[TypeKind, DescribedType] = {}
        self._ends: dict[TypeKind, str] = {}
        """Kind → what comes after the name of the row's type."""
        self._by_names: dict[TypeKind, Fill] = {}
        self._frames: dict[tuple[TypeKind, tuple[str, ...]], Frame | None] = {}
        """(Kind, interfaces) → types of rows."""
        self._filters: dict[tuple[object, ...], Fill] = {}
        """What decides over operators → filters of enums."""
        self._describe_specimens()

    def _describe_specimens(self) -> None:
        catalog, writes = specimen_of(self._types)
        specimen = self._types.for_catalog(catalog, writes)
        for family in specimen.families():
            specimen.remember_kinds(family.writing)
            for entry in (e for e in (*family.reading, *family.writing) if e.csdl == CSDL):
                self._ends[entry.kind] = entry.name.removeprefix(NAME)
                described = specimen.generated(entry)
                if entry.kind in _BY_NAMES:
                    self._by_names[entry.kind] = filling(b"".join(self._write(described)))
                elif entry.kind in ROW_KINDS:
                    logic = map(input_member, catalog.logic_fields(entry))
                    self._specimens[entry.kind] = _with_members(described, (*logic, SENTINEL))

    def words(self, csdl: str, entries: Iterable[TypeEntry]) -> Words | None:
        """Return the words of a family; None if its names do not follow the specimen's pattern."""
        name = self._catalog.concrete_name(csdl)
        ends = self._ends
        if name is None or any(e.name != name + ends.get(e.kind, " ") for e in entries):
            return None
        row = self._payloads.row_name(csdl)
        return Words(inner_text(short(csdl)), name.encode(), row.encode())

    def pieces(self, entry: TypeEntry, words: Words | None) -> list[bytes] | None:
        """Return the JSON of a type in pieces, or None if no template fits."""
        kind = entry.kind
        if words is None:
            return self._filter(entry) if kind is TypeKind.FILTER else None
        fill = self._by_names.get(kind)
        if fill is not None:
            return [fill(words)]
        return self._of_rows(entry, words) if kind in ROW_KINDS else None

    def _of_rows(self, entry: TypeEntry, words: Words) -> list[bytes] | None:
        catalog, kind = self._catalog, entry.kind
        members = self._types.rows.members(entry)
        if members is None:
            return None
        interfaces: tuple[str, ...] = ()
        if kind is TypeKind.OBJECT:
            interfaces = catalog.interfaces(entry.csdl)
            words = words._replace(text=text(catalog.type_description(entry.csdl) or None))
        elif kind is TypeKind.WHERE:
            members.before = ()  # its logical operators are part of the template
        try:
            frame = self._frames[kind, interfaces]
        except KeyError:
            frame = self._frames[kind, interfaces] = self._frame(kind, interfaces)
        return None if frame is None else frame.pieces(words, members)

    def _frame(self, kind: TypeKind, interfaces: tuple[str, ...]) -> Frame | None:
        specimen = self._specimens[kind]
        if kind is TypeKind.OBJECT:
            specimen = structs.replace(specimen, description=TEXT, interfaces=lambda: interfaces)
        lists = self._inputs if specimen.fields is None else self._fields
        return framed(b"".join(self._write(specimen)), lists)

    def _filter(self, entry: TypeEntry) -> list[bytes] | None:
        """Return the JSON of the filter of an enum; None for that of a scalar."""
        catalog, csdl = self._catalog, entry.csdl
        enum = catalog.generated_name(TypeKind.ENUM, csdl)
        if enum is None:
            return None
        key = (catalog.filter_operators(csdl), catalog.enum(csdl).flags)
        fill = self._filters.get(key)
        if fill is None:
            described = self._types.generated(TypeEntry(FILTER, TypeKind.FILTER, CSDL))
            inputs = map(input_member, catalog.inputs_of(entry.name).values())
            marked = [m._replace(type=m.type.replace(enum, ENUM)) for m in inputs]
            encoded = b"".join(self._write(_with_members(described, marked)))
            fill = self._filters[key] = filling(encoded)
        name = entry.name.encode()
        return [fill(Words(inner_text(short(csdl)), enum=enum.encode(), filter=name))]


def _with_members(described: DescribedType, members: Sequence[Member]) -> DescribedType:
    if described.fields is None:
        return structs.replace(described, inputs=lambda: members)
    return structs.replace(described, fields=lambda: members)
