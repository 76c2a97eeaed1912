"""Cutting pages out of whole lists: where all children of many parents came at once, each parent's window is cut here.

In the default order the rows are sorted here, so that every way of loading gives the same page; an order that the
caller asked for was applied by the upstream. A cutter is made once for a level and used for all of its parents, and
its sort key is compiled: most lists below a row are short, and what counts is the cost for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from schema.fields import Field

from .cursors import Cursor
from .errors import UpstreamMalformed
from .odata.dialect import Dialect
from .odata.local import order_key
from .pages import Failure, Page
from .rows import RowType
from .window import OrderTerm, Window, keyset_cursors, offset_cursors, span

_UNORDERED = (AttributeError, TypeError, ValueError, ArithmeticError)
"""What comparing values that are not of their type raises."""
SortKey = Callable[[Any], Any]
_NUMBERS = frozenset(
    {"Edm.Byte", "Edm.SByte", "Edm.Int16", "Edm.Int32", "Edm.Int64", "Edm.Decimal"}
)


class Cutter:
    """Cuts one window out of many lists of one row type."""

    def __init__(
        self,
        window: Window,
        row_type: RowType,
        dialect: Dialect,
        *,
        same: Sequence[Field] = (),
    ) -> None:
        """Make a cutter; ``same`` are columns in which the rows of one list are equal, as those that join them are."""
        self._window = window
        self._row_type = row_type
        self._insensitive = dialect.case_insensitive
        self._types = [t.edm for t in window.order]
        self._descending = [t.descending for t in window.order]
        self._attributes = (
            [row_type.attribute(t.field) for t in window.order] if window.keyset else []
        )
        self._cursors = keyset_cursors(window, row_type) if window.keyset else None
        self._quick = self._quick_key(()) if window.keyset else None
        self._within = self._quick_key(same) if window.keyset else None
        self._is_plain = window.keyset and window.is_first_page and window.size > 0

    def pages(self, lists: Iterable[list[Any]]) -> list[Page | Failure]:
        """Give the page of each of these whole lists; one that cannot be put in order has its error in its place."""
        lists = list(lists)
        if self._is_plain and (self._within is not None or not self._window.is_default_order):
            with suppress(*_UNORDERED):
                return self._first_pages(lists)
        return [self._page_or_failure(rows) for rows in lists]

    def _first_pages(self, lists: list[list[Any]]) -> list[Page | Failure]:
        size, cursors = self._window.size, self._cursors
        key = self._within if self._window.is_default_order else None
        found: list[Page | Failure] = []
        for rows in lists:
            total = len(rows)
            if total > 1 and key is not None:
                rows = sorted(rows, key=key)  # noqa: PLW2901
            found.append(
                Page(rows, total=total, cursor=cursors)
                if total <= size
                else Page(rows[:size], has_next=True, total=total, cursor=cursors)
            )
        return found

    def _page_or_failure(self, rows: list[Any]) -> Page | Failure:
        try:
            return self.page(rows)
        except UpstreamMalformed as error:
            return Failure(error)

    def page(self, rows: list[Any]) -> Page:
        """Give the window's page of a whole list. Raises UpstreamMalformed for values that cannot be put in order."""
        if self._is_plain and len(rows) < 2:
            return Page(rows, total=len(rows), cursor=self._cursors)
        try:
            return self._keyset(rows) if self._window.keyset else self._offset(rows)
        except _UNORDERED as error:
            raise UpstreamMalformed(
                "The upstream sent rows that cannot be put in order: a value is not of its type."
            ) from error

    def _offset(self, rows: list[Any]) -> Page:
        found = span(self._window, len(rows))
        cut = rows[found.start : found.end]
        cursors = offset_cursors(self._window, found.start)
        return Page(cut, found.has_next, found.has_previous, len(rows), cursors)

    def _keyset(self, rows: list[Any]) -> Page:
        window, total = self._window, len(rows)
        if window.is_default_order:
            rows = sorted(rows, key=self._quick or self._key)
        rows = self._between(rows)
        more = len(rows) > window.size
        before, after = window.before is not None, window.after is not None
        if window.backward:
            cut = rows[max(0, len(rows) - window.size) :]
            return Page(cut, before, more or after, total, self._cursors)
        return Page(rows[: window.size], more or before, after, total, self._cursors)

    def _key(self, row: Any) -> Any:
        """Give a row's place in the order, as the upstream would sort it."""
        return self._place([getattr(row, a) for a in self._attributes])

    def _place(self, values: Any) -> Any:
        return order_key(values, self._types, self._descending, case_insensitive=self._insensitive)

    def _between(self, rows: list[Any]) -> list[Any]:
        window = self._window
        if window.after is not None:
            after = self._bound(window.after)
            rows = [r for r in rows if after < self._key(r)]
        if window.before is not None:
            before = self._bound(window.before)
            rows = [r for r in rows if self._key(r) < before]
        return rows

    def _bound(self, cursor: Cursor) -> Any:
        return self._place(cursor.values)

    def _quick_key(self, same: Sequence[Field]) -> SortKey | None:
        """Compile the sort key of numbers and text that are never null, ascending; None for any other order."""
        if not self._window.is_default_order:
            return None
        parts: list[str] = []
        for term, attribute in zip(self._window.order, self._attributes, strict=True):
            part = _quick_part(term, f"r.{attribute}", insensitive=self._insensitive)
            if part is None:
                return None
            if term.field not in same:
                parts.append(part)
        text = parts[0] if len(parts) == 1 else f"({', '.join([*parts, ''])})"
        made: SortKey = eval(f"lambda r: {text}")  # noqa: S307 - our own attribute names
        return made


def _quick_part(term: OrderTerm, value: str, *, insensitive: bool) -> str | None:
    if term.descending or term.nullable:
        return None
    if term.edm in _NUMBERS:
        return value
    if term.edm == "Edm.String":
        return f"{value}.rstrip(' ').casefold()" if insensitive else value
    return None
