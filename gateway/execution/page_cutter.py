"""Cuts pages out of whole lists: if all children of many parents came at once, each parent's window is cut here.

A page that is cut here may be continued upstream, so the rows must stand in the upstream's order. Key batches are
requested in it. Rows that came by an ``$expand`` without options came in any order and are sorted here, which counts
only if the order is proven: of numbers and dates always, of text if each two neighbours differ first in an ASCII letter
or digit. SQL Server's collations all but ignore hyphens and apostrophes: whether ``A-1`` or ``A1`` comes first,
only the database knows
(https://learn.microsoft.com/en-us/sql/relational-databases/collations/collation-and-unicode-support).

A cutter is made once for a level and used for all of its parents: most lists below a row are short, so sort keys are
made for the rows of all parents at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache, partial
from itertools import chain, islice, pairwise
from operator import itemgetter, le
from typing import Any

from gateway.errors import UpstreamMalformed
from gateway.odata.dialect import Dialect
from gateway.odata.local_filter import comparable, order_key
from gateway.operations.cursors import Cursor
from gateway.operations.pages import Failure, Page
from gateway.operations.row_types import RowType
from gateway.planning.page_window import (
    Window,
    check_null_order,
    keyset_cursors,
    offset_cursors,
    span,
)
from gateway.planning.proven_order import TIMES
from schema.catalog.records import Field

_first = itemgetter(0)
_NO_ORDER = (AttributeError, TypeError, ValueError, ArithmeticError)
_DECIMAL, _TEXT = "Edm.Decimal", "Edm.String"
_SHAPES = bytes(ord("0") if chr(c).isascii() and chr(c).isalnum() else c for c in range(256))
"""Letters and digits as one of them, for ``bytes.translate``."""
Column = Callable[[Sequence[Any]], list[Any]]
"""An attribute of many rows."""
_Terms = Sequence[tuple[str, Column]]
"""Edm type and values of the order's terms."""
_LISTS_A_TURN = 1_000
"""Lists of children after which other tasks have a turn: some 5 ms."""


