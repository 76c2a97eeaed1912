"""Reads a page of a list that the gateway must filter itself: part by part, until enough rows pass.

The upstream can only be asked more widely (``odata.wildcard_residual``), so how many rows must be read is not known in
advance. Parts begin small and grow; each starts behind the last row of the previous one, as a cursor would.
"""

from __future__ import annotations

from typing import Any

from msgspec import structs

from gateway.errors import UpstreamMalformed
from gateway.odata.query import Query
from gateway.operations.cursors import Cursor
from gateway.planning.page_window import Window, with_window
from gateway.planning.plan import ReadPlan

from .fetcher import Fetcher

FIRST_PART = 100
"""Rows of the first part, if the page is not larger."""
GROWTH = 4
"""Each part is so many times larger than the previous one."""
LARGEST_PART = 10_000
"""Rows of a part at most, if the dialect names no page limit."""


async def matching_rows(fetcher: Fetcher, query: Query, plan: ReadPlan) -> list[Any]:
    """Return the rows of a keyset window that pass the filter, in the direction of the window, and one more.

    Raises BudgetExceeded if the operation has read as many rows as it may.
    """
    window = plan.window
    assert window is not None
    most = window.size + window.one_more
    largest = fetcher.dialect.page_limit or LARGEST_PART
    part = min(max(most, FIRST_PART), largest)
    matching: list[Any] = []
    while True:
        lowered = fetcher.dialect.lower(with_window(query, window, fetcher.dialect))
        if lowered.empty:
            return matching
        assert lowered.residual is not None
        part_query = structs.replace(lowered.query, top=part)
        rows, passing = await fetcher.filtered_part(part_query, plan.row_type, lowered.residual)
        matching += passing
        if len(matching) >= most or len(rows) < part:
            return matching[:most]
        window = _behind(window, rows[-1], plan)
        part = min(part * GROWTH, largest)


def _behind(window: Window, row: Any, plan: ReadPlan) -> Window:
    """Return the window that starts behind a row. Raises UpstreamMalformed if it starts where the last one did."""
    values = tuple(getattr(row, plan.row_type.attribute(t.field), None) for t in window.order)
    start = window.before if window.backward else window.after
    if start is not None and start.values == values:
        raise UpstreamMalformed("The upstream sent the same rows again for the rows behind them.")
    cursor = Cursor(values=values)
    if window.backward:
        return structs.replace(window, before=cursor)
    return structs.replace(window, after=cursor)
