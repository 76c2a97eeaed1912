"""Formats that are text: NDJSON and CSV. A writer turns pages of rows into pieces of a file.

Values are those of the GraphQL answer: decimals and 64-bit integers are text in NDJSON, so that no reader rounds them,
and digits in CSV (RFC 4180), where an absent value is an empty cell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec
from msgspec.structs import astuple

from schema.catalog.records import Field

from .selection import Column

PIECE = 250
"""Rows in a piece: after each other tasks of the event loop have a turn."""
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters by which a spreadsheet takes a text for a formula
(https://owasp.org/www-community/attacks/CSV_Injection)."""
_TEXTS = frozenset({"String", "ID"})
_encode_exactly = msgspec.json.Encoder(decimal_format="number").encode


class RowWriter(Protocol):
    """Writes the rows of one export."""

    rows: int
    """Rows that were written so far."""

    def begin(self) -> bytes:
        """Return what comes before the first row."""
        ...

    def page(self, nodes: msgspec.Raw) -> Iterator[bytes]:
        """Yield the rows of a page, which is a JSON array. Raises GatewayError for a value that does not fit."""
        ...

    def end(self) -> bytes:
        """Return what comes after the last row. May block for a moment."""
        ...

    def close(self) -> None:
        """Free what the writer holds, whether or not it has come to the end."""
        ...


class NdjsonWriter:
    """A JSON object a line (https://github.com/ndjson/ndjson-spec)."""

    def __init__(self, *, trailer: bool = False) -> None:
        """``trailer``: whether a last line has the number of rows."""
        self.rows = 0
        self._has_trailer = trailer
        self._decode = msgspec.json.Decoder(list[msgspec.Raw]).decode

    def begin(self) -> bytes:
        """Return nothing."""
        return b""

    def page(self, nodes: msgspec.Raw) -> Iterator[bytes]:
        """Yield lines."""
        rows = self._decode(nodes)
        for start in range(0, len(rows), PIECE):
            piece = rows[start : start + PIECE]
            self.rows += len(piece)
            yield b"\n".join((*piece, b""))

    def end(self) -> bytes:
        """Return the trailer."""
        return b'{"end":{"rows":%d}}\n' % self.rows if self._has_trailer else b""

    def close(self) -> None:
        """Do nothing."""


class CsvWriter:
    """Comma-separated values with a header, by the letter of RFC 4180."""

    def __init__(self, columns: Sequence[Column], *, neutralize: bool = False) -> None:
        """``neutralize``: whether texts that a spreadsheet would take for formulas begin with an apostrophe."""
        self.rows = 0
        self._columns = columns
        self._cells = cells_reader(columns)
        self._changes = [
            (number, change)
            for number, column in enumerate(columns)
            if (change := _change(column.field, neutralize=neutralize)) is not None
        ]
        self._text = io.StringIO(newline="")
        self._write = csv.writer(self._text, lineterminator="\r\n")

    def begin(self) -> bytes:
        """Return the header."""
        self._write.writerow([column.name for column in self._columns])
        return self._take()

    def page(self, nodes: msgspec.Raw) -> Iterator[bytes]:
        """Yield lines."""
        rows = self._cells(nodes)
        for start in range(0, len(rows), PIECE):
            cells = rows[start : start + PIECE]
            self._write.writerows(self._changed(cells) if self._changes else cells)
            self.rows += len(cells)
            yield self._take()

    def _changed(self, rows: list[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        changes = self._changes
        for row in rows:
            cells = list(row)
            for number, change in changes:
                value = cells[number]
                if value is not None:
                    cells[number] = change(value)
            yield cells

    def end(self) -> bytes:
        """Return nothing."""
        return b""

    def close(self) -> None:
        """Do nothing."""

    def _take(self) -> bytes:
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text.encode()


def cells_reader(columns: Sequence[Column]) -> Callable[[msgspec.Raw], list[Sequence[Any]]]:
    """Return a function from a page to the values of each row, in the order of the columns."""
    if any(len(column.path) > 1 for column in columns):
        paths = [column.path for column in columns]
        rows = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal).decode
        return lambda nodes: [[_value_at(row, path) for path in paths] for row in rows(nodes)]
    # A struct takes half the time of a dict. Response keys may be words of Python, so its fields have other names.
    names = {f"c{number}": column.path[0] for number, column in enumerate(columns)}
    flat = msgspec.defstruct("Row", [(name, Any) for name in names], rename=names, gc=False)
    structs: Callable[[msgspec.Raw], list[Any]] = msgspec.json.Decoder(
        list[flat],  # type: ignore[valid-type] # a type that is made here
        float_hook=Decimal,
    ).decode
    return lambda nodes: list(map(astuple, structs(nodes)))


def _value_at(row: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = row
    for key in path:
        if value is None:
            return None
        value = value[key]
    return value


def _change(field: Field, *, neutralize: bool) -> Callable[[Any], str] | None:
    """Return what makes the text of a value; None: the value is a text or a number as it is."""
    value = field.value
    if field.many or (value is not None and value.many) or field.type_name == "JSON":
        return json_text
    if field.type_name == "Boolean":
        return _boolean_text
    return _neutral if neutralize and field.type_name in _TEXTS else None


def json_text(value: Any) -> str:
    """Return a value as JSON, with all digits of its numbers."""
    return _encode_exactly(value).decode()


def _boolean_text(value: Any) -> str:
    return "true" if value is True else "false"


def _neutral(value: str) -> str:
    return f"'{value}" if value.startswith(_RISKY) else value
