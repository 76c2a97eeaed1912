"""The search index: entity sets with their root fields, other root fields, types, fields."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import msgspec

from schema.catalog import Catalog
from schema.catalog import descriptions as describe
from schema.catalog.names import field_name
from schema.catalog.records import RootField, RootKind, TypeKind, Verb
from schema.model.records import short
from schema.types.build import ODataSchema
from schema.writes import Writes
from schema.writes.naming import ROW_VERBS, mutation_name

from .words import searchable_text

FORMAT = 1
"""Increase it with every change of the bytes that ``pack`` returns."""
FORGET_AFTER = 50
"""Entity sets after which the catalogue's records are dropped."""


class Subject(NamedTuple):
    """An entry of the index, found by its names and its label."""

    kind: str
    """``set``, ``query``, ``mutation`` or ``type``."""
    name: str
    """The field of ``Query`` or ``Mutation``, or the type."""
    by_key: str
    """The by-key field of a set; empty if there is none."""
    aggregate: str
    """The field that aggregates the rows of a set; empty if there is none."""
    csdl: str
    """The short name in the metadata."""
    type: str
    """The type of the rows; empty if there are none."""
    label: str
    verbs: tuple[Verb, ...]
    """The writes that rows of a set support."""
    text: str
    """Words of the names, then, on a second line, those of the label."""
    exact: tuple[str, ...]
    """The names in lower case."""


class FieldName(NamedTuple):
    """A field name, shared by all types that have it."""

    name: str
    text: str
    sets: array[int]
    """Indexes of the sets whose rows have it."""


@dataclass(frozen=True, slots=True)
class Index:
    """The search index of one schema."""

    subjects: tuple[Subject, ...]
    """The entity sets come first."""
    fields: tuple[FieldName, ...]
    sets: range
    """Indexes of the entity sets."""
    roots: Mapping[str, object]
    """The fields of ``Query``, for the names of mutations."""
    prefix: str
    """Prefix of the fields of root types."""

    def mutation(self, verb: Verb, field: str) -> str:
        """Return the name of the mutation that belongs to a field of ``Query``."""
        return mutation_name(verb, field, self.roots, self.prefix)


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    subjects: tuple[Subject, ...]
    fields: tuple[tuple[str, str, bytes], ...]
    sets: int
    roots: tuple[str, ...]
    prefix: str


def pack(index: Index) -> bytes:
    """Return an index as bytes, for ``unpack`` on a machine of the same architecture."""
    packed = _Packed(
        index.subjects,
        tuple((f.name, f.text, f.sets.tobytes()) for f in index.fields),
        len(index.sets),
        tuple(index.roots),
        index.prefix,
    )
    return msgspec.msgpack.encode(packed)


def unpack(content: bytes) -> Index | None:
    """Return the index; None if the bytes were written by another version."""
    try:
        packed = msgspec.msgpack.decode(content, type=_Packed)
        code = _code(packed.sets)
        fields = tuple(
            FieldName(name, text, array(code, sets)) for name, text, sets in packed.fields
        )
    except (msgspec.MsgspecError, ValueError):
        return None
    roots = dict.fromkeys(packed.roots)
    return Index(packed.subjects, fields, range(packed.sets), roots, packed.prefix)


def _code(sets: int) -> str:
    """Return the array type code for indexes of so many sets."""
    return "H" if sets <= 1 << 16 else "L"


def index_of(schema: ODataSchema) -> Index:
    """Return the index of a schema, by one walk through the metadata.

    ``schema`` must be one over a ``fresh_copy`` of the catalogue, because records are dropped on the way.
    """
    builder = _IndexBuilder(schema)
    sets = tuple(builder.sets())
    others = (*builder.other_roots(), *builder.actions(), *builder.types())
    schema.forget()
    catalog = schema.catalog
    # Names of mutations follow from all root fields, whatever a view of roles hides.
    roots = dict.fromkeys(catalog.whole.roots)
    return Index((*sets, *others), builder.fields(), range(len(sets)), roots, catalog.prefix)


