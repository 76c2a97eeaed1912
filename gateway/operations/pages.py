"""A page of a connection: its rows, and what Relay's ``pageInfo`` and ``edges`` say about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from .raw_rows import RowList

MakeCursor = Callable[[Any, int], str]
"""(row, its index in the page) → cursor."""


class Page(Struct, gc=False):
    """The rows of a connection field. A struct without garbage collection, as each parent row has one per list."""

    rows: RowList
    has_next: bool = False
    has_previous: bool = False
    total: int | None = None
    cursor: MakeCursor | None = None

    def cursor_at(self, index: int) -> str | None:
        """Return the cursor of the row at an index; None in an empty page."""
        if not self.rows or self.cursor is None:
            return None
        index %= len(self.rows)
        return self.cursor(self.rows[index], index)


class Edge(Struct, frozen=True):
    """A row in its page, for the fallback resolvers."""

    page: Page
    index: int


class Failure(Struct, frozen=True):
    """An error in the place of a value that could not be loaded."""

    error: Exception
