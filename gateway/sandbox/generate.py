"""Generates rows for any metadata: deterministic, and linked by its navigations and the relations of the settings.

A property that a navigation joins on takes its value from a row of the other side, so that joins match rows; all
properties of one join take them from the same row. Such links form a graph in which every property points to at most
one other; in a circle, the first property by name invents values. Rows are generated at the first use of a storage.
"""

from __future__ import annotations

import base64
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, cached_property
from typing import Any

from schema.model.records import Model, TypeRef, short
from schema.model.relations import Relation, preset

from .companies import COMPANIES, Company
from .labels import words
from .store import Row
from .values import Field, Kind
from .world import COMPANY, World

_ROWS = 24
_CHILDREN = 3
"""Rows that point to the same row of the other side."""
_IDENTIFYING = frozenset({Kind.TEXT, Kind.INTEGER, Kind.DECIMAL, Kind.REAL, Kind.GUID, Kind.MOMENT})
Node = tuple[str, str]
"""Entity type and property."""


@dataclass(frozen=True, slots=True)
class _Join:
    """The properties of a type that equal those of another, in the rows that a navigation leads to."""

    target: str
    pairs: list[tuple[str, str]]
    declared: bool = False
    """Whether it is a relation of the settings, not of the metadata."""


@dataclass(frozen=True, slots=True)
class _Link:
    """The property from which another one takes its values."""

    source: Node
    columns: frozenset[str]
    """The properties of the row that the join takes from one row of the other side."""
    mutual: bool
    """Whether the other side's rows point back, one to one."""


