"""Lines of CSV (RFC 4180) from columns: the bytes that ``csv.writer`` writes, in less than half of its time.

Whether a text needs quotes is decided for a whole column at once: hardly a column has one that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

_SPECIAL = (",", '"', "\r", "\n")
_END = "\r\n"


def csv_lines(columns: Sequence[list[Any]], rows: int) -> Iterator[tuple[int, bytes]]:
    """Yield lines, at most so many rows at a time, and how many they are.

    Null is an empty cell, any other value its ``str``.
    """
    cells = [_cells(column) for column in columns]
    if len(cells) == 1:
        # A line without anything in it would be no row.
        cells = [[cell or '""' for cell in cells[0]]]
    lines = map(",".join, zip(*cells, strict=True))
    while piece := list(islice(lines, rows)):
        yield len(piece), _END.join((*piece, "")).encode()


def _cells(column: list[Any]) -> list[str]:
    """Return the cells of a column, quoted if they need it."""
    try:
        joined = "".join(column)
    except TypeError:  # nulls, numbers
        column = ["" if value is None else str(value) for value in column]
        joined = "".join(column)
    if any(character in joined for character in _SPECIAL):
        return [_quoted(text) for text in column]
    return column


def _quoted(text: str) -> str:
    if any(character in text for character in _SPECIAL):
        return '"{}"'.format(text.replace('"', '""'))
    return text
