"""Row types: generated msgspec structs with just the selected properties, decoded and type-checked in C.

A *row type* is the struct for one level, as one plan loads it:

    a0, a1 …   the values that the level requires
    e0 …       further columns that the plan needs: joins, order, filters
    c0 …       a slot for each relation: ``$expand`` fills it while decoding, everything else later
    t          ``@odata.type``;  rest: undeclared properties

Decimals are exact: msgspec reads them from the JSON text. A page that does not fit its struct is built by
``lenient_rows`` instead.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, NewType, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType

from schema.catalog import Catalog
from schema.catalog.records import ETAG, Field, FieldKind

from .shapes import Place, RowRequirements

_Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
PYTHON: Mapping[str, Any] = {
    "Int": _Int32,
    "Long": _Int64,
    "Decimal": Decimal,
    "Float": float,
    "Boolean": bool,
    "JSON": Any,
}
_NAMED: Any = NewType
_NEED_CONVERSION = frozenset({"Decimal", "Float", "JSON", "[JSON]"})
MAX_VARIANTS = 50
"""Row types of one level, which differ in the columns that orders, filters and joins add."""
_NO_NAME = "/"
"""Start of the wire name of a slot that decoding never fills: no property of OData has such a name."""


class Row(Struct):
    """A row of some row type."""

    row_type: ClassVar[weakref.ref[RowType]]
    """Weak, because a class is only freed by the garbage collector, with everything that it refers to."""


def row_type_of(row: Row) -> RowType:
    """Return the row type of a row, while the operation lives that it was read for."""
    row_type = type(row).row_type()
    assert row_type is not None
    return row_type


class Layout(Struct, frozen=True):
    """The fields of a row type's struct."""

    fields: tuple[tuple[Any, ...], ...]
    """(attribute, type) or (attribute, type, default)."""
    complex_types: Mapping[str, RowType]
    """Attribute of a complex value → its type."""
    wire_names: Mapping[str, str]
    """Attribute → JSON name."""
    kinds: Mapping[str, str]
    """Attribute → GraphQL scalar, for values that untyped JSON holds in another form: numbers and plain JSON."""
    mixed: bool
    """Whether types of one family declare one name differently."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class RowType:
    """A struct for rows, and the attributes of their values."""

    level: RowRequirements
    columns: tuple[Field, ...]
    """What the level requires, and then what the plan adds."""
    by_source: Mapping[str, str]
    """Property → attribute, whichever type declares it."""
    attributes: Mapping[Place, str]
    """Property → attribute."""
    select: tuple[str, ...]
    """``$select``; empty for every property."""
    expanded: Mapping[int, RowType]
    """Index of a child that ``$expand`` brings → the type of its rows."""
    below: Mapping[str, RowType]
    """Attribute of a complex value → its type, before columns of one name are merged."""
    declared: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """CSDL type → its declared properties, if undeclared ones are requested."""
    single_type: bool = False
    """Whether rows can be of the declared type only."""
    text: object = field(init=False, default=None)
    """The struct with decimals as text, made and used by ``execution.decimal_text``."""
    key_columns: object = field(init=False, default=None)
    """What reads the parts of the key of many rows, made and used by ``execution.answer_checks``."""
    redact: Callable[[Sequence[Any]], None] | None = field(init=False, default=None)
    """Empties and masks what the caller may not see, in rows that have just been decoded."""
    original: RowType | None = field(init=False, default=None)
    """The cached row type of which this is a copy that redacts."""
    _layout: Layout | None = field(init=False, default=None)
    _struct: type[Row] | None = field(init=False, default=None)
    _absent: Mapping[str, Any] | None = field(init=False, default=None)
    _own_names: frozenset[str] | None = field(init=False, default=None)
    _single: msgspec.json.Decoder[Any] | None = field(init=False, default=None)
    _page: msgspec.json.Decoder[Any] | None = field(init=False, default=None)

    @property
    def layout(self) -> Layout:
        """The fields of the struct, worked out on first use: what comes once needs no struct."""
        if self.original is not None:
            return self.original.layout
        if self._layout is None:
            self._layout = _layout_of(self)
        return self._layout

    @property
    def typed(self) -> bool:
        """Whether pages are decoded straight into the struct.

        Not if undeclared properties are requested, nor if types of one family declare one name differently.
        """
        if self.level.needs_rest:
            return False
        if len(self.by_source) < len(self.columns) and self.layout.mixed:
            return False
        return all(t.typed for inner in (self.below, self.expanded) for t in inner.values())

    @property
    def struct(self) -> type[Row]:
        """The class of the rows, made on first use: small answers with decimals are decoded into another one."""
        if self.original is not None:
            return self.original.struct
        if self._struct is None:
            # Rows are trees, never cycles: without gc the collector does not visit thousands of them.
            row_class = msgspec.defstruct(
                "Row",
                self.layout.fields,
                bases=(Row,),
                rename=dict(self.layout.wire_names),
                gc=False,
                kw_only=True,
            )
            self._struct = cast("type[Row]", row_class)
            self._struct.row_type = weakref.ref(self)
        return self._struct

    @property
    def absent(self) -> Mapping[str, Any]:
        """Attribute → its value if the upstream leaves the property out: None if that means null, else UNSET."""
        if self._absent is None:
            self._absent = {f[0]: None if f[2:] == (None,) else UNSET for f in self.layout.fields}
        return self._absent

    @property
    def own_names(self) -> frozenset[str]:
        """JSON names of the selected properties that rows of every type have."""
        if self._own_names is None:
            bases = self.level.bases
            names = (name for by, name in self.attributes if by in bases)
            self._own_names = frozenset(name for name in names if name != ETAG)
        return self._own_names

    @property
    def single(self) -> msgspec.json.Decoder[Any]:
        """The decoder of one row, made on first use: small answers are decoded into another struct."""
        if self.original is not None:
            return self.original.single
        if self._single is None:
            self._single = msgspec.json.Decoder(self.struct)
        return self._single

    @property
    def page(self) -> msgspec.json.Decoder[Any]:
        """The decoder of a page of rows."""
        if self.original is not None:
            return self.original.page
        if self._page is None:
            # Made on first use: rows inside $expand never come as pages.
            rows: Any = list[self.struct]  # type: ignore[name-defined]
            page = msgspec.defstruct(
                "Page",
                [("value", rows), ("count", Count | None, None), ("next", str | None, None)],
                rename={"count": "@odata.count", "next": "@odata.nextLink"},
                gc=False,
            )
            self._page = msgspec.json.Decoder(page)
        return self._page

    def redacting(self, redact: Callable[[Sequence[Any]], None]) -> RowType:
        """Return this row type for rows that are redacted; it belongs to one operation."""
        row_type = object.__new__(RowType)
        for name in _OWN_PLACES:
            setattr(row_type, name, getattr(self, name))
        row_type.redact = redact
        row_type.original = self
        return row_type

    @property
    def cached(self) -> RowType:
        """This row type without what belongs to one operation."""
        return self if self.original is None else self.original

    def attribute(self, column: Field) -> str:
        """Return the attribute of a field's value. Raises KeyError if it was not requested."""
        return self.attributes[column.declared_by, column.source]

    def csdl_of(self, row: Struct) -> str:
        """Return the CSDL type of a row: the one it names, else the level's; empty if it names nonsense."""
        type_name = getattr(row, "t", None)
        if type_name is None:
            return self.level.info.csdl
        return type_name.rpartition("#")[2] if isinstance(type_name, str) else ""


