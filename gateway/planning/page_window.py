"""The part of a list that a connection requests, and the query for just that part.

Keyset paging is stable while rows are inserted and deleted: "after" is a filter on the values of the order and the key.
With the terms ``a, b`` and the values ``v, w`` it is ``a ge v and (a gt v or b gt w)``: one comparison a term, and no
``eq``, which F&O reads as a pattern. If a term cannot be compared (an enum), or there is no key, the window falls back
to offsets, and explain says so.

Relay Cursor Connections, https://relay.dev/graphql/connections.htm#sec-Pagination-algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from gateway.errors import UpstreamMalformed
from gateway.odata.dialect import Dialect, NullOrder
from gateway.odata.query import (
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
from gateway.operations.connection_parts import ConnectionRequirements
from gateway.operations.cursors import Cursor, fingerprint, keyset_cursor, offset_cursor
from gateway.operations.pages import MakeCursor, Page
from gateway.operations.raw_rows import RowList
from gateway.operations.row_types import RowType
from schema.catalog.records import Field

from .filters import all_of

if TYPE_CHECKING:
    from gateway.storage.sealing import Sealer


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
    """The paging arguments of one connection with their values."""

    size: int
    backward: bool = False
    order: tuple[OrderTerm, ...]
    keyset: bool
    is_default_order: bool
    after: Cursor | None = None
    before: Cursor | None = None
    list_key: tuple[object, ...] = ()
    """What identifies the list beside its order: see ``Paging.window``."""
    needs: ConnectionRequirements
    null_order: NullOrder | None = None
    """Where the upstream sorts nulls; None if no term of the order can be null."""
    sealer: Sealer | None = None
    """Seals its cursors."""
    skip: int = 0
    """Rows between its start and the first row that is read."""

    @property
    def binding(self) -> bytes:
        """What its cursors are bound to; worked out when a cursor is read or made, as most lists need none."""
        return fingerprint([(t.field.source, t.descending) for t in self.order], *self.list_key)

    @property
    def has_cursor(self) -> bool:
        """Whether the window starts or ends at a cursor."""
        return self.after is not None or self.before is not None or self.skip > 0

    @property
    def reads_order(self) -> bool:
        """Whether the values of the order are needed: for cursors, or to check the position of nulls."""
        return self.needs.cursors or self.null_order is not None

    @property
    def count_only(self) -> bool:
        """Whether no row is needed."""
        return not (self.needs.rows and self.size) and not self.one_more

    @property
    def rows_read(self) -> int:
        """The rows that are read for the page of one list."""
        return 0 if self.count_only else self.size + self.one_more

    @property
    def one_more(self) -> bool:
        """Whether one more row is read to know if there are more; a cursor at that end tells it, too."""
        if self.backward:
            return self.needs.previous and self.after is None
        return self.needs.next and self.before is None

    @property
    def is_first_page(self) -> bool:
        """Whether the window is at the start of the list."""
        return not self.backward and not self.has_cursor


def order_by(terms: Sequence[OrderTerm], *, backward: bool) -> tuple[Order, ...]:
    """Return ``$orderby``; reversed for a backward window, whose rows are reversed again when they are read."""
    return tuple(Order(Path((t.field.source,)), t.descending != backward) for t in terms)


def rows_beyond(
    terms: Sequence[OrderTerm],
    values: Sequence[Value],
    *,
    backward: bool,
    nulls: bool,
    nulls_last: bool = False,
    inclusive: bool = False,
) -> Expr:
    """Return the filter for rows after (``backward``: before) the row with these order values.

    ``inclusive``: with this row; ``nulls``: whether values may be null at all; ``nulls_last``: whether they come last
    in ascending order.
    """
    # One term at a time: past the value, or at it and past the rest.
    (term, *rest), (value, *others) = terms, values
    falling = term.descending != backward
    nulls_end = falling != nulls_last
    past, at_or_past = _bounds(term, value, falling=falling, nulls_end=nulls_end, nulls=nulls)
    if not rest:
        return at_or_past if inclusive else past
    inner = rows_beyond(
        rest, others, backward=backward, nulls=nulls, nulls_last=nulls_last, inclusive=inclusive
    )
    return _and(at_or_past, _or(past, inner))


def _bounds(
    term: OrderTerm, value: Value, *, falling: bool, nulls_end: bool, nulls: bool
) -> tuple[Expr, Expr]:
    """Return the tests for values strictly after ``value``, and for those at or after it.

    ``nulls_end``: whether nulls come after all values in the direction that is read.
    """
    path, is_null = Path((term.field.source,)), IsNull(Path((term.field.source,)), term.edm)
    # Nothing compares with null: only tests for null can say what comes after it.
    if value is None:
        return (Or(()), is_null) if nulls_end else (Not(is_null), And(()))
    literal = Literal(value, term.edm)
    past: Expr = Compare(path, Operator.LT if falling else Operator.GT, literal)
    at_or_past: Expr = Compare(path, Operator.LE if falling else Operator.GE, literal)
    if nulls_end and nulls and term.nullable:
        return _or(past, is_null), _or(at_or_past, is_null)
    return past, at_or_past


def _and(*terms: Expr) -> Expr:
    terms = tuple(t for t in terms if t != And(()))
    return terms[0] if len(terms) == 1 else And(terms)


def _or(*terms: Expr) -> Expr:
    terms = tuple(t for t in terms if t != Or(()))
    return terms[0] if len(terms) == 1 else Or(terms)


def with_window(query: Query, window: Window, dialect: Dialect) -> Query:
    """Return a query with a keyset window: order, start and end, and one more row if that is needed."""
    return structs.replace(
        query,
        where=all_of(query.where, cursor_filter(window, dialect)),
        order=order_by(window.order, backward=window.backward),
        skip=window.skip or None,
        top=window.size + window.one_more,
        count=window.needs.total and not window.has_cursor,
    )


def cursor_filter(window: Window, dialect: Dialect) -> Expr | None:
    """Return the filter for rows between the cursors of a keyset window; None without cursors."""
    bounds = [
        rows_beyond(
            window.order,
            cursor.values,
            backward=backward,
            nulls=dialect.has_nulls,
            nulls_last=dialect.nulls_last,
            inclusive=cursor.is_inclusive,
        )
        for cursor, backward in ((window.after, False), (window.before, True))
        if cursor is not None
    ]
    return all_of(*bounds)


def ends_on_upstream_page(window: Window, dialect: Dialect) -> bool:
    """Return whether the page ends where a page of the upstream does, so that one more row costs a request."""
    limit = dialect.page_limit
    return limit is not None and window.one_more and window.size % limit == 0 and window.size > 0


def empty_page(window: Window, total: int | None) -> Page:
    """Return the page of a window of which no row is needed."""
    return Page([], window.before is not None, window.after is not None, total)


def keyset_page(
    rows: RowList, window: Window, row_type: RowType, total: int | None, *, more: bool = False
) -> Page:
    """Return the page of the rows that a query with its window brought.

    ``more``: whether the upstream says that there are further rows (a next link). Raises UpstreamMalformed if nulls are
    sorted otherwise than the cursors assume.
    """
    if total is None and not (more or window.has_cursor):
        # From a service that ignores $count: fewer rows than requested are all there are.
        total = len(rows) if len(rows) < window.size + window.one_more else None
    more = more or len(rows) > window.size
    # The row beyond the page showed whether there are more.
    rows = rows[: window.size]
    if window.backward:
        rows.reverse()
        has_next, has_previous = window.before is not None, more or window.after is not None
    else:
        has_next, has_previous = more or window.before is not None, window.after is not None
    check_null_order(rows, window, row_type)
    return Page(rows, has_next, has_previous, total, keyset_cursors(window, row_type))


def keyset_cursors(window: Window, row_type: RowType) -> MakeCursor | None:
    """Return a function from a row to its cursor; None if no cursor is requested."""
    if not window.needs.cursors:
        return None
    # Looked up once, not for every row.
    attributes = [row_type.attribute(t.field) for t in window.order]
    binding, sealer = window.binding, window.sealer

    def cursor(row: Any, _index: int) -> str:
        try:
            return keyset_cursor(binding, [getattr(row, a) for a in attributes], sealer)
        except (AttributeError, TypeError, OverflowError) as error:
            raise UpstreamMalformed(
                "The upstream sent a row without a value that it is ordered by."
            ) from error

    return cursor


def offset_cursors(window: Window, start: int) -> MakeCursor | None:
    """Return a function from a row's index in the page to its cursor; None if no cursor is requested."""
    if not window.needs.cursors:
        return None
    binding, sealer = window.binding, window.sealer
    return lambda _row, index: offset_cursor(binding, start + index, sealer)


