"""The slow path of unified objects: what their fields read of rows that are already loaded.

See ``fallback_resolvers``, whose errors these are: a failure in a slot is raised at the field that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, assert_never, cast

from gateway.dimensions.formats import EnvironmentFormats
from gateway.errors import PageLimitExceeded, UpstreamMalformed
from gateway.operations.pages import Failure, Page
from gateway.operations.part_columns import divider
from gateway.operations.row_types import Row, row_type_of
from gateway.operations.shapes import ChildRequirements, ViewShape
from gateway.operations.value_conversion import from_upstream
from gateway.operations.view_shapes import (
    CollectedRead,
    ColumnRead,
    ConnectionRead,
    ConstantRead,
    DisplayPartRead,
    IdRead,
    ListRead,
    ObjectRead,
    PartRead,
    RawRead,
    Read,
    SourcesRead,
    ValueRead,
    Way,
)
from gateway.operations.view_values import (
    converted,
    day_of,
    difference,
    each_once,
    form_of,
    highest_of,
    instant_of,
    printed,
    sum_of,
)
from schema.types.parts import ATTRIBUTES

IdOf = Callable[[Row, str], str]


class ViewResolvers:
    """Resolves the fields of unified objects."""

    def __init__(self, id_of: IdOf) -> None:
        self._id_of = id_of

    def field(
        self, source: object, name: str, place: object, formats: EnvironmentFormats
    ) -> object:
        """Return the value of a field; ``place`` is that of ``RowRequirements.views``.

        ``formats``: those of the environment's display values.
        """
        if isinstance(source, Mapping):
            return source[name]
        if not isinstance(source, Row):
            raise UpstreamMalformed("The upstream sent something that is not a row.")
        read = row_type_of(source).level.views[place]
        if isinstance(read, DisplayPartRead):
            return _display_part(read, source, formats)
        return self._read(cast("Read", read), source)

    def _read(self, read: Read, row: Row) -> object:
        match read:
            case ValueRead():
                return _value(read, row)
            case ConstantRead(value):
                return value
            case IdRead(type_name, _, below):
                return f"{self._id_of(row, type_name)}{below}"
            case ObjectRead(way, _):
                return _at(row, way)
            case ListRead():
                return _list(read, row)
            case ConnectionRead(child, _):
                return _loaded(getattr(row, child.slot))
            case CollectedRead():
                return _collected(read, row)
            case RawRead():
                return row
            case SourcesRead(sources=sources):
                return list(sources)
            case _:
                assert_never(read)


def _loaded(value: object) -> Any:
    if isinstance(value, Failure):
        raise value.error
    return value


def _display_part(read: DisplayPartRead, row: Row, formats: EnvironmentFormats) -> object:
    """Return a part of a display value. Raises GatewayError."""
    at = _at(row, read.columns[0].way)
    is_list = read.part == "dimensions"
    if at is None:
        return [] if is_list else None
    values = (getattr(at, row_type_of(at).attribute(c.field)) for c in read.columns)
    parts = divider(read.field, formats)(*values)
    if parts is None:
        return [] if is_list else None
    value: object = getattr(parts, ATTRIBUTES[read.part])
    return list(parts.dimensions) if is_list else value


def _at(row: Row, way: Way) -> Row | None:
    """Return the row at the end of a way; None if there is none. Raises GatewayError if it could not be read."""
    reached: Any = row
    for child in way:
        reached = _loaded(getattr(reached, child.slot))
        if reached is None:
            return None
    return cast("Row", reached)


def _value(read: ValueRead, row: Row) -> object:
    if read.field.minus:
        one, other = (_column(read, column, row) for column in read.columns)
        return difference(one, other)
    for column in read.columns:
        value = _column(read, column, row)
        if value is not None:
            return value
    return read.field.empty


def _column(read: ValueRead, column: ColumnRead, row: Row) -> object:
    at, field, kind = _at(row, column.way), read.field, column.field.value
    if at is None:
        return None
    assert kind is not None
    raw = getattr(at, row_type_of(at).attribute(column.field))
    if field.table is not None:
        table = field.table if field.otherwise is None else {"": None, **field.table}
        return None if raw is None else table.get(raw, field.otherwise)
    form = form_of(kind, field.type_name)
    if form in ("member", "instant"):
        return cast("object", raw) if form == "member" else instant_of(raw)
    value: Any = from_upstream(kind, raw)
    if field.convert is not None:
        return converted(field.convert, value)
    match form:
        case "text":
            return value or None
        case "day":
            return day_of(value)
        case "printed":
            return printed(value)
        case _:
            return cast("object", value)


def _list(read: ListRead, row: Row) -> object:
    rows = _rows(row, read.way, read.child, read.after)
    if isinstance(read.item, ViewShape):
        return rows
    values = [_value(read.item, at) for at in rows]
    if read.item.field.sum:
        return sum_of(values)
    if read.item.field.highest:
        return highest_of(read.item.field.highest, values)
    return [value for value in values if value is not None]


def _rows(row: Row, way: Way, child: ChildRequirements, after: Way) -> list[Row]:
    """Return the rows of a list. Raises PageLimitExceeded if there are more than were read."""
    before = _at(row, way)
    if before is None:
        return []
    page = _loaded(getattr(before, child.slot))
    assert isinstance(page, Page)
    if page.has_next:
        raise PageLimitExceeded(
            f"{child.field.name} has more than {len(page.rows):,} rows, the largest page.",
            hint="Read them page by page: from their own list, or below `raw`.",
        )
    return [at for item in page.rows if (at := _at(item, after)) is not None]


def _collected(read: CollectedRead, row: Row) -> object:
    items: list[tuple[Any, Mapping[str, Any]]] = []
    for item in read.items:
        rows = [row] if item.child is None else _rows(row, item.way, item.child, item.after)
        for at in rows:
            parts = {name: _part(part, at) for name, part in item.parts.items()}
            items.append((parts[read.distinct], parts))
    return [parts for _, parts in each_once(items)]


def _part(part: PartRead, row: Row) -> object:
    value = part.value
    return value.value if isinstance(value, ConstantRead) else _value(value, row)