# Not ``copy.copy``, which takes ten times as long.
_OWN_PLACES = tuple(name for name in RowType.__slots__ if name != "__weakref__")


class RowTypes:
    """Makes and caches the row types of one operation; aliases with the same selection share one."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._cache: dict[tuple[object, ...], RowType] = {}
        self._variants: Counter[int] = Counter()

    def get(
        self,
        level: RowRequirements,
        extras: tuple[Field, ...] = (),
        expanded: Mapping[int, RowType] | None = None,
    ) -> RowType:
        """Return the row type of a level with extra columns and expanded relations."""
        expanded = expanded or {}
        places = tuple(dict.fromkeys((f.declared_by, f.source) for f in extras))
        key = (id(level), places, tuple((i, id(t)) for i, t in sorted(expanded.items())))
        row_type = self._cache.get(key)
        if row_type is None:
            # Aliases of one selection have levels of their own, but equal rows: they share a class.
            structure = _structure(level)
            shared = (structure, places)
            row_type = None if structure is None else self._cache.get(shared)
            if row_type is None:
                by_place = {(f.declared_by, f.source): f for f in extras}
                row_type = self._make(level, [by_place[p] for p in places], expanded)
                if structure is not None:
                    self._cache[shared] = row_type
            self._put(key, row_type)
        return row_type

    def _put(self, key: tuple[object, ...], row_type: RowType) -> None:
        """Cache a row type. If one level has too many variants (orders, filters), all are dropped."""
        level = cast("int", key[0])
        self._variants[level] += 1
        if self._variants[level] > MAX_VARIANTS:
            self._cache.clear()
            self._variants.clear()
        self._cache[key] = row_type

    def _make(
        self, level: RowRequirements, extras: list[Field], expanded: Mapping[int, RowType]
    ) -> RowType:
        places, by_source = level.attributes, level.by_source
        columns = list(level.values.values())
        if extras:
            places, by_source = own, own_sources = dict(places), dict(by_source)
            for extra in extras:
                place = (extra.declared_by, extra.source)
                if place not in own:
                    own[place] = own_sources.setdefault(extra.source, f"e{len(own)}")
                    columns.append(extra)
        below = {
            by_source[f.source]: self.get(inner)
            for f in (columns if level.complex_levels else ())
            if (inner := level.complex_levels.get((f.declared_by, f.source))) is not None
        }
        return RowType(
            level,
            tuple(columns),
            by_source,
            places,
            () if level.needs_rest else _select(columns, level.bases),
            expanded,
            below,
            {t: self._declared(t) for t in level.possible} if level.needs_rest else {},
            single_type=not level.needs_type and self._stands_alone(level.info.csdl),
        )

    def _stands_alone(self, csdl: str) -> bool:
        """Return whether an entity type has no base type, whose sets could hold its rows among others."""
        entity_type = self._catalog.model.entity_types.get(csdl)
        return entity_type is not None and entity_type.base is None

    def _declared(self, csdl: str) -> frozenset[str]:
        return frozenset(f.source for f in self._catalog.object(csdl).fields.values())


def _layout_of(row_type: RowType) -> Layout:
    level, by_source = row_type.level, row_type.by_source
    complex_types = dict(row_type.below)
    merged: dict[str, tuple[Any, ...]] = {}
    mixed: set[str] = set()
    for column in row_type.columns:
        attribute = by_source[column.source]
        spec = _struct_field(attribute, column, level.bases, complex_types.get(attribute))
        # Two derived types declare the name with different types: decode it as it comes, and complete it slowly.
        if merged.setdefault(attribute, spec) != spec:
            mixed.add(attribute)
            merged[attribute] = (attribute, Any, None)
    fields = list(merged.values())
    names = {attribute: source for source, attribute in by_source.items()}
    if row_type.single_type:
        # Checked while decoding, which costs nothing: services name a type only if it is not the declared one.
        csdl = level.info.csdl
        fields.append(("t", _quick(Literal[f"#{csdl}", csdl] | None), None))
        names["t"] = "@odata.type"
    _add_slots(level, row_type.expanded, fields, names)
    kinds = {
        by_source[f.source]: kind
        for f in row_type.columns
        if (kind := _kind(f)) in _NEED_CONVERSION
    }
    for attribute in mixed:
        kinds.pop(attribute, None)
        complex_types.pop(attribute, None)
    return Layout(tuple(fields), complex_types, names, kinds, bool(mixed))


def _structure(level: RowRequirements) -> tuple[object, ...] | None:
    """Return a key that is equal for levels with equal rows (aliases of one selection); None if they have relations.

    The fields of unified objects are found by the level of their row, so that levels with some have rows of their own.
    """
    inner = {place: _structure(below) for place, below in level.complex_levels.items()}
    if level.children or level.views or None in inner.values():
        return None
    flags = (level.needs_type, level.needs_rest)
    # Attributes are named in the order of the properties.
    return (level.info.csdl, tuple(level.attributes), *flags, tuple(inner.items()))


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
            # The next link and the count of an expanded list arrive beside it, in the parent row.
            fields.extend(
                [(f"n{child.index}", str | None, None), (f"k{child.index}", Count | None, None)]
            )
            names[f"n{child.index}"] = f"{name}@odata.nextLink"
            names[f"k{child.index}"] = f"{name}@odata.count"


def _struct_field(
    attribute: str, column: Field, bases: frozenset[str], inner: RowType | None
) -> tuple[Any, ...]:
    """Return the field of a struct: (attribute, type) or (attribute, type, default)."""
    python = _python_type(column, None if inner is None else inner.struct)
    assert column.prop is not None
    # Rows of other types than the declaring one lack the property.
    if column.prop.nullable or column.declared_by not in bases:
        return (attribute, nullable(python), None)
    return (attribute, python)


def _quick(python: Any) -> Any:
    """Return a type under a name of its own, which msgspec resolves in a fraction of the time of a union."""
    return _NAMED("Value", python)


@lru_cache(maxsize=100)
def nullable(python: Any) -> Any:
    """Return the type of a value that may be null: the same object for equal types."""
    return _quick(python | None)


def _python_type(column: Field, inner: type[Struct] | None) -> Any:
    if column.kind is FieldKind.COMPLEX:
        item: Any = Any if inner is None else inner
    else:
        assert column.value is not None
        item = str if column.value.enum is not None else PYTHON.get(column.value.scalar, str)
    assert column.prop is not None
    return list[item] if column.prop.type.many else item


def _kind(column: Field) -> str:
    """Return the scalar of a value, ``[JSON]`` for a list of plain JSON, and nothing for an enum."""
    assert column.prop is not None
    if column.value is not None and column.value.enum is not None:
        return ""
    kind = "JSON" if column.value is None else column.value.scalar
    return "[JSON]" if kind == "JSON" and column.prop.type.many else kind


def _select(columns: list[Field], bases: frozenset[str]) -> tuple[str, ...]:
    names = [
        f.source if f.declared_by in bases else f"{f.declared_by}/{f.source}"
        for f in columns
        if f.kind is not FieldKind.ETAG
    ]
    return tuple(names)
