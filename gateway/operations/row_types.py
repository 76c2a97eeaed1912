"""Rows of a level as generated msgspec structs: only the selected properties, decoded and type-checked in C.

A *row type* is the struct for one level under one way of loading it: the level's values (``a0``, ``a1``…),
extra columns that the plan needs (``e0``…: joins, order, filters), and a slot for each child (``c0``…), which
an ``$expand`` fills while decoding and everything else fills later. Exact decimals come free: msgspec reads
them from the JSON text.

When a page does not fit its struct, :func:`lenient_row` builds the same structs from untyped JSON; the operation is
then completed by graphql-core, value by value, which gives each error its place. Good values are the same either
way, and so are the ids and cursors made of them.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal, cast, overload

import msgspec
from msgspec import UNSET, Struct, UnsetType

from schema.catalog import Catalog
from schema.catalog.records import ETAG, Field, FieldKind

from .shapes import Place, RowRequirements

_Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_PYTHON: Mapping[str, Any] = {
    "Int": _Int32,
    "Long": _Int64,
    "Decimal": Decimal,
    "Float": float,
    "Boolean": bool,
    "JSON": Any,
}
_FITTED = frozenset({"Decimal", "Float", "JSON", "[JSON]"})
MAX_WAYS = 50
"""Row types of one level, which differ in the columns that orders, filters and joins add."""
_NO_NAME = "/"
"""Starts the wire name of a slot that decoding never fills; JSON from OData never holds such a name."""


class Row(Struct):
    """A row of some row type."""

    row_type: ClassVar[weakref.ref[RowType]]
    """Weak: a class is only freed by the garbage collector, and all that it holds with it."""


def row_type_of(row: Row) -> RowType:
    """Return the row type of a row, as long as the document lives that it was read for."""
    found = type(row).row_type()
    assert found is not None
    return found


@dataclass(eq=False, slots=True, weakref_slot=True)
class RowType:
    """A struct for rows, and where to find what in it."""

    level: RowRequirements
    struct: type[Row]
    attributes: Mapping[Place, str]
    """Property → attribute."""
    select: tuple[str, ...]
    """``$select``; empty: everything."""
    expanded: Mapping[int, RowType]
    """Index of a child that ``$expand`` brings → the type of its rows."""
    complex_types: Mapping[str, RowType]
    """Attribute of a complex value → its type."""
    wire_names: Mapping[str, str]
    """Attribute → JSON name."""
    kinds: Mapping[str, str]
    """Attribute → GraphQL scalar, of the values whose form depends on it: numbers and plain JSON."""
    typed: bool = True
    """Whether pages are decoded straight into the struct; not where undeclared properties are asked for, nor where
    types of one family mean different things by one name."""
    declared: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """CSDL type → what the metadata lists of it, where undeclared properties are asked for."""
    single_type: bool = False
    """Whether rows can be of the declared type only."""
    single: msgspec.json.Decoder[Any] = field(init=False)
    absent: Mapping[str, Any] = field(init=False)
    """Attribute → what it holds where the upstream sent nothing: None where that means null."""
    text: object = field(init=False, default=None)
    """The second struct, of ``texts``."""
    own_names: frozenset[str] = field(init=False)
    """JSON names of the asked properties that every row has, whatever its type."""
    _page: msgspec.json.Decoder[Any] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        # not by msgspec.structs.fields, which evaluates every annotation once more
        listed, defaults = self.struct.__struct_fields__, self.struct.__struct_defaults__
        last = dict(zip(reversed(listed), reversed(defaults), strict=False))
        self.absent = {n: None if last.get(n, UNSET) is None else UNSET for n in listed}
        bases = self.level.bases
        names = (name for by, name in self.attributes if by in bases)
        self.own_names = frozenset(name for name in names if name != ETAG)
        self.struct.row_type = weakref.ref(self)
        self.single = msgspec.json.Decoder(self.struct)

    @property
    def page(self) -> msgspec.json.Decoder[Any]:
        """What decodes a page of rows."""
        if self._page is None:
            rows: Any = list[self.struct]  # type: ignore[name-defined]
            page = msgspec.defstruct(
                "Page",
                [("value", rows), ("count", _Count | None, None), ("next", str | None, None)],
                rename={"count": "@odata.count", "next": "@odata.nextLink"},
                gc=False,
            )
            self._page = msgspec.json.Decoder(page)
        return self._page

    def attribute(self, found: Field) -> str:
        """Return the attribute that holds a field's value; raises KeyError where it was not asked for."""
        return self.attributes[found.declared_by, found.source]

    def csdl_of(self, row: Struct) -> str:
        """Return the CSDL type of a row: what it says itself, else the level's."""
        told = getattr(row, "t", None)
        if told is None:
            return self.level.info.csdl
        return told.rpartition("#")[2] if isinstance(told, str) else ""


