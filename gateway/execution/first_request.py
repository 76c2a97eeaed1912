"""The request of a page, worked out before its plan is run first.

So an operation that comes for the first time is read and completed the short way (``single_read``), like one that comes
again.
"""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.odata.dialect import Dialect
from gateway.odata.render import render
from gateway.planning.plan import ReadPlan

from .connections import page_reading


def derive_request(plan: ReadPlan, dialect: Dialect, max_url_length: int) -> None:
    """Note what the first run of a plan would leave (``Fetcher.rows``), if it needs no more than one request."""
    derived, window = plan.derived, plan.window
    # With a query, it was run or tried before.
    if derived.query is not None or window is None or not window.keyset or window.count_only:
        return
    # Behind a cursor, how the service sorts nulls may have to be proved.
    if window.has_cursor:
        return
    try:
        reading = page_reading(plan.query, plan, dialect)
        lowered = reading.lowered
        if reading.counts_apart or reading.is_filtered_here:
            return
        if lowered.empty or lowered.residual is not None:
            return
        request = render(lowered.query, options=dialect.options)
    except (GatewayError, ValueError):
        # The whole way finds the same, and says what it is.
        return
    # What is too long is shortened, split, or sent in a batch.
    has_select = "$select=" in request.url or not reading.query.select
    if has_select and len(request.url) <= max_url_length:
        derived.request = request