class Cutter:
    """Cuts one window out of many lists of one row type."""

    def __init__(
        self,
        window: Window,
        row_type: RowType,
        dialect: Dialect,
        *,
        same: Sequence[Field] = (),
        ordered: bool = False,
        bounded: bool = False,
        proves: bool = True,
    ) -> None:
        """Prepare the cutting of one level's lists.

        ``same``: columns in which the rows of one list are equal, as the columns that join them to their parent are.
        ``ordered``: lists come in the order of the window. ``bounded``: they hold only rows between its cursors.
        ``proves``: a list whose order is not proven has no page, so that the upstream is asked for it in order; else
        all are cut in the order that the gateway gives them.
        """
        self._window = window
        self._row_type = row_type
        self._insensitive = dialect.case_insensitive
        self._nulls_last = dialect.nulls_last
        self._bounded = bounded
        self._proves = proves
        self._types = [t.edm for t in window.order]
        self._descending = [t.descending for t in window.order]
        self._attributes = (
            [row_type.attribute(t.field) for t in window.order] if window.keyset else []
        )
        self._cursors = keyset_cursors(window, row_type) if window.keyset else None
        self._is_plain = (
            window.keyset
            and window.null_order is None
            and (bounded or not window.has_cursor)
            and window.before is None
            and not window.backward
        )
        """Whether the page of a list in order is its beginning: most are."""
        sorts = window.keyset and not ordered and window.is_default_order and window.size > 0
        self._terms = self._terms_without(same) if sorts else None

    def page(self, rows: list[Any], total: int | None = None) -> Page | None:
        """Return the window's page of a list; None if only the upstream knows the order of its rows.

        ``total``: number of rows of the whole list, if these are not all. Raises UpstreamMalformed for values that
        cannot be put in order.
        """
        try:
            ordered: list[Any] | None = rows
            if self._terms is not None and len(rows) > 1:
                (ordered,) = self._sorted([rows], self._terms)
            return None if ordered is None else self._cut(ordered, total)
        except _NO_ORDER as error:
            raise UpstreamMalformed(
                "The upstream sent rows that cannot be put in order: a value is not of its type."
            ) from error

    def pages(
        self, lists: Iterable[list[Any]], totals: Sequence[int] | None = None
    ) -> list[Page | Failure | None]:
        """Return the page of each list: None if its order is not proven, a Failure if it cannot be put in order."""
        lists = list(lists)
        counts: Sequence[int | None] = [None] * len(lists) if totals is None else totals
        if self._terms is not None:
            # All at once; if a value is of no use they are tried one by one, and only its own list fails.
            with suppress(*_NO_ORDER):
                ordered = self._sorted(lists, self._terms)
                pairs = zip(ordered, counts, strict=True)
                return [None if rows is None else self._cut(rows, n) for rows, n in pairs]
        elif self._is_plain and totals is None:
            size, after, cursors = self._window.size, self._window.after is not None, self._cursors
            return [
                Page(rows, has_next=False, has_previous=after, total=len(rows), cursor=cursors)
                if len(rows) <= size
                else Page(rows[:size], True, after, len(rows), cursors)
                for rows in lists
            ]
        return [self._page_or_failure(*pair) for pair in zip(lists, counts, strict=True)]

    def _page_or_failure(self, rows: list[Any], total: int | None) -> Page | Failure | None:
        try:
            return self.page(rows, total)
        except UpstreamMalformed as error:
            return Failure(error)

    def _cut(self, rows: list[Any], total: int | None) -> Page:
        """Return the page of a list that is in order."""
        window = self._window
        total = len(rows) if total is None else total
        if not window.keyset:
            return self._offset(rows, total)
        if window.null_order is not None:
            check_null_order(rows, window, self._row_type)
        # The request had no condition for the cursor, so the rows before it came as well.
        if window.has_cursor and not self._bounded:
            rows = self._between(rows)
        more = len(rows) > window.size
        before, after = window.before is not None, window.after is not None
        if window.backward:
            cut = rows[max(0, len(rows) - window.size) :]
            return Page(cut, before, more or after, total, self._cursors)
        cut = rows[: window.size] if more else rows
        return Page(cut, more or before, after, total, self._cursors)

    def _offset(self, rows: list[Any], total: int) -> Page:
        place = span(self._window, len(rows))
        cut = rows[place.start : place.end]
        cursors = offset_cursors(self._window, place.start)
        return Page(cut, place.has_next, place.has_previous, total, cursors)

    def _sorted(self, lists: Sequence[list[Any]], terms: _Terms) -> Sequence[list[Any] | None]:
        """Return each list in order, None for one whose order is not proven."""
        columns, texts = self._columns(list(chain.from_iterable(lists)), terms)
        keys: list[Any] = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        unsure = [i for i in texts if self._proves and not _has_one_shape(columns[i])]
        # Most often all lists are in order, and so are they one behind the other: nothing needs sorting.
        if not unsure and all(map(le, keys, islice(keys, 1, None))):
            return lists
        is_proven = partial(_is_proven, single=len(columns) == 1, texts=frozenset(texts))
        result: list[list[Any] | None] = []
        end = 0
        for rows in lists:
            start, end = end, end + len(rows)
            own = keys[start:end]
            placed = sorted(own)
            ordered = rows
            if own != placed:
                ordered = [row for _, row in sorted(zip(own, rows, strict=True), key=_first)]
            proven = not unsure or all(is_proven(one, other) for one, other in pairwise(placed))
            result.append(ordered if proven else None)
        return result

    def _columns(self, rows: list[Any], terms: _Terms) -> tuple[list[list[Any]], list[int]]:
        """Return the columns by which the rows are sorted, and which of them are text.

        A column of one value decides nothing and is left out.
        """
        columns: list[list[Any]] = []
        texts: list[int] = []
        for edm, get in terms:
            column = get(rows)
            if _is_constant(column):
                continue
            if edm == _DECIMAL:
                column = list(map(Decimal, column))
            elif edm == _TEXT:
                texts.append(len(columns))
                column = folded(column) if self._insensitive else column
            elif edm in TIMES:
                column = [comparable(edm, v, case_insensitive=False) for v in column]
            columns.append(column)
        return columns, texts

    def _terms_without(self, same: Sequence[Field]) -> _Terms:
        """Return the terms to sort by, without those that are equal in all rows of a list."""
        pairs = zip(self._window.order, self._attributes, strict=True)
        return [(t.edm, column_of(attribute)) for t, attribute in pairs if t.field not in same]

    def _between(self, rows: list[Any]) -> list[Any]:
        """Return the rows between the cursors, which are found by equal values, else by comparing."""
        window = self._window
        if window.after is not None:
            after = self._bound(window.after)
            keys = list(map(self._key, rows))
            # By equality first: where the upstream's collation and ours disagree, comparing would lose rows or repeat
            # them.
            at = keys.index(after) + 1 if after in keys else None
            rows = rows[at:] if at is not None else [r for r in rows if after < self._key(r)]
        if window.before is not None:
            before = self._bound(window.before)
            keys = list(map(self._key, rows))
            end = keys.index(before) if before in keys else None
            rows = rows[:end] if end is not None else [r for r in rows if self._key(r) < before]
        return rows

    def _key(self, row: Any) -> Any:
        """Return a row's place in the order, as the upstream would sort it."""
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

    def _bound(self, cursor: Cursor) -> Any:
        return self._place(cursor.values)


