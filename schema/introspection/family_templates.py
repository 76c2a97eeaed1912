"""Templates for types and root fields that differ between families by their names only.

The template is the JSON of a specimen: a catalogue of one entity with recognisable names, written by the same code as
any other. Filling the names of a family in takes the place of describing its types, which saves a third of the CPU time
of introspecting a whole catalogue. Families whose names follow another pattern are written without templates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

from msgspec import structs

from schema.catalog import Catalog
from schema.catalog.records import TypeEntry, TypeKind, Verb
from schema.model.records import (
    EntitySet,
    EntityType,
    Model,
    Navigation,
    Property,
    ReferentialConstraint,
    TypeRef,
    short,
)
from schema.writes import WriteRules, Writes
from schema.writes.payloads import Payloads

from .type_records import Member
from .types import RowRoot, Types, aggregate_member, mutation_member
from .writers import Write, WritePieces, Writers, text

_MARKS = ("QqTypeqQ", "QqNameqQ", "qqNameqQ", "QqSetqQ", "QqFieldqQ")
_TYPE, _NAME, _, _SET, _FIELD = _MARKS
_PLACE = re.compile("|".join(_MARKS).encode())
_KINDS = frozenset(
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
_CSDL = f"Specimens.{_TYPE}"
_SPECIMEN = Model(
    entity_types={
        _CSDL: EntityType(
            name=_CSDL,
            key=("Key",),
            properties=(
                Property(name="Key", type=TypeRef("Edm.String")),
                Property(name="Parent", type=TypeRef("Edm.String")),
            ),
            navigations=(
                Navigation(
                    name="Parts",
                    target=_CSDL,
                    many=True,
                    on=(ReferentialConstraint("Key", "Parent"),),
                ),
            ),
        )
    },
    entity_sets={_SET: EntitySet(name=_SET, type=_CSDL, bindings={"Parts": _SET})},
)

Fill = Callable[["FamilyNames", bytes, bytes], bytes]


class FamilyNames(NamedTuple):
    """The values for the specimen's names, escaped as inside JSON strings."""

    type: bytes
    name: bytes
    row: bytes
    """Field of payloads."""


class Shapes:
    """Writes types, and fields of root types, from the names of their families."""

    def __init__(
        self,
        types: Types,
        writers: Writers,
        write: WritePieces,
        write_fields: Sequence[Write[Member]],
    ) -> None:
        self._types: dict[TypeKind, Fill] = {}
        self._fields: dict[tuple[Verb, bool], tuple[Fill, ...]] = {}
        self._aggregates: dict[tuple[str, ...], tuple[Fill, ...]] = {}
        """Names of arguments → fields of ``Query`` with these."""
        self._write_fields = write_fields if writers.is_by_name() else ()
        self._ends: dict[TypeKind, str] = {}
        self._catalog = types.schema.catalog
        self._payloads = Payloads(self._catalog)
        if writers.is_by_name():
            self._write_specimen(types, write, write_fields)

    def _write_specimen(
        self, types: Types, write: WritePieces, write_fields: Sequence[Write[Member]]
    ) -> None:
        catalog = Catalog(_SPECIMEN, self._catalog.abilities, renames={_TYPE: _NAME})
        written = types.schema.writes
        rules = written and WriteRules(if_match_required=written.rules.if_match_required)
        writes = Writes(catalog, rules) if rules else None
        specimen = types.for_catalog(catalog, writes)
        for family in specimen.families():
            for entry in (e for e in (*family.reading, *family.writing) if e.csdl == _CSDL):
                self._ends[entry.kind] = entry.name.removeprefix(_NAME)
                if entry.kind in _KINDS:
                    self._types[entry.kind] = _filling(b"".join(write(specimen.generated(entry))))
        if writes is None:
            return
        for field in writes.values():
            member = mutation_member(field, writes)._replace(name=_FIELD)
            fills = tuple(_filling(write_field(member)) for write_field in write_fields)
            self._fields[field.verb, field.many] = fills

    def names(self, csdl: str, entries: Iterable[TypeEntry]) -> FamilyNames | None:
        """Return the names of a family; None if they do not follow the specimen's pattern."""
        name = self._catalog.concrete_name(csdl)
        if name is None or any(e.name != name + self._ends.get(e.kind, " ") for e in entries):
            return None
        row = self._payloads.row_name(csdl)
        return FamilyNames(_inner(short(csdl)), name.encode(), row.encode())

    def type(self, entry: TypeEntry, names: FamilyNames | None) -> bytes | None:
        """Return the JSON of a type, or None if no template fits."""
        fill = self._types.get(entry.kind)
        return None if fill is None or names is None else fill(names, b"", b"")

    def fields(self, root: RowRoot, names: FamilyNames | None) -> list[bytes] | None:
        """Return the JSON of a field for each place it is selected, or None if no template fits."""
        if names is None:
            return None
        if root.aggregates:
            fills = self._aggregate(root)
        else:
            fills = () if root.verb is None else self._fields.get((root.verb, root.many), ())
        if not fills:
            return None
        of_set, name = _inner(root.of_set), root.name.encode()
        return [fill(names, of_set, name) for fill in fills]

    def _aggregate(self, root: RowRoot) -> tuple[Fill, ...]:
        """Return the templates of a field that aggregates a list with the same arguments."""
        arguments = self._catalog.root_arguments(self._catalog.aggregates[root.name])
        key = tuple(argument.name for argument in arguments)
        fills = self._aggregates.get(key)
        if fills is None:
            marked = (
                structs.replace(a, type_name=f"{_NAME}Where") if a.name == "where" else a
                for a in arguments
            )
            member = aggregate_member(_FIELD, _SET, marked)
            fills = tuple(_filling(write_field(member)) for write_field in self._write_fields)
            self._aggregates[key] = fills
        return fills


def _inner(value: str) -> bytes:
    return text(value)[1:-1]


def _filling(written: bytes) -> Fill:
    places = [_MARKS.index(mark.decode()) for mark in _PLACE.findall(written)]
    template = _PLACE.sub(b"%b", written.replace(b"%", b"%%"))
    if not places:
        return lambda _names, _set, _field: written
    chosen = itemgetter(*places)
    return lambda names, of_set, field: template % chosen((*names, of_set, field))