class _IndexBuilder:
    def __init__(self, schema: ODataSchema) -> None:
        self._schema = schema
        self._catalog: Catalog = schema.catalog
        self._writes: Writes | None = schema.writes
        self._code = _code(len(schema.catalog.model.entity_sets))
        self._places: dict[str, array[int]] = {}
        """Name of a field → places of the sets whose rows have it."""

    def sets(self) -> Iterator[Subject]:
        """Return the entity sets, and note their fields."""
        catalog = self._catalog
        named: dict[str, dict[RootKind, str]] = {}
        for kind, of_set, name in catalog.set_roots():
            named.setdefault(of_set, {})[kind] = name
        for place, (of_set, names) in enumerate(named.items()):
            yield self._set(place, of_set, names)
            if place % FORGET_AFTER == 0:
                self._schema.forget()

    def _set(self, place: int, of_set: str, names: Mapping[RootKind, str]) -> Subject:
        catalog, writes = self._catalog, self._writes
        entity_set = catalog.model.entity_sets[of_set]
        csdl = entity_set.type
        declared = catalog.model.entity_types[csdl]
        for name in self._fields_of(csdl):
            self._places.setdefault(name, array(self._code)).append(place)
        verbs = () if writes is None else ROW_VERBS
        label = describe.label_of(entity_set, catalog.labels) or describe.label_of(
            declared, catalog.labels
        )
        return _subject(
            kind="set",
            name=names[RootKind.LIST],
            by_key=names.get(RootKind.BY_KEY, ""),
            csdl=of_set,
            type_name=catalog.reference_name(csdl),
            label=label,
            verbs=tuple(v for v in verbs if writes is not None and writes.offers(v, entity_set)),
        )._replace(aggregate=self._aggregate(names[RootKind.LIST], of_set))

    def _aggregate(self, list_name: str, of_set: str) -> str:
        if not self._schema.has_aggregates:
            return ""
        return self._catalog.aggregates.of_list(list_name, of_set) or ""

    def _fields_of(self, csdl: str) -> Iterator[str]:
        catalog = self._catalog
        names = chain(
            (prop.name for prop in catalog.properties_of(csdl)),
            (navigation.name for navigation in catalog.navigations_of(csdl)),
        )
        for name in names:
            yield catalog.renames.get(f"{short(csdl)}.{name}") or field_name(name)

    def other_roots(self) -> Iterator[Subject]:
        """Return singletons, functions, ``node`` and ``nodes``."""
        for root in self._others():
            labelled = root.singleton or root.operation
            named = root.operation_import or labelled
            yield _subject(
                kind="query",
                name=root.name,
                csdl="" if named is None else short(named.name),
                type_name=self._catalog.reference_name(root.csdl) if root.csdl else "",
                label="" if labelled is None else describe.label_of(labelled, self._catalog.labels),
            )

    def _others(self) -> Iterator[RootField]:
        of_sets = {name for _, _, name in self._catalog.set_roots()}
        return (self._catalog.roots[n] for n in self._catalog.roots if n not in of_sets)

    def actions(self) -> Iterator[Subject]:
        """Return the mutations that are not of rows."""
        for name, field in () if self._writes is None else self._writes.actions.items():
            csdl = field.operation.name if field.operation is not None else ""
            yield _subject(
                kind="mutation",
                name=name,
                csdl=short(csdl) if csdl else field.service.path if field.service else "",
                type_name=self._catalog.reference_name(field.csdl) if field.csdl else "",
            )

    def types(self) -> Iterator[Subject]:
        """Return enums, complex types, and entity types without a set."""
        model, labels = self._catalog.model, self._catalog.labels
        shown = (TypeKind.OBJECT, TypeKind.INTERFACE, TypeKind.ENUM)
        for number, (name, entry) in enumerate(self._catalog.known_names().items(), 1):
            if entry.kind in shown and entry.csdl not in model.sets_of_type:
                is_enum = entry.kind is TypeKind.ENUM
                if self._schema.entry(name) is not None:
                    declared = (
                        model.enum_types[entry.csdl] if is_enum else model.structured(entry.csdl)
                    )
                    label = describe.label_of(declared, labels)
                    yield _subject(
                        "type", name, csdl=short(entry.csdl), type_name=name, label=label
                    )
            if number % FORGET_AFTER == 0:
                self._schema.forget()

    def fields(self) -> tuple[FieldName, ...]:
        """Return the fields that the sets' rows have, when these were walked through."""
        return tuple(
            FieldName(name, searchable_text((name,)), array(places.typecode, places))
            for name, places in self._places.items()
        )


def _subject(
    kind: str,
    name: str,
    *,
    csdl: str,
    type_name: str = "",
    by_key: str = "",
    label: str = "",
    verbs: tuple[Verb, ...] = (),
) -> Subject:
    names = tuple(dict.fromkeys(n for n in (csdl, name, by_key, type_name) if n))
    return Subject(
        kind=kind,
        name=name,
        by_key=by_key,
        aggregate="",
        csdl=csdl,
        type=type_name,
        label=label,
        verbs=verbs,
        text=searchable_text(names) + (f"\n{searchable_text((label,))}" if label else ""),
        exact=tuple(dict.fromkeys(n.casefold() for n in names)),
    )
