"""Formats that are text: NDJSON and CSV. A writer turns pages of rows into pieces of a file.

Values are those of the GraphQL answer: decimals and 64-bit integers are text in NDJSON, so that no reader rounds them,
and digits in CSV (RFC 4180), where an absent value is an empty cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from gateway.execution.fast_path import encode_lines
from schema.catalog.records import Field

from .columns import Cells, ColumnReader, json_text, scalar_of
from .csv_lines import csv_lines
from .pages import Rows
from .selection import Column

PIECE = 250
"""Rows in a piece: after each other tasks of the event loop have a turn."""
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters by which a spreadsheet takes a text for a formula
(https://owasp.org/www-community/attacks/CSV_Injection)."""
_TEXTS = frozenset({"String", "ID"})


class RowWriter(Protocol):
    """Writes the rows of one export."""

    rows: int
    """Rows that were written so far."""

    def begin(self) -> bytes:
        """Return what comes before the first row."""
        ...

    def collect(self, rows: list[Any]) -> Any:
        """Return what is needed of completed rows, which are those of a slice. The writer stays as it is."""
        ...

    def page(self, page: Rows) -> Iterator[bytes]:
        """Yield the rows of a page. Raises GatewayError for a value that does not fit."""
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

    def collect(self, rows: list[Any]) -> tuple[int, bytes]:
        """Return the lines of rows, and how many they are."""
        return len(rows), encode_lines(rows)

    def page(self, page: Rows) -> Iterator[bytes]:
        """Yield lines."""
        nodes, slices = page.take()
        for number, lines in slices or ():
            self.rows += number
            yield lines
        if slices is None:
            yield from self._json(nodes)

    def _json(self, nodes: msgspec.Raw) -> Iterator[bytes]:
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
        self._reader = ColumnReader(columns, exact={"Float"})
        self._changes = [
            (number, change)
            for number, column in enumerate(columns)
            if (change := _change(column.field, neutralize=neutralize)) is not None
        ]

    def begin(self) -> bytes:
        """Return the header."""
        names = csv_lines([[column.name] for column in self._columns], 1)
        return b"".join(line for _, line in names)

    def collect(self, rows: list[Any]) -> tuple[Cells, ...]:
        """Return the columns of rows."""
        return self._reader.collect(rows)

    def page(self, page: Rows) -> Iterator[bytes]:
        """Yield lines."""
        columns = self._reader.take(page)
        for number, change in self._changes if columns else ():
            columns[number] = [None if cell is None else change(cell) for cell in columns[number]]
        for number, lines in csv_lines(columns, PIECE):
            self.rows += number
            yield lines

    def end(self) -> bytes:
        """Return nothing."""
        return b""

    def close(self) -> None:
        """Do nothing."""


def _change(field: Field, *, neutralize: bool) -> Callable[[Any], str] | None:
    """Return what makes the text of a value; None: the value is a text or a number as it is."""
    scalar = scalar_of(field)
    if scalar == "JSON":
        return json_text
    if scalar == "Boolean":
        return _boolean_text
    return _neutral if neutralize and scalar in _TEXTS else None


def _boolean_text(value: Any) -> str:
    return "true" if value is True else "false"


def _neutral(value: str) -> str:
    return f"'{value}" if value.startswith(_RISKY) else value
