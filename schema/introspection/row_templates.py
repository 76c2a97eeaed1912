"""Templates for the fields of types made of an entity's properties, which differ by name and description only.

A catalogue has a hundred thousand properties, each in up to seven types, but only some thousand kinds of them (by type,
nullability, writability). The catalogue describes each kind once, for a specimen; writers make a template of it. That
keeps the introspection of a whole catalogue below the three seconds of ``tests/bench/bars.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import orjson

from schema.catalog import Catalog
from schema.catalog import descriptions as describe
from schema.catalog.inputs import RESERVED_INPUTS, is_ordered
from schema.catalog.records import Field, TypeEntry, TypeKind
from schema.model.edm import NOT_IN_ROWS
from schema.model.records import Property
from schema.writes import Writes

from .type_records import Member, input_member, notation

NAME, TEXT = "QqNameqQ", "QqTextqQ"
"""Name and description of a specimen, replaced in the template."""
_INPUTS = (TypeKind.CREATE_INPUT, TypeKind.PATCH, TypeKind.NESTED_INPUT)
_KINDS = frozenset({TypeKind.OBJECT, TypeKind.WHERE, TypeKind.ORDER_BY, TypeKind.KEY, *_INPUTS})

Row = tuple[Member, tuple[bytes, bytes], str, str]
"""A specimen, name and description of a similar member as JSON, and both as text."""
Shape = tuple[tuple[TypeKind, Member], ...]
"""The members of properties of one kind in the types of their rows."""


class Alike:
    """The members of a type, most of which are similar to specimens."""

    def __init__(
        self, rows: list[Row], before: Iterable[Member] = (), after: Iterable[Member] = ()
    ) -> None:
        self.before = before
        self.rows = rows
        self.after = after

    def __iter__(self) -> Iterator[Member]:
        yield from self.before
        for specimen, _, name, description in self.rows:
            yield specimen._replace(name=name, description=description)
        yield from self.after


class _Family(NamedTuple):
    csdl: str
    rows: Mapping[TypeKind, list[Row]]
    navigations: tuple[Field, ...]


class Rows:
    """The members of types of rows; its memory is bounded by the number of kinds of properties."""

    def __init__(
        self, catalog: Catalog, writes: Writes | None, row_member: Callable[[Field], Member]
    ) -> None:
        self._catalog = catalog
        self._writes = writes
        self._row_member = row_member
        self._shapes: dict[tuple[object, ...], Shape] = {}
        self._specimens: dict[Member, Member] = {}
        self._family: _Family | None = None
        """The last family: types come family by family."""

    def forget(self) -> None:
        """Drop the catalogue's records."""
        self._family = None

    def members(self, entry: TypeEntry) -> Alike | None:
        """Return the members of a type; None if their names depend on each other or it is not a type of rows."""
        kind, csdl = entry.kind, entry.csdl
        if kind not in _KINDS:
            return None
        family = self._family_of(csdl)
        if family is None:
            return None
        rows = family.rows[kind]
        if kind is TypeKind.OBJECT:
            own = tuple(map(self._row_member, self._catalog.own_fields(csdl)))
            return Alike(rows, own, map(self._row_member, family.navigations))
        if kind is TypeKind.WHERE:
            logic = map(input_member, self._catalog.logic_fields(entry))
            return Alike(rows, logic, self._conditions(csdl, family.navigations))
        if kind in _INPUTS:
            parts = (f for f in self._catalog.own_fields(csdl) if f.parts is not None)
            own = tuple(self._inputs(kind, csdl, parts))
            is_new = kind is TypeKind.CREATE_INPUT
            return Alike(rows, own, self._inputs(kind, csdl, family.navigations) if is_new else ())
        return Alike(rows)

    def key(self, csdl: str) -> tuple[Member, ...] | None:
        """Return the key as arguments; None if the names of the members depend on each other."""
        family = self._family_of(csdl)
        return None if family is None else tuple(Alike(family.rows[TypeKind.KEY]))

    def _family_of(self, csdl: str) -> _Family | None:
        family = self._family
        if family is None or family.csdl != csdl:
            names = self._catalog.plain_names(csdl)
            if names is None or not RESERVED_INPUTS.isdisjoint(names.values()):
                return None
            navigations = tuple(self._catalog.plain_navigations(csdl))
            family = self._family = _Family(csdl, self._rows(csdl, names), navigations)
        return family

    def _rows(self, csdl: str, names: Mapping[str, str]) -> Mapping[TypeKind, list[Row]]:
        catalog = self._catalog
        labels, company = catalog.labels, catalog.abilities.company_property
        key = catalog.key_of(csdl)
        dumps, shape, prop_text = orjson.dumps, self._shape, describe.prop
        by_kind: dict[TypeKind, list[Row]] = {kind: [] for kind in _KINDS}
        for prop in catalog.model.entity_types[csdl].properties:
            if prop.type.name in NOT_IN_ROWS:
                continue
            is_key = prop.name in key
            name = names[prop.name]
            text = prop_text(prop, labels, is_key=is_key, company=company)
            words = (dumps(name), dumps(text))
            for kind, specimen in shape(prop, csdl, is_key):
                by_kind[kind].append((specimen, words, name, text))
        places = {names[source]: place for place, source in enumerate(key)}
        by_kind[TypeKind.KEY].sort(key=lambda row: places[row[2]])
        self._remove_denied(
            by_kind, TypeKind.WHERE, names, catalog.denied_properties(csdl, *_FILTERABLE)
        )
        self._remove_denied(
            by_kind, TypeKind.ORDER_BY, names, catalog.denied_properties(csdl, *_SORTABLE)
        )
        return by_kind

    def _remove_denied(
        self,
        by_kind: dict[TypeKind, list[Row]],
        kind: TypeKind,
        names: Mapping[str, str],
        denied: frozenset[str] | None,
    ) -> None:
        """Remove the rows that annotations deny; ``denied`` None removes all."""
        if denied is None:
            by_kind[kind] = []
        elif denied:
            out = {names.get(source) for source in denied}
            by_kind[kind] = [row for row in by_kind[kind] if row[2] not in out]

    # Kinds of properties

    def _shape(self, prop: Property, csdl: str, is_key: bool) -> Shape:
        type_name, many = prop.type.name, prop.type.many
        required = (
            prop.required
            and self._writes is not None
            and self._writes.inputs.is_required_property(prop, csdl)
        )
        is_company = is_key and prop.name == self._catalog.abilities.company_property
        # fmt: off
        kind = (
            type_name, many, prop.ax_type, prop.nullable, prop.allow_edit,
            prop.allow_edit_on_create, required, is_key, is_company,
        )
        # fmt: on
        shape = self._shapes.get(kind)
        if shape is None:
            field = self._catalog.property_field(prop, csdl, NAME, is_key=is_key)
            shape = self._shapes[kind] = tuple(
                (of, self._specimens.setdefault(member, member))
                for of, member in self._members(field, csdl, is_key, is_company)
            )
        return shape

    def _members(
        self, field: Field, csdl: str, is_key: bool, is_company: bool
    ) -> Iterator[tuple[TypeKind, Member]]:
        if is_key:
            use = notation(field.type_name, nullable=is_company, many=field.many)
            yield TypeKind.KEY, Member(NAME, TEXT, use)
        yield TypeKind.OBJECT, self._row_member(field)._replace(description=TEXT)
        condition = self._catalog.where_condition(csdl, field)
        if condition is not None:
            yield TypeKind.WHERE, Member(NAME, TEXT, condition[1])
        if is_ordered(field):
            yield TypeKind.ORDER_BY, Member(NAME, TEXT, "SortDirection")
        for kind in _INPUTS if self._writes is not None else ():
            for member in self._inputs(kind, csdl, (field,)):
                yield kind, member._replace(description=TEXT)

    def _conditions(self, csdl: str, fields: Iterable[Field]) -> Iterator[Member]:
        denied = self._catalog.denied_properties(csdl, *_FILTERABLE)
        for field in fields:
            condition = self._catalog.where_condition(csdl, field)
            if condition is not None and denied is not None and field.source not in denied:
                yield Member(field.name, field.description or None, condition[1])

    def _inputs(self, kind: TypeKind, csdl: str, fields: Iterable[Field]) -> Iterator[Member]:
        if self._writes is None:
            return
        takes, give = self._writes.inputs.field_rules(kind, csdl)
        for field in filter(takes, fields):
            spec = give(field)
            use = notation(spec.type_name, nullable=spec.nullable, many=field.many)
            yield Member(field.name, spec.description or None, use)


_FILTERABLE = ("filterable", "non_filterable")
_SORTABLE = ("sortable", "non_sortable")
