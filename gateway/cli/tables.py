"""Tables and times, as commands print them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime


def plain(text: str) -> str:
    """Return a text that others wrote, without what a terminal would obey: escape sequences, line ends, directions."""
    return "".join(character if character.isprintable() else "�" for character in text)


def print_table(rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows in columns; the first one is the header."""
    table = [tuple(map(plain, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def iso_time(seconds: float) -> str:
    """Return a time in seconds since the epoch as ``2026-11-30T08:23:13+00:00``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
