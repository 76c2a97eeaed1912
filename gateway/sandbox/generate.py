"""Rows for any document: deterministic, linked where it tells constraints, made when a storage is first touched.

A property that a navigation joins on takes its value from a row of the other side, so that joins
find rows. Such links form a graph in which every property points to at most one other; where they
run in a circle, the first by name is the one that invents values.
"""

from __future__ import annotations

import base64
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, cached_property
from typing import Any

from schema.model import Model, TypeRef, short

from .labels import words
from .seed import COMPANIES
from .store import Row
from .values import Field, Kind
from .world import COMPANY, World

_ROWS = 24
_CHILDREN = 3
"""Rows that point to the same row of the other side."""
_IDENTIFYING = frozenset({Kind.TEXT, Kind.INTEGER, Kind.DECIMAL, Kind.REAL, Kind.GUID, Kind.MOMENT})
Node = tuple[str, str]
"""Entity type and property."""


class GivenRows:
    """Row source for a document that came from outside."""

    def __init__(self, world: World, *, scale: float, seed: int) -> None:
        self._world = world
        self._count = max(len(COMPANIES), round(_ROWS * scale))
        self._seed = seed
        self._source_of = cache(self._find_source)
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
        # A part of a key is never null, though what it leads to may be.
        in_key = node[1] in self._world.model.key_of(node[0])
        for _ in range(64):  # longer chains do not occur; a limit is cheaper than proof
            if node[1] == COMPANY and self._world.finops:
                return COMPANIES[number % len(COMPANIES)].id
            source = self._source_of(node)
            if source is None or self._circles(node) == node:
                break
            node, number = source, self._other(node, number)
        return self._invent(node, number, in_key=in_key)

    def _other(self, node: Node, number: int) -> int:
        """Give the row of the other side that a row points to; companies stay together."""
        if self._identity(node[0]) == node[1]:
            return number
        step = len(COMPANIES) if self._world.finops else 1
        return number // step // _CHILDREN * step + number % step

    def _find_identity(self, type_name: str) -> str | None:
        """Give the key part that tells rows apart: one that is not linked, if possible."""
        fields = self._world.fields_of(type_name)
        parts = [p for p in self._world.model.key_of(type_name) if p in fields and p != COMPANY]
        able = [p for p in parts if fields[p].kind in _IDENTIFYING]
        free = [p for p in able if self._source_of((type_name, p)) is None]
        return next(reversed(free or able or parts), None)

    def _find_source(self, node: Node) -> Node | None:
        """Give the property of the other side from which this one takes its values."""
        type_name, name = node
        for target, pairs in self._joins(type_name):
            for own, theirs in pairs:
                if own == name and self._alike(node, (target, theirs)):
                    return target, theirs
        return None

    def _joins(self, type_name: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        model = self._world.model
        for navigation in model.navigations_of(type_name):
            if not navigation.many and navigation.on:
                yield (
                    navigation.target,
                    [(pair.property, pair.referenced) for pair in navigation.on],
                )
        for base in model.lineage(type_name):
            yield from self._turned.get(base.name, ())

    @cached_property
    def _turned(self) -> dict[str, list[tuple[str, list[tuple[str, str]]]]]:
        """The joins that only the other side's to-many navigations tell, by the type of the children."""
        found: dict[str, list[tuple[str, list[tuple[str, str]]]]] = {}
        for owner in self._world.model.entity_types.values():
            for navigation in owner.navigations:
                if navigation.many and navigation.on:
                    pairs = [(pair.referenced, pair.property) for pair in navigation.on]
                    found.setdefault(navigation.target, []).append((owner.name, pairs))
        return found

    def _alike(self, one: Node, other: Node) -> bool:
        fields, others = self._world.fields_of(one[0]), self._world.fields_of(other[0])
        if one == other or one[1] not in fields or other[1] not in others:
            return False
        return fields[one[1]].declared.type == others[other[1]].declared.type

    def _find_circle(self, node: Node) -> Node | None:
        """Give the first property by name of the circle that the links from here run into, or None."""
        path: list[Node] = []
        at: Node | None = node
        while at is not None and at not in path:
            path.append(at)
            at = self._source_of(at)
        return None if at is None else min(path[path.index(at) :])

    def _invent(self, node: Node, number: int, *, in_key: bool) -> Any:
        type_name, name = node
        field = self._world.fields_of(type_name)[name]
        model = self._world.model
        salt = zlib.crc32(f"{self._seed}/{short(type_name)}/{name}".encode())
        if name in model.key_of(type_name):
            own = self._identity(type_name) == name
            return _invent(model, field, number if own else number // _CHILDREN, salt, unset=False)
        return _invent(model, field, number, salt, unset=number % 5 == 4 and not in_key)


def _invent(model: Model, field: Field, number: int, salt: int, *, unset: bool) -> Any:
    """Give a value; ``unset`` asks for none where the property allows that."""
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
    """Give a JSON value of a type that is no entity type, for the results of operations."""
    definition = model.type_definitions.get(ref.name)
    name = ref.name if definition is None else definition.underlying
    return _structured(model, name, salt % 50, salt, many=ref.many)


def _structured(
    model: Model, type_name: str, number: int, salt: int, *, many: bool, depth: int = 0
) -> Any:
    """Give the JSON of a complex value, a collection, or a type without columns."""
    if many:
        made = (
            _structured(model, type_name, number + at, salt, many=False, depth=depth)
            for at in range(2)
        )
        return [value for value in made if value is not None]
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
    """Return a complex value; of an abstract type one of a concrete type, which it names, or None if there is none.

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