class GeneratedRows:
    """Row source for the metadata of another service.

    ``relations`` that fit the metadata link rows as its own navigations do, without being navigations of the service.
    """

    def __init__(
        self,
        world: World,
        *,
        scale: float,
        seed: int,
        relations: Iterable[Relation] = (),
        companies: Sequence[Company] = COMPANIES,
    ) -> None:
        self._world = world
        self._companies = companies
        self._related = preset(world.model, relations, company_property=COMPANY)
        self._count = max(len(companies), round(_ROWS * scale))
        self._seed = seed
        self._links_of = cache(self._find_links)
        self._circles = cache(self._find_circle)
        self._identity = cache(self._find_identity)

    def rows(self, storage: str) -> Iterable[Row]:
        model = self._world.model
        types = [t for t in self._world.types_in(storage) if self._world.is_concrete(t)]
        seen: set[tuple[Any, ...]] = set()
        for number in range(1 if storage in model.singletons else self._count) if types else ():
            type_name = types[number % len(types)]
            row = self._row(type_name, number)
            key = tuple(row[name] for name in model.key_of(type_name) if name in row)
            if not key or key not in seen:
                seen.add(key)
                yield row

    def _row(self, type_name: str, number: int) -> dict[str, Any]:
        fields = self._world.fields_of(type_name)
        return {
            "@type": type_name,
            **{name: self._value((type_name, name), number) for name in fields},
        }

    def _value(self, node: Node, number: int) -> Any:
        # A part of a key is never null, nor is what a join leads to.
        required = node[1] in self._world.model.key_of(node[0]) or self._is_referenced(node)
        # Longer chains do not occur, and a limit is cheaper than a proof.
        for _ in range(64):
            if node[1] == COMPANY and self._world.finops:
                return self._companies[number % len(self._companies)].id
            link = self._link_of(node)
            if link is None or self._circles(node) == node:
                break
            number = self._other(node[0], link, number)
            node = link.source
        return self._invent(node, number, required=required or self._is_referenced(node))

    def _other(self, type_name: str, link: _Link, number: int) -> int:
        """Return the row of the other side that a row points to; companies stay together."""
        if link.mutual or self._identity(type_name) in link.columns:
            return number
        step = len(self._companies) if self._world.finops else 1
        return number // step // _CHILDREN * step + number % step

    def _find_identity(self, type_name: str) -> str | None:
        """Return the key part that identifies rows: one that is not linked, if possible."""
        fields = self._world.fields_of(type_name)
        parts = [p for p in self._world.model.key_of(type_name) if p in fields and p != COMPANY]
        able = [p for p in parts if fields[p].kind in _IDENTIFYING]
        free = [p for p in able if self._link_of((type_name, p)) is None]
        return next(reversed(free or able or parts), None)

    def _link_of(self, node: Node) -> _Link | None:
        return self._links_of(node[0]).get(node[1])

    def _find_links(self, type_name: str) -> dict[str, _Link]:
        """Return the links of a type by property.

        Relations of the settings come first, then the widest joins: their values decide those of the others.
        """
        links: dict[str, _Link] = {}
        for join in sorted(self._joins(type_name), key=lambda j: (not j.declared, -len(j.pairs))):
            able = {
                own: (join.target, theirs)
                for own, theirs in join.pairs
                if self._alike((type_name, own), (join.target, theirs))
            }
            columns = frozenset(able) - ({COMPANY} if self._world.finops else set())
            if columns.isdisjoint(links):
                mutual = self._points_back(type_name, join)
                links.update({own: _Link(able[own], columns, mutual) for own in columns})
        return links

    def _points_back(self, type_name: str, join: _Join) -> bool:
        turned = {(theirs, own) for own, theirs in join.pairs}
        return any(
            back.target == type_name and set(back.pairs) == turned
            for back in self._joins(join.target)
        )

    def _is_referenced(self, node: Node) -> bool:
        return any(
            (base.name, node[1]) in self._referenced for base in self._related.lineage(node[0])
        )

    @cached_property
    def _referenced(self) -> frozenset[Node]:
        """The properties that joins lead to."""
        referenced: set[Node] = set()
        for owner in self._related.entity_types.values():
            for navigation in owner.navigations:
                for pair in navigation.on:
                    side = (owner.name, pair.property)
                    referenced.add(
                        side if navigation.many else (navigation.target, pair.referenced)
                    )
        return frozenset(referenced)

    def _joins(self, type_name: str) -> Iterator[_Join]:
        yield from self._own_joins(type_name)
        yield from self._twins.get(type_name, ())

    def _own_joins(self, type_name: str) -> Iterator[_Join]:
        model = self._related
        for navigation in model.navigations_of(type_name):
            if not navigation.many and navigation.on:
                pairs = [(pair.property, pair.referenced) for pair in navigation.on]
                yield _Join(navigation.target, pairs, navigation.declared)
        for base in model.lineage(type_name):
            yield from self._reverse_joins.get(base.name, ())

    @cached_property
    def _twins(self) -> dict[str, list[_Join]]:
        """The joins of types that the same columns of a third one lead to, as to versions of one entity."""
        twins: dict[str, list[_Join]] = {}
        for type_name in self._declaring():
            first: dict[frozenset[str], tuple[str, dict[str, str]]] = {}
            for join in self._own_joins(type_name):
                own = frozenset(name for name, _ in join.pairs if name != COMPANY)
                known, referenced = first.setdefault(own, (join.target, dict(join.pairs)))
                if known != join.target:
                    pairs = [(t, referenced[name]) for name, t in join.pairs if name in referenced]
                    twins.setdefault(join.target, []).append(_Join(known, pairs))
        return twins

    def _declaring(self) -> Iterator[str]:
        """Return the types whose rows point to others by a relation that the document lacks."""
        names: dict[str, None] = {}
        for owner in self._related.entity_types.values():
            declared = [n for n in owner.navigations if n.declared]
            names.update({n.target if n.many else owner.name: None for n in declared})
        return iter(names)

    @cached_property
    def _reverse_joins(self) -> dict[str, list[_Join]]:
        """The joins that only to-many navigations of the other side declare, by the type of the children."""
        joins: dict[str, list[_Join]] = {}
        for owner in self._related.entity_types.values():
            for navigation in owner.navigations:
                if navigation.many and navigation.on:
                    pairs = [(pair.referenced, pair.property) for pair in navigation.on]
                    join = _Join(owner.name, pairs, navigation.declared)
                    joins.setdefault(navigation.target, []).append(join)
        return joins

    def _alike(self, one: Node, other: Node) -> bool:
        fields, others = self._world.fields_of(one[0]), self._world.fields_of(other[0])
        if one == other or one[1] not in fields or other[1] not in others:
            return False
        return fields[one[1]].declared.type == others[other[1]].declared.type

    def _find_circle(self, node: Node) -> Node | None:
        """Return the first property by name of the circle that the links from here run into, or None."""
        path: list[Node] = []
        at: Node | None = node
        while at is not None and at not in path:
            path.append(at)
            link = self._link_of(at)
            at = None if link is None else link.source
        return None if at is None else min(path[path.index(at) :])

    def _invent(self, node: Node, number: int, *, required: bool) -> Any:
        type_name, name = node
        field = self._world.fields_of(type_name)[name]
        model = self._world.model
        salt = zlib.crc32(f"{self._seed}/{short(type_name)}/{name}".encode())
        if name in model.key_of(type_name):
            own = self._identity(type_name) == name
            return _invent(model, field, number if own else number // _CHILDREN, salt, unset=False)
        return _invent(model, field, number, salt, unset=number % 5 == 4 and not required)


def _invent(model: Model, field: Field, number: int, salt: int, *, unset: bool) -> Any:
    """Return a value; with ``unset`` none, if the property allows that."""
    prop = field.declared
    if unset and prop.nullable and field.has_nulls and not prop.type.many:
        return None
    if unset and field.kind is Kind.TEXT and not field.has_nulls:
        return ""
    if field.kind is Kind.JSON:
        return _structured(model, prop.type.name, number, salt, many=prop.type.many)
    if field.kind is Kind.ENUM:
        assert field.enum is not None
        members = field.enum.members
        return members[(number + salt) % len(members)].value if members else 0
    return _SIMPLE[field.kind](field, number, salt)


def invented_json(model: Model, ref: TypeRef, salt: int) -> Any:
    """Return a JSON value of a type that is no entity type, for the results of operations."""
    definition = model.type_definitions.get(ref.name)
    name = ref.name if definition is None else definition.underlying
    return _structured(model, name, salt % 50, salt, many=ref.many)


def _structured(
    model: Model, type_name: str, number: int, salt: int, *, many: bool, depth: int = 0
) -> Any:
    """Return the JSON of a complex value, a collection, or a type without columns."""
    if many:
        values = (
            _structured(model, type_name, number + at, salt, many=False, depth=depth)
            for at in range(2)
        )
        return [value for value in values if value is not None]
    if type_name in model.complex_types and depth < 4:
        return _complex(model, type_name, number, salt, depth=depth)
    if type_name in model.enum_types:
        members = model.enum_types[type_name].members
        return members[number % len(members)].name if members else None
    if type_name.startswith("Edm.Geo"):
        return {"type": "Point", "coordinates": [salt % 180, number]}
    make = _JSON_VALUES.get(type_name)
    return f"text {number} {salt % 100}" if make is None else make(number, salt)


def _complex(
    model: Model, type_name: str, number: int, salt: int, *, depth: int
) -> dict[str, Any] | None:
    """Return a complex value; of an abstract type one of a concrete type, which it names, or None if it has none.

    https://docs.oasis-open.org/odata/odata-json-format/v4.01/odata-json-format-v4.01.html#sec_ControlInformationtypeodatatype
    """
    value: dict[str, Any] = {}
    if model.complex_types[type_name].abstract:
        concrete = [n for n in model.family(type_name) if not model.complex_types[n].abstract]
        if not concrete:
            return None
        type_name = concrete[number % len(concrete)]
        value["@odata.type"] = f"#{type_name}"
    for at, prop in enumerate(model.properties_of(type_name)):
        value[prop.name] = _structured(
            model, prop.type.name, number, salt + at, many=prop.type.many, depth=depth + 1
        )
    return value


def _text(field: Field, number: int, salt: int) -> str:
    prop = field.declared
    capitals = "".join(c for c in prop.name if c.isupper())[:3] or "X"
    text = f"{words(prop.name)} {number + 1}" if prop.nullable else f"{capitals}-{number + 1:04d}"
    if salt % 7 == 0 and prop.nullable:
        text = f"{text} & ünïcode 'quoted'"
    return (
        text
        if prop.max_length is None or len(text) <= prop.max_length
        else text[-prop.max_length :]
    )


def _integer(field: Field, number: int, salt: int) -> int:
    if not field.declared.nullable:
        return number + 1
    return (salt + number * 7) % (
        100 if field.declared.type.name in ("Edm.Byte", "Edm.SByte") else 10_000
    )


def _moment(field: Field, number: int, salt: int) -> datetime:
    at = datetime(2023, 1, 1, 12, tzinfo=UTC) + timedelta(days=number * 9 + salt % 30)
    return at if field.declared.ax_type == "Date" else at + timedelta(minutes=number * 7)


def _decimal(field: Field, number: int, salt: int) -> Decimal:
    scale = 2 if field.declared.scale is None else min(field.declared.scale, 4)
    return Decimal(number * 1_001 + salt % 1_000) / Decimal(10**scale)


_SIMPLE: dict[Kind, Callable[[Field, int, int], Any]] = {
    Kind.TEXT: _text,
    Kind.DECIMAL: _decimal,
    Kind.INTEGER: _integer,
    Kind.REAL: lambda _, n, s: n * 1.5 + s % 10,
    Kind.BOOLEAN: lambda _, n, s: (n + s) % 2 == 0,
    Kind.MOMENT: _moment,
    Kind.DATE: lambda _, n, s: (date(2023, 1, 1) + timedelta(days=n * 9 + s % 30)).isoformat(),
    Kind.TIME: lambda _, n, s: f"{(8 + n) % 24:02d}:{s % 60:02d}:00",
    Kind.DURATION: lambda _, n, s: f"PT{n % 24}H{s % 60}M",
    Kind.GUID: lambda _, n, s: uuid.UUID(int=(s << 96) + n + 1),
    Kind.BINARY: lambda _, n, s: f"bytes {n} {s}".encode(),
}
_JSON_VALUES: dict[str, Callable[[int, int], Any]] = {
    "Edm.Byte": lambda n, _: n % 256,
    "Edm.SByte": lambda n, _: n % 128,
    "Edm.Binary": lambda n, s: base64.b64encode(f"bytes {n} {s}".encode()).decode(),
    "Edm.Int16": lambda n, _: n,
    "Edm.Int32": lambda n, _: n,
    "Edm.Int64": lambda n, _: n,
    "Edm.Decimal": lambda n, _: n + 0.5,
    "Edm.Double": lambda n, _: n + 0.25,
    "Edm.Single": lambda n, _: n + 0.25,
    "Edm.Boolean": lambda n, _: n % 2 == 0,
    "Edm.Date": lambda n, _: f"2023-01-{n % 28 + 1:02d}",
    "Edm.DateTimeOffset": lambda n, _: f"2023-01-{n % 28 + 1:02d}T12:00:00Z",
    "Edm.TimeOfDay": lambda n, _: f"{n % 24:02d}:00:00",
    "Edm.Duration": lambda n, _: f"PT{n}H",
    "Edm.Guid": lambda n, s: str(uuid.UUID(int=(s << 96) + n + 1)),
}
