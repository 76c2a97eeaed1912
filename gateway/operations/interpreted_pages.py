"""Completion without classes and functions of its own, for operations that may never come again.

To make what ``row_types`` and ``completion_compiler`` generate takes as long as to complete some thousand values here.
Only the usual pages are interpreted: rows of one type, with plain values and ids. What is not as usual raises, and the
same page is completed by the compiled functions.

Values are read by the types that the fields of the structs have, and converted by ``value_conversion``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec import Raw, Struct

from schema.catalog.records import Clean, Field, FieldKind, ValueType

from .completion_compiler import FastPathMiss, RootCompletion
from .pages import Page
from .row_types import PYTHON, Count, RowType
from .shapes import TYPENAME, ConnectionShape, RowRequirements, RowShape, ShapeByType
from .value_conversion import INSTANT, from_upstream

LONGEST = 16 * 1024
"""Bytes of a page that is interpreted."""
_ONE_USE = 50
"""Values whose completion takes as long as all else that is done for a page."""
_NULL = Raw(b"null")
_DECODERS: Mapping[tuple[str, bool], Callable[[Raw], Any]] = {
    (scalar, may_be_null): msgspec.json.Decoder(kind | None if may_be_null else kind).decode
    for scalar, kind in {**PYTHON, "String": str}.items()
    if scalar != "JSON"
    for may_be_null in (False, True)
}
_KEY_KINDS = frozenset({"String", "Int", "Long", "Decimal"})

_JsonRow = dict[str, Raw]
_Read = Callable[[Raw], Any]
_OfPage = Callable[[Page], Any]
_OfRow = Callable[[_JsonRow], dict[str, Any]]
_Step = tuple[str, str, _Read]
"""(response key, property, what reads its JSON)."""


class JsonPage(Struct, gc=False):
    """A page whose rows hold the JSON of each value."""

    value: list[_JsonRow]
    count: Count | None = msgspec.field(default=None, name="@odata.count")
    next: str | None = msgspec.field(default=None, name="@odata.nextLink")


json_page = msgspec.json.Decoder(JsonPage).decode


class Interpreter:
    """Completes the first pages of one connection at the root."""

    def __init__(self, complete: RootCompletion, row_type: RowType) -> None:
        """Raise FastPathMiss if its pages hold what is not interpreted."""
        level = row_type.level
        self.used = 0
        """Values that were completed, and what else was done for their pages."""
        self._columns = len(level.values)
        self._key = _key_of(level)
        self._types = frozenset[str]()
        if row_type.single_type:
            self._types = frozenset({f"#{level.info.csdl}", level.info.csdl})
        self._complete = _connection(complete.shape, _Rows(level, complete.node_id, self._key))

    def complete(self, page: Page) -> Any:
        """Return the answer of a page of ``JsonPage``. Raises an error if something is not as usual."""
        rows: list[_JsonRow] = page.rows  # type: ignore[assignment] # no JSON text of whole rows
        self.used += _ONE_USE + len(rows) * self._columns
        if self._types:
            for row in rows:
                named = row.get("@odata.type")
                # Rows of other types have other properties.
                if named is not None and _nullable_text(named) not in (None, *self._types):
                    raise FastPathMiss
        if len(rows) > 1 and self._key:
            keys = {tuple(read(row[name]) for name, read in self._key) for row in rows}
            if len(keys) < len(rows):
                raise FastPathMiss
        return self._complete(page)


_nullable_text = _DECODERS["String", True]


class _Rows:
    """Makes what completes the rows of a page."""

    def __init__(
        self,
        level: RowRequirements,
        node_id: Callable[..., str],
        key: tuple[tuple[str, _Read], ...],
    ) -> None:
        self._level = level
        self._node_id = node_id
        self._key = key

    def of(self, shape: RowShape | ConnectionShape | None) -> _OfRow:
        """Return what completes one row. Raises FastPathMiss."""
        if not isinstance(shape, ShapeByType) or self._level.needs_type:
            raise FastPathMiss
        (answer,) = shape.by_type.values()
        type_name, ids, steps = answer.type_name, list[str](), list[_Step]()
        for item in answer.fields:
            column = item.field
            if column is None:
                steps.append((item.key, "", lambda _: type_name))
            elif column.kind in (FieldKind.VALUE, FieldKind.ETAG):
                steps.append((item.key, column.source, _read(column, self._level.bases)))
            elif column.kind is FieldKind.ID and self._key:
                # Keeps its place among the others.
                steps.append((item.key, "", lambda _: None))
                ids.append(item.key)
            else:
                raise FastPathMiss

        def complete(row: _JsonRow) -> dict[str, Any]:
            value = row.get
            values = {key: read(value(name, _NULL)) for key, name, read in steps}
            for key in ids:
                values[key] = self._node_id(type_name, *(read(row[n]) for n, read in self._key))
            return values

        return complete


def _key_of(level: RowRequirements) -> tuple[tuple[str, _Read], ...]:
    """Return (property, what reads its JSON) of the parts of the key; nothing if it was not selected in full."""
    if not all((part.declared_by, part.source) in level.values for part in level.info.key):
        return ()
    return tuple((part.source, _key_part(part, level.bases)) for part in level.info.key)


def _key_part(part: Field, bases: frozenset[str]) -> _Read:
    """Return what reads a part of a key as the upstream sends it. Raises FastPathMiss."""
    assert part.value is not None
    if _kind(part.value) not in _KEY_KINDS or part.declared_by not in bases:
        raise FastPathMiss
    decode = _DECODERS[_kind(part.value), False]
    # Ids have the text of a decimal, as has the answer.
    return (
        partial(_converted, part.value, decode, False) if _kind(part.value) == "Decimal" else decode
    )


def _connection(shape: ConnectionShape, rows: _Rows) -> _OfPage:
    """Return what completes a connection. Raises FastPathMiss."""
    parts = [(key, _part(name, below, shape, rows)) for key, name, below in shape.fields]
    return lambda page: {key: part(page) for key, part in parts}


def _part(
    name: str, below: RowShape | ConnectionShape | None, shape: ConnectionShape, rows: _Rows
) -> _OfPage:
    """Return what completes a field of a connection, or of its ``pageInfo``."""
    match name:
        case "nodes":
            node = rows.of(below)
            return lambda page: [node(row) for row in page.rows]
        case "edges":
            assert isinstance(below, ConnectionShape)
            edge = _edge(below, rows)
            return lambda page: [edge(row) for row in page.rows]
        case "pageInfo":
            assert isinstance(below, ConnectionShape)
            return _connection(below, rows)
        case "totalCount":
            return _total
        case "hasNextPage":
            return lambda page: page.has_next
        case "hasPreviousPage":
            return lambda page: page.has_previous
        case "__typename":
            return lambda _: shape.type_name
    raise FastPathMiss


def _total(page: Page) -> int:
    if page.total is None:
        raise FastPathMiss
    return page.total


def _edge(shape: ConnectionShape, rows: _Rows) -> _OfRow:
    """Return what completes an edge without a cursor. Raises FastPathMiss."""
    parts: list[tuple[str, Callable[[_JsonRow], Any]]] = []
    for key, name, below in shape.fields:
        if name == "cursor":
            raise FastPathMiss
        parts.append((key, (lambda _: shape.type_name) if name == TYPENAME else rows.of(below)))
    return lambda row: {key: part(row) for key, part in parts}


def _kind(value: ValueType) -> str:
    return "String" if value.enum is not None or value.scalar not in PYTHON else value.scalar


def _read(column: Field, bases: frozenset[str]) -> _Read:
    """Return what reads the JSON of a column as the answer has it. Raises FastPathMiss."""
    value, prop = column.value, column.prop
    assert value is not None
    assert prop is not None
    if prop.type.many or value.scalar == "JSON":
        raise FastPathMiss
    kind = _kind(value)
    may_be_null = prop.nullable or column.declared_by not in bases
    decode = _DECODERS[kind, may_be_null]
    is_plain = (
        value.enum is None
        and value.clean is Clean.NONE
        and value.edm != INSTANT
        and kind in ("String", "Int", "Boolean")
    )
    if is_plain and (column.nullable or not may_be_null):
        return decode
    return partial(_converted, value, decode, column.nullable)


def _converted(value: ValueType, decode: _Read, nullable: bool, raw: Raw) -> Any:
    """Return a value as the answer has it. Raises FastPathMiss or UpstreamError for one that is not good."""
    result = from_upstream(value, decode(raw))
    if result is None and not nullable:
        raise FastPathMiss
    if value.clean is Clean.NO_YES and type(result) is str:  # a third member of the enum
        raise FastPathMiss
    # Neither is a number in the answer.
    return str(result) if value.scalar == "Long" and result is not None else result