def check_null_order(rows: Sequence[Any], window: Window, row_type: RowType) -> None:
    """Raise UpstreamMalformed if a null and a value are in another order than the cursors assume."""
    if window.null_order is None or len(rows) < 2:
        return
    nulls_last = window.null_order == "last"
    terms = [(term, row_type.attribute(term.field)) for term in window.order]
    for one, other in pairwise(rows):
        for term, attribute in terms:
            left, right = getattr(one, attribute, None), getattr(other, attribute, None)
            if (left is None) != (right is None) and (
                (left is None) != (nulls_last == term.descending)
            ):
                raise null_order_error(term, window.null_order)
            if left != right:
                break


def null_order_error(term: OrderTerm, assumed: NullOrder) -> UpstreamMalformed:
    """Return the error for a service that sorts nulls at the other end than assumed."""
    actual = "first" if assumed == "last" else "last"
    return UpstreamMalformed(
        f"The upstream sorts nulls of {term.field.source} {actual} in ascending order, not"
        f" {'last' if assumed == 'last' else 'first'}: pages would lose rows.",
        hint=f'Set null_order = "{actual}" (D365_NULL_ORDER) for this service.',
    )


class Span(Struct, frozen=True):
    """Rows ``start`` to ``end`` (exclusive) of a list, and whether there are others on either side."""

    start: int
    end: int
    has_next: bool
    has_previous: bool


def span(window: Window, total: int | None) -> Span:
    """Return the positions of an offset window. ``total`` is needed for a last page without ``before`` only."""
    low = 0 if window.after is None else (window.after.offset or 0) + 1
    high = window.before.offset if window.before is not None else total
    after, before = window.after is not None, window.before is not None
    if window.backward:
        assert high is not None
        start = max(low, high - window.size)
        return Span(start, max(start, high), before, start > low or after)
    end = low + window.size if high is None else min(low + window.size, high)
    return Span(low, max(low, end), before or (high is not None and end < high), after)