async def cut_pages(
    cutter: Cutter, lists: Sequence[list[Any]], totals: Sequence[int] | None = None
) -> list[Page | Failure | None]:
    """Return the page of each list, with breaks for other tasks; see :meth:`Cutter.pages`."""
    pages: list[Page | Failure | None] = []
    for start in range(0, len(lists), _LISTS_A_TURN):
        if start:
            await asyncio.sleep(0)
        end = start + _LISTS_A_TURN
        pages.extend(cutter.pages(lists[start:end], None if totals is None else totals[start:end]))
    return pages


@lru_cache(maxsize=4_096)
def column_of(attribute: str) -> Column:
    """Return a function that reads one attribute of many rows."""
    # Takes a third less time than mapping operator.attrgetter, but 50 µs to compile: names of slots repeat, so it is
    # compiled once for each.
    column: Column = eval(f"lambda rows: [row.{attribute} for row in rows]")  # noqa: S307 - our own name
    return column


@lru_cache(maxsize=4_096)
def put_into(attribute: str) -> Callable[[Iterable[Any], Iterable[Any]], None]:
    """Return a function that sets one attribute of rows to their values, likewise."""
    space: dict[str, Any] = {}
    exec(f"def put(rows, values):\n for r, r.{attribute} in zip(rows, values): pass", space)  # noqa: S102 - our own name
    put: Callable[[Iterable[Any], Iterable[Any]], None] = space["put"]
    return put


def _is_constant(column: list[Any]) -> bool:
    return not column or (column[0] == column[-1] and column.count(column[0]) == len(column))


def _has_one_shape(texts: list[str]) -> bool:
    """Return whether texts hold ASCII letters and digits only, or beside them the same characters in the same places.

    Each two of them then differ first in a letter or digit, or one begins the other: ``US-001``, ``US-002``. One pass
    over all texts, which most columns satisfy.
    """
    joined = "\0".join(texts)
    if not joined.isascii():
        return False
    shapes = joined.encode("ascii").translate(_SHAPES)
    first = shapes.partition(b"\0")[0]
    is_one = shapes == b"\0".join([first] * len(texts))
    return is_one or shapes.replace(b"\0", b"").isalnum()


def _is_proven(one: Any, other: Any, *, single: bool, texts: frozenset[int]) -> bool:
    """Return whether sort keys, of which ``one`` is not the larger, stand in this order in the upstream too."""
    if single:
        return _is_text_proven(one, other)
    for number, (left, right) in enumerate(zip(one, other, strict=True)):
        if left != right:
            return number not in texts or _is_text_proven(left, right)
    return True


def _is_text_proven(one: str, other: str) -> bool:
    """Return whether two texts differ first in ASCII letters or digits, or one begins the other."""
    for left, right in zip(one, other, strict=False):
        if left != right:
            return left.isascii() and right.isascii() and left.isalnum() and right.isalnum()
    return True


def folded(texts: list[str]) -> list[str]:
    """Return texts as the upstream compares them: without case and trailing blanks."""
    joined = "\0".join(texts)
    if " \0" in joined or joined.endswith(" "):
        texts = [text.rstrip(" ") for text in texts]
        joined = "\0".join(texts)
    folds = joined.casefold().split("\0")
    return folds if len(folds) == len(texts) else [text.casefold() for text in texts]
