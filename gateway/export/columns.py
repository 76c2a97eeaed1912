"""The columns of a page: from completed rows, else from JSON. For formats whose rows are flat."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any, TypeAlias

import msgspec

from gateway.execution.fast_path import encode
from gateway.operations.completion_compiler import response_attribute
from schema.catalog.records import Field

from .pages import Rows
from .selection import Column

Cells: TypeAlias = list[Any]
"""The values of a column."""
_JSON = "JSON"
_decode_exactly = msgspec.json.Decoder(float_hook=Decimal).decode
_decode_rows = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal).decode
_encode_exactly = msgspec.json.Encoder(decimal_format="number").encode


class ColumnReader:
    """Reads the columns of pages."""

    def __init__(self, columns: Sequence[Column], *, exact: Collection[str] = ()) -> None:
        """``exact``: scalars whose numbers are read with all their digits, as ``Decimal``; JSON always is."""
        self._paths = [column.path for column in columns]
        scalars = {_JSON, *exact}
        self._exact = [n for n, c in enumerate(columns) if scalar_of(c.field) in scalars]
        self.collect = _collector(self._paths)
        """Returns the columns of completed rows."""

    def take(self, page: Rows) -> list[Cells]:
        """Return the columns of a page, which has no rows afterwards; an empty list if it has none."""
        nodes, slices = page.take()
        if slices is None:
            rows = _decode_rows(nodes)
            return [[_value_at(row, path) for row in rows] for path in self._paths] if rows else []
        columns = [list(chain.from_iterable(parts)) for parts in zip(*slices, strict=True)]
        if not columns or not columns[0]:
            return []
        for number in self._exact:
            columns[number] = list(map(_exactly, columns[number]))
        return columns


def scalar_of(field: Field) -> str:
    """Return the scalar of a column; lists of values are JSON."""
    many = field.many or (field.value is not None and field.value.many)
    return _JSON if many else field.type_name


def json_text(value: Any) -> str:
    """Return a value as JSON, with all digits of its numbers."""
    return _encode_exactly(value).decode()


def _exactly(value: Any) -> Any:
    """Return a value as it is read from the JSON of the answer."""
    return None if value is None else _decode_exactly(encode(value))


def _collector(paths: Sequence[Sequence[str]]) -> Callable[[list[Any]], tuple[Cells, ...]]:
    """Return a compiled function from response objects to the values at these paths."""
    places: dict[tuple[str, ...], dict[str, int]] = {}
    lists = []
    for path in paths:
        value = "x"
        nulls = ""
        for depth, key in enumerate(path):
            keys = places.setdefault(tuple(path[:depth]), {})
            attribute = response_attribute(keys.setdefault(key, len(keys)))
            value = f"{value}.{attribute}"
            if depth < len(path) - 1:
                nulls += f"None if (v := {value}) is None else "
                value = "v"
        lists.append(f"[{nulls}{value} for x in rows], ")
    # The names are our own.
    collect: Callable[[list[Any]], tuple[Cells, ...]] = eval(f"lambda rows: ({''.join(lists)})")  # noqa: S307
    return collect


def _value_at(row: Any, path: Sequence[str]) -> Any:
    value: Any = row
    for key in path:
        if value is None:
            return None
        value = value[key]
    return value
