"""Cuts the body of an import into rows, as it arrives: NDJSON, or CSV (RFC 4180) with a header.

Never more than a piece of the body and one row is held here.
"""

from __future__ import annotations

import codecs
import csv
import re
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from gateway.errors import BadArgument

_QUOTE = b'"'
_OPENS = re.compile(rb'(?:(?:"(?:[^"]|"")*+"|[^",]*+),)*+"(?:[^"]|"")*+')
"""A line whose last cell is quoted and goes on in the next line."""
csv.field_size_limit(sys.maxsize)  # rows are limited
_JSON_LINES = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class SourceRow(Struct, frozen=True, kw_only=True):
    """One row of a file."""

    number: int
    """From 1; a header, and empty lines of NDJSON, do not count."""
    values: dict[str, Any] = {}
    """JSON values by name; of CSV: its cells."""
    error: str | None = None
    """Why it cannot be read."""


class RowReader(Protocol):
    """Reads the rows of one file. Raises BadArgument for what makes all that follows unreadable."""

    def feed(self, piece: bytes) -> Iterator[SourceRow]:
        """Yield the rows that are complete with a piece."""
        ...

    def end(self) -> Iterator[SourceRow]:
        """Yield the last row, if no line end follows it."""
        ...


class _Lines:
    """Cuts pieces into lines of limited length."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rest = bytearray()
        self._is_first = True

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the lines that are complete with a piece. Raises BadArgument."""
        self._rest += piece
        if b"\n" not in piece:
            self._check(len(self._rest))
            return []
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            self._check(len(line))
        self._check(len(rest))
        return self._without_mark(lines)

    def end(self) -> list[bytes]:
        """Return the last line, if there is one."""
        last, self._rest = bytes(self._rest), bytearray()
        return self._without_mark([last]) if last else []

    def _without_mark(self, lines: list[bytes]) -> list[bytes]:
        if self._is_first and lines:
            self._is_first = False
            lines[0] = lines[0].removeprefix(codecs.BOM_UTF8)
        return lines

    def _check(self, size: int) -> None:
        require_row_size(size, self._most)


def require_row_size(size: int, most: int) -> None:
    """Raise BadArgument for a row of too many bytes."""
    if size > most:
        raise BadArgument(
            f"A row is longer than {most:,} bytes.", hint="Setting: max_body_bytes, for each row."
        )


class NdjsonReader:
    """Rows as JSON objects, one a line. Numbers keep all their digits."""

    def __init__(self, most: int) -> None:
        """``most``: bytes of a row."""
        self._lines = _Lines(most)
        self._number = 0

    def feed(self, piece: bytes) -> Iterator[SourceRow]:
        """Yield rows."""
        yield from self._rows(self._lines.feed(piece))

    def end(self) -> Iterator[SourceRow]:
        """Yield the last row."""
        yield from self._rows(self._lines.end())

    def _rows(self, lines: Sequence[bytes]) -> Iterator[SourceRow]:
        for line in lines:
            if line.strip():
                self._number += 1
                yield self._row(line)

    def _row(self, line: bytes) -> SourceRow:
        try:
            return SourceRow(number=self._number, values=_JSON_LINES.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError):
            return SourceRow(number=self._number, error="The line is not a JSON object.")


class CsvReader:
    """Rows as lines of cells, below a header with their names. A quoted cell may hold line ends."""

    def __init__(self, most: int) -> None:
        """``most``: bytes of a row."""
        self._lines = _Lines(most)
        self._most = most
        self._open = bytearray()
        """The lines of a row whose last quote is still open."""
        self._number = 0
        self.names: Sequence[str] | None = None
        """The cells of the header, once it was read."""

    def feed(self, piece: bytes) -> Iterator[SourceRow]:
        """Yield rows."""
        for line in self._lines.feed(piece):
            yield from self._add(line + b"\n")

    def end(self) -> Iterator[SourceRow]:
        """Yield the last row."""
        for line in self._lines.end():
            yield from self._add(line)
        if self._open:
            raise BadArgument("The last cell of the file has a quote that is not closed.")

    def _add(self, line: bytes) -> Iterator[SourceRow]:
        # Quotes within quoted cells are doubled, so that an odd number opens or closes one.
        has_odd_quotes = line.count(_QUOTE) % 2 == 1
        if self._open:
            self._open += line
            require_row_size(len(self._open), self._most)
            if not has_odd_quotes:
                return
            line, self._open = bytes(self._open), bytearray()
        # A quote within a plain cell (5" pipe) opens nothing: the next line is a row of its own.
        elif has_odd_quotes and _OPENS.fullmatch(line):
            self._open = bytearray(line)
            return
        if not line.strip():
            return
        try:
            (cells,) = csv.reader([line.decode("utf-8")], strict=True)
        except (csv.Error, ValueError):
            cells = None
        if self.names is None:
            self.names = self._header(cells)
            return
        self._number += 1
        yield self._row(cells, self.names)

    def _header(self, cells: list[str] | None) -> Sequence[str]:
        """Return the names in the header. Raises BadArgument."""
        names = [cell.strip() for cell in cells or ()]
        if cells is None or not all(names):
            raise BadArgument(
                "The first line is no header.",
                hint="It has the names of fields, separated by commas: dataAreaId,customerGroupId",
            )
        if len(set(names)) < len(names):
            raise BadArgument("The header has a name twice.")
        return names

    def _row(self, cells: list[str] | None, names: Sequence[str]) -> SourceRow:
        if cells is None:
            return SourceRow(number=self._number, error="The line is no CSV in UTF-8.")
        if len(cells) != len(names):
            return SourceRow(
                number=self._number,
                error=f"The line has {len(cells)} cells, and the header {len(names)}.",
            )
        pairs = zip(names, cells, strict=True)
        return SourceRow(number=self._number, values=dict(pairs))
