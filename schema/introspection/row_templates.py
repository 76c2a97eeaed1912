"""Templates for the fields of types made of an entity's properties, which differ by name and description only.

A catalogue has a hundred thousand properties, each in up to seven types, but only some thousand kinds of them (by type,
nullability, writability). The catalogue describes each kind once, for a specimen; writers make a template of it. That
keeps the introspection of a whole catalogue below the three seconds of ``tests/bench/bars.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import orjson
from msgspec import structs

from schema.catalog import Catalog
from schema.catalog import descriptions as describe
from schema.catalog.inputs import RESERVED_INPUTS, is_ordered
from schema.catalog.records import Field, TypeEntry, TypeKind
from schema.model.edm import NOT_IN_ROWS
from schema.model.records import Property, TypeRef
from schema.writes import Writes

from .navigation_templates import NavigationRows
from .row_shapes import ENUM, FILTER, NAME, TEXT, Alike, Row, Shape
from .type_records import Member, input_member, notation

_INPUTS = (TypeKind.CREATE_INPUT, TypeKind.PATCH, TypeKind.NESTED_INPUT)
ROW_KINDS = frozenset({TypeKind.OBJECT, TypeKind.WHERE, TypeKind.ORDER_BY, TypeKind.KEY, *_INPUTS})
"""Types whose members are properties."""


class _EnumUse(NamedTuple):
    """How properties of a type are described: like those of any other enum, or by themselves."""

    like: str
    """What shapes are looked up by."""
    enum: bytes = b""
    filter: bytes = b""


class _Family(NamedTuple):
    csdl: str
    rows: Sequence[Row]
    """Of all properties, in the order of the metadata."""
    names: Mapping[str, str]
    """CSDL name → field name."""
    own: tuple[Field, ...]
    """The gateway's own fields."""
    related: Sequence[Row]
    """The navigations."""
    navigations: tuple[Field, ...]
    """The navigations, if templates cannot describe them all."""

    def with_related(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return the rows and the navigations."""
        return [*rows, *self.related] if self.related else rows


class Rows:
    """The members of types of rows; its memory is bounded by the number of kinds of properties."""

    def __init__(
        self, catalog: Catalog, writes: Writes | None, row_member: Callable[[Field], Member]
    ) -> None:
        self._catalog = catalog
        self._writes = writes
        self._row_member = row_member
        self._navigations = NavigationRows(catalog, writes, row_member)
        self._shapes: dict[tuple[object, ...], Shape] = {}
        self._uses: dict[str, _EnumUse] = {}
        self._family: _Family | None = None
        """The last family: types come family by family."""

    def forget(self) -> None:
        """Drop the catalogue's records."""
        self._family = None

    def members(self, entry: TypeEntry) -> Alike | None:
        """Return the members of a type; None if their names depend on each other or it is not a type of rows."""
        kind, csdl = entry.kind, entry.csdl
        if kind not in ROW_KINDS:
            return None
        family = self._family_of(csdl)
        if family is None:
            return None
        if kind is TypeKind.OBJECT:
            rows, rest = family.with_related(family.rows), map(self._row_member, family.navigations)
            return Alike(kind, rows, map(self._row_member, family.own), rest)
        if kind is TypeKind.WHERE:
            logic = map(input_member, self._catalog.logic_fields(entry))
            rows = family.with_related(self._allowed(family, *_FILTERABLE))
            return Alike(kind, rows, logic, self._conditions(csdl, family.navigations))
        if kind is TypeKind.ORDER_BY:
            return Alike(kind, self._allowed(family, *_SORTABLE))
        if kind in _INPUTS:
            parts = [f for f in family.own if f.parts is not None]
            own = self._inputs(kind, csdl, parts) if parts else ()
            if kind is not TypeKind.CREATE_INPUT:
                return Alike(kind, family.rows, own)
            nested = self._inputs(kind, csdl, family.navigations) if family.navigations else ()
            return Alike(kind, family.with_related(family.rows), own, nested)
        return Alike(kind, self._of_key(family) if kind is TypeKind.KEY else family.rows)

    def key_rows(self, csdl: str) -> Sequence[Row] | None:
        """Return the properties of the key; None if the names of the members depend on each other."""
        family = self._family_of(csdl)
        return None if family is None else self._of_key(family)

    def key(self, csdl: str) -> tuple[Member, ...] | None:
        """Return the key as arguments; None if the names of the members depend on each other."""
        rows = self.key_rows(csdl)
        return None if rows is None else tuple(Alike(TypeKind.KEY, rows))

    def _family_of(self, csdl: str) -> _Family | None:
        family = self._family
        if family is None or family.csdl != csdl:
            names = self._catalog.plain_names(csdl)
            if names is None or not RESERVED_INPUTS.isdisjoint(names.values()):
                return None
            rows, own = self._rows(csdl, names), tuple(self._catalog.own_fields(csdl))
            navigations = tuple(self._catalog.plain_navigations(csdl))
            related = self._navigations.rows(csdl, navigations)
            if related is None:
                family = _Family(csdl, rows, names, own, (), navigations)
            else:
                family = _Family(csdl, rows, names, own, related, ())
            self._family = family
        return family

    def _rows(self, csdl: str, names: Mapping[str, str]) -> Sequence[Row]:
        catalog = self._catalog
        labels, company = catalog.labels, catalog.abilities.company_property
        key = catalog.key_of(csdl)
        dumps, describe_it = orjson.dumps, describe.marked_prop
        uses, shapes = self._uses, self._shapes
        rows: list[Row] = []
        for prop in catalog.model.entity_types[csdl].properties:
            type_name = prop.type.name
            if type_name in NOT_IN_ROWS:
                continue
            use = uses.get(type_name) or self._use(prop)
            source = prop.name
            is_key = source in key
            required = prop.required and self._is_required(prop, csdl)
            # fmt: off
            kind = (
                use.like, prop.type.many, prop.ax_type, prop.nullable, prop.allow_edit,
                prop.allow_edit_on_create, required, is_key, source == company,
            )
            # fmt: on
            shape = shapes.get(kind)
            if shape is None:
                shape = shapes[kind] = self._shape(prop, csdl, use, is_key)
            name = names[source]
            text = describe_it(prop, labels, shape.marks)
            rows.append((dumps(name), dumps(text), name, text, shape, use.enum, use.filter))
        return rows

    def _of_key(self, family: _Family) -> Sequence[Row]:
        """Return the rows of the key, in its order."""
        of_name = {row[2]: row for row in family.rows}
        return [of_name[family.names[part]] for part in self._catalog.key_of(family.csdl)]

    def _allowed(self, family: _Family, whole: str, parts: str) -> Sequence[Row]:
        """Return the rows that annotations do not deny."""
        denied = self._catalog.denied_properties(family.csdl, whole, parts)
        if denied is None:
            return ()
        if not denied:
            return family.rows
        names = {family.names.get(source) for source in denied}
        return [row for row in family.rows if row[2] not in names]

    # Kinds of properties

    def _is_required(self, prop: Property, csdl: str) -> bool:
        return self._writes is not None and self._writes.inputs.is_required_property(prop, csdl)

    def _use(self, prop: Property) -> _EnumUse:
        """Return how properties of a type are described, also in lists: what decides is the type alone."""
        catalog, type_name = self._catalog, prop.type.name
        use = _EnumUse(type_name)
        enum = catalog.displayed_enum(type_name)
        single = structs.replace(prop, type=TypeRef(type_name))
        filter_name = None if enum is None else catalog.property_filter(single)
        if enum is not None and filter_name is not None:
            is_flags = catalog.enum(type_name).flags  # which its own type needs too
            use = _EnumUse("flags" if is_flags else "enum", enum.encode(), filter_name.encode())
        self._uses[type_name] = use
        return use

    def _shape(self, prop: Property, csdl: str, use: _EnumUse, is_key: bool) -> Shape:
        is_company = is_key and prop.name == self._catalog.abilities.company_property
        field = self._catalog.property_field(prop, csdl, NAME, is_key=is_key)
        members = dict(self._members(field, csdl, is_key, is_company))
        if use.enum:
            enum, filter_name = use.enum.decode(), use.filter.decode()
            members = {
                kind: member._replace(
                    type=FILTER
                    if member.type == filter_name
                    else re.sub(rf"\b{enum}\b", ENUM, member.type)
                )
                for kind, member in members.items()
            }
        company = self._catalog.abilities.company_property
        marks = describe.prop_marks(prop, is_key=is_key, company=company)
        return Shape(members, marks)

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