class RawPage(Struct, gc=False):
    """A page whose rows are still JSON text."""

    value: list[msgspec.Raw]
    count: _Count | None = msgspec.field(default=None, name="@odata.count")
    next: str | None = msgspec.field(default=None, name="@odata.nextLink")


raw_page = msgspec.json.Decoder(RawPage).decode


class RawRows(Sequence[Any]):
    """Rows that are still JSON text: each is decoded when it is read, and not kept.

    Reading raises msgspec.ValidationError where a row does not fit its type, msgspec.DecodeError for text that is
    not JSON.
    """

    __slots__ = ("raws", "row_type")

    def __init__(self, row_type: RowType, raws: list[msgspec.Raw]) -> None:
        self.row_type = row_type
        self.raws = raws

    def __len__(self) -> int:
        return len(self.raws)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> RawRows: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return RawRows(self.row_type, self.raws[index])
        return self.row_type.single.decode(self.raws[index])

    def __iter__(self) -> Iterator[Any]:
        return map(self.row_type.single.decode, self.raws)

    def lenient(self) -> Iterator[Any]:
        """Decode as :func:`lenient_row` does. Raises msgspec.DecodeError."""
        return (lenient_row(self.row_type, untyped_json(raw)) for raw in self.raws)

    def reverse(self) -> None:
        """Turn the order round, in place."""
        self.raws.reverse()

    def slices(self, size: int) -> Iterator[RawRows]:
        """Cut into slices of about so many bytes of JSON."""
        start = taken = 0
        for end, raw in enumerate(self.raws, 1):
            taken += len(raw)
            if taken >= size:
                yield self[start:end]
                start, taken = end, 0
        if start < len(self):
            yield self[start:]


RowList = list[Any] | RawRows


