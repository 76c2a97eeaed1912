"""Follows the pages of a list: from a first request along its next links, within the limits of the operation.

A list comes whole or as an error: none is cut short in silence.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from gateway.errors import BudgetExceeded, UpstreamMalformed, UpstreamTruncated
from gateway.odata.query import Request
from gateway.operations.raw_rows import RawRows
from gateway.operations.row_types import RowType

from .answer_checks import check_distinct, check_size
from .page_decoder import PageDecoder
from .read_batches import identity_of
from .read_requests import ReadRequests, check_length

MAX_EMPTY_PAGES = 20
"""Empty pages in a row that are followed."""


class Rows(Struct):
    """Rows of a query, and the number of all rows if the query asked for it."""

    rows: Any
    """A list, or RawRows."""
    total: int | None = None
    more: bool = False
    """Whether a next link remained when reading stopped."""


@dataclass
class PageReader:
    """Reads the pages of one operation's lists."""

    requests: ReadRequests
    decoder: PageDecoder
    max_rows: int
    """Rows of one list that are followed."""
    max_filtered_rows: int
    """Rows that the operation may read to filter them in the gateway."""
    rows_read: int = 0
    filtered_rows: int = 0
    _counted: set[str] = field(default_factory=set)

    async def rows(
        self,
        request: Request,
        row_type: RowType,
        top: int | None = None,
        *,
        page: Any = None,
        raw: bool = False,
        is_answer: bool = False,
        to_filter: bool = False,
    ) -> Rows:
        """Return the rows from ``request`` on: all of them, or those of the pages that hold the first ``top``.

        ``page``: the first page, if it was read already. ``raw``: rows may stay JSON text, and
        ``is_answer``: nothing but the answer is made of them. ``to_filter``: the rows
        count against ``max_filtered_rows``. Raises GatewayError.
        """
        rows: list[Any] = []
        total: int | None = None
        empty, first = 0, request
        while True:
            if page is None:
                response = await self.requests.send(request)
                if is_answer and request is first:
                    whole = self.decoder.small_page(response, row_type)
                    if whole is not None:
                        check_size(request, len(whole.value))
                        self.count(request, len(whole.value))
                        return Rows(whole.value, whole.count)
                if raw:
                    page = await self.decoder.raw_page(response)
                else:
                    page = await self.decoder.page(response, row_type)
            if page is None:
                # A raw page that is none: the typed reading of the same answers says what is wrong.
                return await self.rows(first, row_type, top)
            rows.extend(page.value)
            check_size(request, len(page.value))
            total = page.count if total is None else total
            self.count(request, len(page.value))
            if to_filter:
                self._spend(len(page.value))
            if page.next is None or (top is not None and len(rows) >= top):
                more = page.next is not None
                return Rows(RawRows(row_type, rows) if raw else rows, total, more)
            empty = 0 if page.value else empty + 1
            self.check_limits(len(rows), empty)
            request, page = self.requests.next_page(request, page.next), None

    async def remaining_rows(self, request: Request, row_type: RowType, page: Any) -> Rows:
        """Return all rows of a list whose first page is there. Raises GatewayError."""
        result = await self.rows(request, row_type, page=page)
        check_distinct(result.rows, row_type)
        return result

    async def linked_rows(self, link: str, after: Request, row_type: RowType) -> list[Any]:
        """Return the rows behind a next link that stood inside the answer to ``after``. Raises GatewayError."""
        request = self.requests.next_page(after, link)
        rows: list[Any] = (await self.rows(request, row_type)).rows
        return rows

    async def page(self, request: Request, row_type: RowType) -> Any:
        """Return the page of one request: rows, number of all rows and next link. Raises GatewayError."""
        response = await self.requests.send(check_length(request))
        return await self.decoder.page(response, row_type)

    async def pages(
        self, request: Request, row_type: RowType
    ) -> AsyncIterator[tuple[Request, list[Any], int | None, str | None]]:
        """Yield page after page: its request, rows, number of all rows and next link. Raises GatewayError."""
        rows = empty = 0
        while True:
            page = await self.page(request, row_type)
            self.count(request, len(page.value))
            yield request, page.value, page.count, page.next
            if page.next is None:
                return
            rows += len(page.value)
            empty = 0 if page.value else empty + 1
            self.check_limits(rows, empty)
            request = self.requests.next_page(request, page.next)

    def count(self, request: Request, rows: int) -> None:
        """Count the rows of an answer, once however often it is read."""
        identity = identity_of(request)
        if identity not in self._counted:
            self._counted.add(identity)
            self.rows_read += rows
            if self.requests.trace is not None:
                self.requests.trace.add_rows(request, rows)

    def _spend(self, rows: int) -> None:
        """Count rows that are read to be filtered here. Raises BudgetExceeded."""
        self.filtered_rows += rows
        if self.filtered_rows > self.max_filtered_rows:
            raise BudgetExceeded(
                f"The operation has read more than {self.max_filtered_rows:,} rows to filter them in the gateway:"
                " text that holds a star cannot be searched upstream.",
                hint="Add a filter that the upstream can answer, or raise D365_MAX_FILTERED_ROWS.",
            )

    def check_limits(self, rows: int, empty: int) -> None:
        """Raise GatewayError if a list has too many rows, or its server sends nothing but links."""
        if rows >= self.max_rows:
            raise UpstreamTruncated(
                f"The list has more than the {self.max_rows:,} rows that one request may follow.",
                hint="Filter more narrowly, or raise D365_MAX_ROWS.",
            )
        if empty > MAX_EMPTY_PAGES:
            raise UpstreamMalformed(
                f"The upstream sent {empty} empty pages in a row, each with a link to a next one."
            )
