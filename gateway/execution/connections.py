"""Reads the page of one connection: one list, one window.

keyset window      a filter that begins behind the cursor; the window's own order
any other window   the service's next links, or positions (``unkeyed``)
"""

from __future__ import annotations

import asyncio

from msgspec import Struct, structs

from gateway.errors import UnsupportedQuery
from gateway.odata.dialect import Dialect
from gateway.odata.lower import Lowered
from gateway.odata.query import Query
from gateway.operations.pages import Page
from gateway.planning.page_window import empty_page, ends_on_upstream_page, keyset_page, with_window
from gateway.planning.plan import ReadPlan

from .fetcher import Fetcher
from .filtering import matching_rows
from .long_lists import count_of, rows_of
from .null_order import needs_proof, prove_null_order
from .unkeyed import unkeyed_page


class PageReading(Struct, frozen=True):
    """How the page of a keyset window is read."""

    query: Query
    fills: bool
    """Whether the page ends where one of the upstream's does."""
    counts_apart: bool
    """Whether the total is a request of its own."""
    is_filtered_here: bool
    """Whether rows are left out in the gateway."""
    lowered: Lowered
    """The query as it is sent."""


def page_reading(query: Query, plan: ReadPlan, dialect: Dialect) -> PageReading:
    """Return how the page of ``plan.window`` is read in the list of ``query``."""
    derived = plan.derived
    if derived.query is query:
        known: PageReading = derived.page
        return known
    window = plan.window
    assert window is not None
    page_query = with_window(query, window, dialect)
    fills = ends_on_upstream_page(window, dialect)
    if fills:
        # One row more would cost a request more: whether there is a next link tells as much.
        page_query = structs.replace(page_query, top=None)
    lowered = dialect.lower(page_query)
    own = dialect.lower(query) if window.has_cursor else lowered
    reading = PageReading(
        page_query,
        fills,
        # The filter of a page behind a cursor leaves out earlier rows, so the total is a request of its own.
        counts_apart=window.needs.total and not page_query.count,
        is_filtered_here=not window.needs.total and own.residual is not None,
        lowered=lowered,
    )
    if query is plan.query:
        derived.query, derived.page = query, reading
    return reading


async def read_connection(
    fetcher: Fetcher, query: Query, plan: ReadPlan, *, raw: bool = False, is_alone: bool = False
) -> Page:
    """Return the page of ``plan.window`` in the list of ``query``; ``raw``: its rows may stay JSON text.

    ``is_alone``: nothing else of the operation is read at the moment. Raises GatewayError.
    """
    window, row_type = plan.window, plan.row_type
    assert window is not None
    if window.count_only:
        total = await count_of(fetcher, query, row_type) if window.needs.total else None
        return empty_page(window, total)
    if not window.keyset:
        return await unkeyed_page(fetcher, query, plan, raw=raw)
    reading = page_reading(query, plan, fetcher.dialect)
    if reading.is_filtered_here:
        if window.skip:
            raise UnsupportedQuery("Rows of a list that the gateway filters cannot be skipped.")
        return keyset_page(await matching_rows(fetcher, query, plan), window, row_type, None)
    most = window.size if reading.fills else None
    if reading.counts_apart:
        rows, total = await asyncio.gather(
            rows_of(fetcher, reading.query, plan, raw=raw, most=most),
            count_of(fetcher, query, row_type),
        )
    else:
        # No task, which would cost 25 µs. It begins when a task would, so that all lists of an operation are requested
        # in its order, and in the same batches, whether they have a total of their own or not.
        if not is_alone:
            await asyncio.sleep(0)
        rows = await rows_of(fetcher, reading.query, plan, raw=raw, most=most)
        total = rows.total
    if needs_proof(window, len(rows.rows)):
        await prove_null_order(fetcher, query, plan)
    page = keyset_page(rows.rows, window, row_type, total, more=reading.fills and rows.more)
    if page.total is None and window.needs.total:
        # A service may leave @odata.count out of its answer.
        page.total = await count_of(fetcher, query, row_type)
    return page