class RowTypes:
    """Makes and keeps the row types of one document; aliases of one selection share one."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._made: dict[tuple[object, ...], RowType] = {}
        self._ways: Counter[int] = Counter()

    def get(
        self,
        level: RowRequirements,
        extras: tuple[Field, ...] = (),
        expanded: Mapping[int, RowType] | None = None,
    ) -> RowType:
        """Return the row type of a level with extra columns and expanded children."""
        expanded = expanded or {}
        wanted = tuple(dict.fromkeys((f.declared_by, f.source) for f in extras))
        key = (id(level), wanted, tuple((i, id(t)) for i, t in sorted(expanded.items())))
        found = self._made.get(key)
        if found is None:
            structure = _structure(level)
            shared = (structure, wanted)
            found = None if structure is None else self._made.get(shared)
            if found is None:
                by_place = {(f.declared_by, f.source): f for f in extras}
                found = self._make(level, [by_place[w] for w in wanted], expanded)
                if structure is not None:
                    self._made[shared] = found
            self._keep(key, found)
        return found

    def _keep(self, key: tuple[object, ...], made: RowType) -> None:
        """Keep a row type; all start anew where one level has been asked for in too many orders."""
        level = cast("int", key[0])
        self._ways[level] += 1
        if self._ways[level] > MAX_WAYS:
            self._made.clear()
            self._ways.clear()
        self._made[key] = made

    def _make(
        self, level: RowRequirements, extras: list[Field], expanded: Mapping[int, RowType]
    ) -> RowType:
        places, by_source = dict(level.attributes), dict(level.by_source)
        columns = list(level.values.values())
        for found in extras:
            place = (found.declared_by, found.source)
            if place not in places:
                places[place] = by_source.setdefault(found.source, f"e{len(places)}")
                columns.append(found)
        complex_types = {
            by_source[f.source]: self.get(level.complex_levels[f.declared_by, f.source])
            for f in columns
            if (f.declared_by, f.source) in level.complex_levels
        }
        merged: dict[str, tuple[Any, ...]] = {}
        mixed: set[str] = set()
        for found in columns:
            attribute = by_source[found.source]
            column = _column(attribute, found, level.bases, complex_types.get(attribute))
            if merged.setdefault(attribute, column) != column:
                mixed.add(attribute)
                merged[attribute] = (attribute, Any, None)
        fields = list(merged.values())
        names = {attribute: source for source, attribute in by_source.items()}
        csdl = level.info.csdl
        single_type = not level.needs_type and self._stands_alone(csdl)
        if single_type:
            # Checked while decoding, which costs nothing: services name a type only where it is not the declared one.
            fields.append(("t", Literal[f"#{csdl}", csdl] | None, None))
            names["t"] = "@odata.type"
        _add_slots(level, expanded, fields, names)
        made = msgspec.defstruct(
            "Row", fields, bases=(Row,), rename=dict(names), gc=False, kw_only=True
        )
        struct = cast("type[Row]", made)
        select = () if level.needs_rest else _select(columns, level.bases)
        below = (*complex_types.values(), *expanded.values())
        typed = not (level.needs_rest or mixed) and all(t.typed for t in below)
        kinds = {by_source[f.source]: kind for f in columns if (kind := _kind(f)) in _FITTED}
        for attribute in mixed:
            kinds.pop(attribute, None)
            complex_types.pop(attribute, None)
        listed = {t: self._declared(t) for t in level.possible} if level.needs_rest else {}
        return RowType(
            level,
            struct,
            places,
            select,
            dict(expanded),
            complex_types,
            names,
            kinds,
            typed,
            listed,
            single_type,
        )

    def _stands_alone(self, csdl: str) -> bool:
        """Return whether an entity type has no base type, whose sets may hold its rows beside others."""
        found = self._catalog.model.entity_types.get(csdl)
        return found is not None and found.base is None

    def _declared(self, csdl: str) -> frozenset[str]:
        return frozenset(f.source for f in self._catalog.object(csdl).fields.values())


def _structure(level: RowRequirements) -> tuple[object, ...] | None:
    """Return what two levels share whose rows are alike (aliases of one selection); None where rows hang below."""
    inner = {place: _structure(below) for place, below in level.complex_levels.items()}
    if level.children or None in inner.values():
        return None
    flags = (level.needs_type, level.needs_rest)
    return (level.info.csdl, tuple(level.attributes.items()), *flags, tuple(inner.items()))


def _add_slots(
    level: RowRequirements,
    expanded: Mapping[int, RowType],
    fields: list[Any],
    names: dict[str, str],
) -> None:
    if level.needs_type:
        fields.append(("t", str | None, None))
        names["t"] = "@odata.type"
    if level.needs_rest:
        fields.append(("rest", Any, UNSET))
        names["rest"] = _NO_NAME + "rest"
    for child in level.children.values():
        inner = expanded.get(child.index)
        if inner is None:
            fields.append((child.slot, Any, UNSET))
            names[child.slot] = _NO_NAME + child.slot
            continue
        name = child.field.source
        names[child.slot] = name
        if child.connection is None:
            fields.append((child.slot, inner.struct | None, None))
        else:
            rows: Any = list[inner.struct]  # type: ignore[name-defined]
            fields.append((child.slot, rows | UnsetType | None, UNSET))
            fields.extend(
                [(f"n{child.index}", str | None, None), (f"k{child.index}", _Count | None, None)]
            )
            names[f"n{child.index}"] = f"{name}@odata.nextLink"
            names[f"k{child.index}"] = f"{name}@odata.count"


def _column(
    attribute: str, found: Field, bases: frozenset[str], inner: RowType | None
) -> tuple[Any, ...]:
    python = _python_type(found, None if inner is None else inner.struct)
    assert found.prop is not None
    if found.prop.nullable or found.declared_by not in bases:
        return (attribute, python | None, None)
    return (attribute, python)


def _python_type(found: Field, inner: type[Struct] | None) -> Any:
    if found.kind is FieldKind.COMPLEX:
        item: Any = Any if inner is None else inner
    else:
        assert found.value is not None
        item = str if found.value.enum is not None else _PYTHON.get(found.value.scalar, str)
    assert found.prop is not None
    return list[item] if found.prop.type.many else item


def _kind(found: Field) -> str:
    assert found.prop is not None
    if found.value is not None and found.value.enum is not None:
        return ""
    kind = "JSON" if found.value is None else found.value.scalar
    return "[JSON]" if kind == "JSON" and found.prop.type.many else kind


def _select(columns: list[Field], bases: frozenset[str]) -> tuple[str, ...]:
    return tuple(
        f.source if f.declared_by in bases else f"{f.declared_by}/{f.source}"
        for f in columns
        if f.kind is not FieldKind.ETAG
    )


def lenient_row(row_type: RowType, raw: object) -> object:
    """Build a row from untyped JSON: what does not fit stays as it came, what may not be missing and is, is UNSET.

    A row that says to be of a type which its place cannot hold is none: its type comes back in its place.
    """
    if not isinstance(raw, dict):
        return raw
    if _is_stray(row_type, raw.get("@odata.type")):
        return raw["@odata.type"]
    values: dict[str, Any] = {}
    for attribute, name in row_type.wire_names.items():
        value = raw.get(name, row_type.absent[attribute])
        inner = row_type.complex_types.get(attribute) or _expanded(row_type, attribute)
        if inner is not None and isinstance(value, list):
            value = [lenient_row(inner, item) for item in value]
        elif inner is not None:
            value = lenient_row(inner, value)
        elif attribute in row_type.kinds:
            value = _fitted(row_type.kinds[attribute], value)
        values[attribute] = value
    if row_type.level.needs_rest:
        values["rest"] = plain_json(_rest(row_type, raw))
    return row_type.struct(**values)


def _is_stray(row_type: RowType, told: object) -> bool:
    """Return whether a row claims another type than the only possible one, whatever alias its namespace has."""
    if not row_type.single_type or not isinstance(told, str):
        return False
    return _unqualified(told) != _unqualified(row_type.level.info.csdl)


def _unqualified(name: str) -> str:
    return name.rpartition("#")[2].rpartition(".")[2]


def _fitted(kind: str, value: object) -> object:
    """Return a number, or plain JSON, the form that the typed decoder gives it; what is neither stays."""
    if isinstance(value, list) and kind != "JSON":
        return [_fitted(kind.strip("[]"), item) for item in value]
    match kind:
        case "Decimal" if isinstance(value, str) or type(value) is int:
            try:
                return Decimal(value)
            except InvalidOperation:
                return value
        case "Float" if isinstance(value, Decimal) or type(value) is int:
            return _as_float(value)
        case "JSON" if value is not None and value is not UNSET:
            return plain_json(value)
        case _:
            return value


def _as_float(value: Decimal | int) -> object:
    try:
        number = float(value)
    except OverflowError:
        return value
    return number if isfinite(number) else value


def plain_json(value: object) -> object:
    """Return JSON text of decoded JSON, null as None: its numbers stay numbers, with all their digits."""
    if value is None:
        return None
    return msgspec.Raw(_as_number(value))


def _expanded(row_type: RowType, attribute: str) -> RowType | None:
    return row_type.expanded.get(int(attribute[1:])) if attribute[0] == "c" else None


def _rest(row_type: RowType, raw: Mapping[str, object]) -> dict[str, object]:
    """Return the undeclared properties: neither annotations nor what the metadata lists."""
    told = raw.get("@odata.type")
    csdl = told.lstrip("#") if isinstance(told, str) else row_type.level.info.csdl
    declared = row_type.declared.get(csdl, frozenset())
    return {name: value for name, value in raw.items() if "@" not in name and name not in declared}


def parse_count(raw: object) -> int | None:
    """Read a number of rows; some services send it as text. None for what is none."""
    if isinstance(raw, str) and raw.isdecimal() and len(raw) <= 18:
        return int(raw)
    return raw if type(raw) is int and raw >= 0 else None


def untyped_json(body: bytes | msgspec.Raw) -> object:
    """Decode JSON with exact decimals. Raises msgspec.DecodeError for what is not JSON."""
    return _untyped.decode(body)


_untyped = msgspec.json.Decoder(float_hook=Decimal)
_as_number = msgspec.json.Encoder(decimal_format="number").encode
