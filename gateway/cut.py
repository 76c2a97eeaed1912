"""Cutting pages out of whole lists: where all children of many parents came at once, each parent's window is cut here.

In the default order the rows are sorted here, so that every way of loading gives the same page; an order that the
caller asked for was applied by the upstream. A cutter is made once for a level and used for all of its parents: most
lists below a row are short, so sort keys are made for the rows of all parents at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import chain, islice
from operator import itemgetter, le
from typing import Any

from schema.fields import Field

from .cursors import Cursor
from .errors import UpstreamMalformed
from .odata.dialect import Dialect
from .odata.local import order_key
from .pages import Failure, Page
from .rows import RowType
from .window import Window, check_null_order, keyset_cursors, offset_cursors, span

_COMPARABLE = frozenset(
    {
        *("Edm.Byte", "Edm.SByte", "Edm.Int16", "Edm.Int32", "Edm.Int64"),
        *("Edm.Decimal", "Edm.String"),
    }
)

_first = itemgetter(0)
_NO_ORDER = (AttributeError, TypeError, ValueError, ArithmeticError)
_DECIMAL, _TEXT = "Edm.Decimal", "Edm.String"
Column = Callable[[Sequence[Any]], list[Any]]
"""An attribute of many rows."""
_Terms = Sequence[tuple[str, Column]]
"""Type and values of the order's terms."""


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
        self._nulls_last = dialect.nulls_last
        self._types = [t.edm for t in window.order]
        self._descending = [t.descending for t in window.order]
        self._attributes = (
            [row_type.attribute(t.field) for t in window.order] if window.keyset else []
        )
        self._cursors = keyset_cursors(window, row_type) if window.keyset else None
        is_plain = window.keyset and window.is_first_page and window.size > 0
        self._plain = self._plain_terms(same) if is_plain else None

    def page(self, rows: list[Any]) -> Page:
        """Give the window's page of a whole list. Raises UpstreamMalformed for values that cannot be put in order."""
        if self._plain is not None and len(rows) < 2:
            return Page(rows, total=len(rows), cursor=self._cursors)
        try:
            if self._plain is not None:
                return self._first_pages([rows], self._plain)[0]
            return self._keyset(rows) if self._window.keyset else self._offset(rows)
        except _NO_ORDER as error:
            raise UpstreamMalformed(
                "The upstream sent rows that cannot be put in order: a value is not of its type."
            ) from error

    def pages(self, lists: Iterable[list[Any]]) -> list[Page | Failure]:
        """Give the page of each of these whole lists; one that cannot be put in order has its error in its place."""
        lists = list(lists)
        if self._plain is not None:
            with suppress(
                *_NO_ORDER
            ):  # one by one, it matters only where a list holds several rows
                return [*self._first_pages(lists, self._plain)]
        return [self._page_or_failure(rows) for rows in lists]

    def _page_or_failure(self, rows: list[Any]) -> Page | Failure:
        try:
            return self.page(rows)
        except UpstreamMalformed as error:
            return Failure(error)

    def _first_pages(self, lists: Sequence[list[Any]], terms: _Terms) -> list[Page]:
        size, cursors = self._window.size, self._cursors
        return [
            Page(rows, False, False, total, cursors)
            if (total := len(rows)) <= size
            else Page(rows[:size], True, False, total, cursors)
            for rows in self._sorted(lists, terms)
        ]

    def _sorted(self, lists: Sequence[list[Any]], terms: _Terms) -> Sequence[list[Any]]:
        """Put each list in order; most often all of them are already, one behind the other."""
        keys = self._keys(list(chain.from_iterable(lists)), terms)
        if all(map(le, keys, islice(keys, 1, None))):
            return lists
        made: list[list[Any]] = []
        end = 0
        for rows in lists:
            start, end = end, end + len(rows)
            own = keys[start:end]
            in_order = own == sorted(own)
            if not in_order:
                rows = [row for _, row in sorted(zip(own, rows, strict=True), key=_first)]  # noqa: PLW2901
            made.append(rows)
        return made

    def _keys(self, rows: list[Any], terms: _Terms) -> list[Any]:
        """Give the place of each row in the order; a column that is equal in all of them decides nothing."""
        columns: list[list[Any]] = []
        for edm, get in terms:
            column = get(rows)
            if _is_constant(column):
                continue
            if edm == _DECIMAL:
                column = list(map(Decimal, column))
            elif edm == _TEXT and self._insensitive:
                column = folded(column)
            columns.append(column)
        if len(columns) == 1:
            return columns[0]
        return list(zip(*columns, strict=True))

    def _plain_terms(self, same: Sequence[Field]) -> _Terms | None:
        """Give the terms to sort by: of numbers and text that are never null, ascending; None for other ones."""
        if not self._window.is_default_order:
            return [] if self._window.null_order is None else None
        terms: list[tuple[str, Column]] = []
        for term, attribute in zip(self._window.order, self._attributes, strict=True):
            if term.descending or term.nullable or term.edm not in _COMPARABLE:
                return None
            if term.field not in same:
                terms.append((term.edm, column_of(attribute)))
        return terms

    def _offset(self, rows: list[Any]) -> Page:
        found = span(self._window, len(rows))
        cut = rows[found.start : found.end]
        cursors = offset_cursors(self._window, found.start)
        return Page(cut, found.has_next, found.has_previous, len(rows), cursors)

    def _keyset(self, rows: list[Any]) -> Page:
        window, total = self._window, len(rows)
        if window.is_default_order:
            rows = sorted(rows, key=self._key)
        else:
            check_null_order(rows, window, self._row_type)
        rows = self._between(rows)
        more = len(rows) > window.size
        before, after = window.before is not None, window.after is not None
        if window.backward:
            cut = rows[max(0, len(rows) - window.size) :]
            return Page(cut, before, more or after, total, self._cursors)
        return Page(rows[: window.size], more or before, after, total, self._cursors)

    def _key(self, row: Any) -> Any:
        """Give a row's place in the order, as the upstream would sort it."""
        values = [getattr(row, a) for a in self._attributes]
        for i, edm in enumerate(self._types):
            if edm == _DECIMAL and isinstance(values[i], str):
                values[i] = Decimal(values[i])
        return self._place(values)

    def _place(self, values: Any) -> Any:
        return order_key(
            values,
            self._types,
            self._descending,
            case_insensitive=self._insensitive,
            nulls_last=self._nulls_last,
        )

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


def column_of(attribute: str) -> Column:
    """Compile the reading of one attribute of many rows."""
    made: Column = eval(f"lambda rows: [row.{attribute} for row in rows]")  # noqa: S307 - our own name
    return made


def _is_constant(column: list[Any]) -> bool:
    return not column or (column[0] == column[-1] and column.count(column[0]) == len(column))


def folded(texts: list[str]) -> list[str]:
    """Fold texts as the upstream compares them, without case and trailing blanks: all in one go."""
    joined = "\0".join(texts)
    if " \0" in joined or joined.endswith(" "):
        texts = [text.rstrip(" ") for text in texts]
        joined = "\0".join(texts)
    found = joined.casefold().split("\0")
    return found if len(found) == len(texts) else [text.casefold() for text in texts]
