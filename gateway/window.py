"""Which part of a list a connection asks for, and how to ask the upstream for just that part.

Keyset paging is stable while rows come and go: "after" is a filter on the order's values and the key. With
terms ``a, b`` and the values ``v, w`` it reads ``a ge v and (a gt v or b gt w)``: no ``eq``, which F&O would
read as a wildcard, and one comparison a term. Where a term cannot be compared (an enum) or there is no key, the
window falls back to offsets, and explain says so.

Relay Cursor Connections, https://relay.dev/graphql/connections.htm#sec-Pagination-algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs

from schema.fields import Field

from .cursors import Cursor, keyset_cursor, offset_cursor
from .errors import UpstreamMalformed
from .odata.dialect import Dialect
from .odata.query import (
    And,
    Compare,
    Expr,
    IsNull,
    Literal,
    Not,
    Operator,
    Or,
    Order,
    Path,
    Query,
    Value,
)
from .pages import MakeCursor, Page
from .rows import RowList, RowType
from .shape import ConnectionNeeds
from .where import all_of


class OrderTerm(Struct, frozen=True):
    """One field of the order."""

    field: Field
    descending: bool = False

    @property
    def edm(self) -> str:
        """Upstream type of the values."""
        assert self.field.value is not None
        return self.field.value.edm

    @property
    def nullable(self) -> bool:
        """Whether upstream values may be null."""
        return self.field.prop is not None and self.field.prop.nullable


class Window(Struct, frozen=True, kw_only=True):
    """The bound paging arguments of one connection."""

    size: int
    backward: bool = False
    order: tuple[OrderTerm, ...]
    keyset: bool
    is_default_order: bool
    after: Cursor | None = None
    before: Cursor | None = None
    binding: bytes
    needs: ConnectionNeeds

    @property
    def has_cursor(self) -> bool:
        """Whether the window starts or ends at a cursor."""
        return self.after is not None or self.before is not None

    @property
    def count_only(self) -> bool:
        """Whether no row is needed."""
        return not (self.needs.rows and self.size) and not self.one_more

    @property
    def one_more(self) -> bool:
        """Whether a row beyond the page must tell if there are more; a cursor at that end tells it too."""
        if self.backward:
            return self.needs.previous and self.after is None
        return self.needs.next and self.before is None

    @property
    def is_first_page(self) -> bool:
        """Whether the first rows of the list are asked for."""
        return not self.backward and not self.has_cursor


def orders(terms: Sequence[OrderTerm], *, backward: bool) -> tuple[Order, ...]:
    """Give ``$orderby``; reversed for a backward window, whose rows are flipped when they have come."""
    return tuple(Order(Path((t.field.source,)), t.descending != backward) for t in terms)


def beyond(
    terms: Sequence[OrderTerm], values: Sequence[Value], *, backward: bool, nulls: bool
) -> Expr:
    """Give the filter for rows that come after (before) the row with these order values."""
    (term, *rest), (value, *others) = terms, values
    past = _past(term, value, backward=backward, nulls=nulls)
    if not rest:
        return past
    inner = beyond(rest, others, backward=backward, nulls=nulls)
    return _and(_from(term, value, backward=backward, nulls=nulls), _or(past, inner))


def _past(term: OrderTerm, value: Value, *, backward: bool, nulls: bool) -> Expr:
    """Values strictly after ``value``; null sorts before everything (URL Conventions 5.1.6)."""
    path = Path((term.field.source,))
    falling = term.descending != backward
    if value is None:
        return Or(()) if falling else Not(IsNull(path, term.edm))
    test = Compare(path, Operator.LT if falling else Operator.GT, Literal(value, term.edm))
    return _or(test, IsNull(path, term.edm)) if falling and nulls and term.nullable else test


def _from(term: OrderTerm, value: Value, *, backward: bool, nulls: bool) -> Expr:
    """Values at or after ``value``."""
    path = Path((term.field.source,))
    falling = term.descending != backward
    if value is None:
        return IsNull(path, term.edm) if falling else And(())
    test = Compare(path, Operator.LE if falling else Operator.GE, Literal(value, term.edm))
    return _or(test, IsNull(path, term.edm)) if falling and nulls and term.nullable else test


def _and(*terms: Expr) -> Expr:
    kept = tuple(t for t in terms if t != And(()))
    return kept[0] if len(kept) == 1 else And(kept)


def _or(*terms: Expr) -> Expr:
    kept = tuple(t for t in terms if t != Or(()))
    return kept[0] if len(kept) == 1 else Or(kept)


def bounded(query: Query, window: Window, dialect: Dialect) -> Query:
    """Add a keyset window to a query: order, start and end, and one row more where "is there more" is asked."""
    nulls = dialect.has_nulls
    bounds: list[Expr] = []
    for cursor, backward in ((window.after, False), (window.before, True)):
        if cursor is not None:
            bounds.append(beyond(window.order, cursor.values, backward=backward, nulls=nulls))
    return structs.replace(
        query,
        where=all_of(query.where, *bounds),
        order=orders(window.order, backward=window.backward),
        top=window.size + window.one_more,
        count=window.needs.total and not window.has_cursor,
    )


def empty_page(window: Window, total: int | None) -> Page:
    """Make the page of a window of which no row is needed."""
    return Page([], window.before is not None, window.after is not None, total)


def keyset_page(rows: RowList, window: Window, row_type: RowType, total: int | None) -> Page:
    """Make the page of the rows that a bounded query brought."""
    more = len(rows) > window.size
    rows = rows[: window.size]
    if window.backward:
        rows.reverse()
        has_next, has_previous = window.before is not None, more or window.after is not None
    else:
        has_next, has_previous = more or window.before is not None, window.after is not None
    return Page(rows, has_next, has_previous, total, keyset_cursors(window, row_type))


def keyset_cursors(window: Window, row_type: RowType) -> MakeCursor | None:
    """Give the function from a row to its cursor; None where no cursor is asked for."""
    if not window.needs.cursors:
        return None
    attributes = [row_type.attribute(t.field) for t in window.order]
    binding = window.binding

    def cursor(row: Any, _index: int) -> str:
        try:
            return keyset_cursor(binding, [getattr(row, a) for a in attributes])
        except (AttributeError, TypeError, OverflowError) as error:
            raise UpstreamMalformed(
                "The upstream sent a row without the values that it is ordered by."
            ) from error

    return cursor


def offset_cursors(window: Window, start: int) -> MakeCursor | None:
    """Give the function from a row's place in the page to its cursor."""
    if not window.needs.cursors:
        return None
    return lambda _row, index: offset_cursor(window.binding, start + index)


class Span(Struct, frozen=True):
    """Rows ``start`` to ``end`` of a list, and what lies around them."""

    start: int
    end: int
    has_next: bool
    has_previous: bool


def span(window: Window, total: int | None) -> Span:
    """Resolve an offset window to positions. ``total`` is needed only for a last page without ``before``."""
    low = 0 if window.after is None else (window.after.offset or 0) + 1
    high = window.before.offset if window.before is not None else total
    after, before = window.after is not None, window.before is not None
    if window.backward:
        assert high is not None
        start = max(low, high - window.size)
        return Span(start, max(start, high), before, start > low or after)
    end = low + window.size if high is None else min(low + window.size, high)
    return Span(low, max(low, end), before or (high is not None and end < high), after)
