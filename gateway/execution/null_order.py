"""Checks where a service sorts nulls, at the end of a list that was paged on an assumption.

A cursor that holds a value leaves out the nulls that are assumed to stand before it. If they stand behind it instead,
each page looks right by itself and the list is short. Two small requests prove it: is there a null, and is it first?

OData 4.01 Protocol 11.2.6.2 ($orderby): nulls come before other values in ascending order.
https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part1-protocol.html#sec_SystemQueryOptionorderby
"""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import structs

from gateway.odata.query import IsNull, Order, Path, Query
from gateway.planning.filters import all_of
from gateway.planning.page_window import OrderTerm, Window, null_order_error
from gateway.planning.plan import ReadPlan

from .fetcher import Fetcher


def needs_proof(window: Window, rows: int) -> bool:
    """Return whether a page of so many rows ends a list whose earlier pages rest on an assumed order of nulls."""
    is_last = rows < window.size + window.one_more
    return window.null_order == "unknown" and window.has_cursor and is_last


async def prove_null_order(fetcher: Fetcher, query: Query, plan: ReadPlan) -> None:
    """Raise UpstreamMalformed if the service sorts nulls behind other values in ascending order.

    ``query`` is that of the list, without its window. Costs one request for each term that may be null, two if there
    are nulls.
    """
    window = plan.window
    assert window is not None
    terms = [term for term in window.order if term.nullable]
    await asyncio.gather(*(_prove(fetcher, query, plan, term) for term in terms))


async def _prove(fetcher: Fetcher, query: Query, plan: ReadPlan, term: OrderTerm) -> None:
    path = Path((term.field.source,))
    one = structs.replace(query, expand=(), top=1)
    is_null = IsNull(path, term.edm)
    nulls = await _rows(fetcher, structs.replace(one, where=all_of(one.where, is_null)), plan)
    if not nulls:
        return
    first = await _rows(fetcher, structs.replace(one, order=(Order(path),)), plan)
    if first and getattr(first[0], plan.row_type.attribute(term.field), None) is not None:
        raise null_order_error(term, "unknown")


async def _rows(fetcher: Fetcher, query: Query, plan: ReadPlan) -> list[Any]:
    rows: list[Any] = (await fetcher.rows(query, plan.row_type)).rows
    return rows
