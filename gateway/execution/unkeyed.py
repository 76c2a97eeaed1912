"""Reads pages of lists whose order no cursor can hold: a Guid or an enum in it, or no key at all.

How such a list is continued is the dialect's ``unkeyed_paging``. The service's own next link is stable while positions
are not, but only its ``$skiptoken`` is used, and only if the link otherwise repeats the request: a cursor holds the
token, never an address, and the request is built here. A row in the middle of a page is found by reading from the
page's token on.

OData 4.01 Protocol 11.2.6.7 (server-driven paging) and 8.2.8.7 (maxpagesize),
https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part1-protocol.html#sec_ServerDrivenPaging.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from msgspec import Struct, structs

from gateway.errors import UnsupportedQuery, UpstreamRejected
from gateway.odata.dialect import Dialect, UnkeyedPaging
from gateway.odata.nextlink import with_skip_token
from gateway.odata.query import Query, Request
from gateway.operations.cursors import Cursor, link_cursor, offset_cursor
from gateway.operations.pages import MakeCursor, Page
from gateway.planning.page_window import (
    Window,
    ends_on_upstream_page,
    offset_cursors,
    order_by,
    span,
)
from gateway.planning.plan import ReadPlan

from .fetcher import Fetcher


async def unkeyed_page(fetcher: Fetcher, query: Query, plan: ReadPlan, *, raw: bool) -> Page:
    """Return the page of a window without keyset; ``raw``: its rows may stay JSON text. Raises GatewayError."""
    window, dialect = plan.window, fetcher.dialect
    assert window is not None
    if paging_method(window, dialect) == "skip" or dialect.lower(query).residual is not None:
        return await _offset_page(fetcher, query, plan, window, raw=raw)
    linked = _LinkedPage(fetcher, query, plan, window)
    with _explaining_refusals(skips=linked.skips):
        return await linked.page()


@contextmanager
def _explaining_refusals(*, skips: bool) -> Iterator[None]:
    """Add to the refusal of a request with ``$skip`` the setting that pages without it."""
    try:
        yield
    except UpstreamRejected as error:
        if not skips or error.hint is not None:
            raise
        raise UpstreamRejected(
            error.message,
            hint=(
                "This list goes on by position ($skip). If the service refuses that, set"
                ' unkeyed_paging = "links" (D365_UNKEYED_PAGING).'
            ),
            detail=error.detail,
            upstream_status=error.upstream_status,
            upstream_request_id=error.upstream_request_id,
        ) from error


def paging_method(window: Window, dialect: Dialect) -> UnkeyedPaging:
    """Return how a window is paged: links lead forwards only, so the way back goes by position if that is possible."""
    method = dialect.unkeyed_paging
    goes_back = window.backward or window.before is not None
    return "skip" if method == "auto" and goes_back else method


async def _offset_page(
    fetcher: Fetcher, query: Query, plan: ReadPlan, window: Window, *, raw: bool
) -> Page:
    row_type = plan.row_type
    total = None
    if window.backward and window.before is None:
        total = await fetcher.count(query, row_type)
    place = span(window, total)
    length = place.end - place.start
    more = window.needs.next and not window.backward and window.before is None
    fills = more and ends_on_upstream_page(window, fetcher.dialect)
    page_query = structs.replace(
        query,
        order=order_by(window.order, backward=False),
        skip=place.start or None,
        top=None if fills else length + more,
        count=window.needs.total and total is None,
    )
    with _explaining_refusals(skips=place.start > 0):
        result = await fetcher.rows(page_query, row_type, raw=raw, most=length if fills else None)
    has_next = place.has_next or len(result.rows) > length or (fills and result.more)
    rows = result.rows[:length]
    if total is None:
        total = result.total
    cursor = offset_cursors(window, place.start)
    return Page(rows, has_next, place.has_previous, total, cursor)


class _LinkedPage(Struct):
    """One page that is continued by next links, or by positions if there is none and the dialect allows it."""

    fetcher: Fetcher
    query: Query
    plan: ReadPlan
    window: Window

    async def page(self) -> Page:
        """Read until there are enough rows, or the upstream has no more."""
        window, start = self.window, self._start()
        size, skipped = window.size, self._skipped(start)
        rows: list[Any] = []
        places: list[Cursor] = []
        total: int | None = None
        link = None
        base = self._base(start)
        async for request, value, count, link in self.fetcher.pages.pages(
            self._request(start), self.plan.row_type
        ):
            total = count if total is None else total
            rows += value
            places += (_moved(base, number) for number in range(1, len(value) + 1))
            base = self._next_base(base, len(value), request, link)
            # The last row of a page that ends in a link is addressed by the link: nothing is read again after it.
            if places and base.token != start.token:
                places[-1] = base
            if len(rows) >= skipped + size and (link is not None or len(rows) > skipped + size):
                break
        if window.needs.total and total is None:
            total = await self.fetcher.count(self.query, self.plan.row_type)
        return self._page(rows[skipped:], places[skipped:], total, more=link is not None)

    def _start(self) -> Cursor:
        """Return the cursor from which to read. Raises UnsupportedQuery for a cursor of the other direction."""
        window = self.window
        cursor, other = window.after, window.before
        if window.backward:
            cursor, other = other, cursor
        if other is not None or (
            cursor is not None and cursor.backward != window.backward and self._links
        ):
            raise UnsupportedQuery(
                "This list goes on by the service's own links, which lead in one direction only.",
                hint="Use first with after, or last with before, and cursors of pages that were read in that way.",
            )
        return cursor or Cursor(offset=None, backward=window.backward)

    @property
    def skips(self) -> bool:
        """Whether the first request has ``$skip``. Raises UnsupportedQuery."""
        start = self._start()
        return not self._links and not start.token and _rows_before(start) > 0

    @property
    def _links(self) -> bool:
        return self.fetcher.dialect.unkeyed_paging == "links"

    def _skipped(self, start: Cursor) -> int:
        """Return how many of the first rows are dropped: those between the token and the cursor."""
        if start.token or self._links:
            return _rows_before(start)
        return 0

    def _base(self, start: Cursor) -> Cursor:
        """Return the place before the first row: that of the token, or of the position that is sent."""
        if start.token:
            offset = (start.offset or 0) - start.read
            return structs.replace(start, offset=offset, read=0)
        return structs.replace(start, offset=None) if self._links else start

    def _request(self, start: Cursor) -> Request:
        window, fetcher = self.window, self.fetcher
        rows = window.size + self._skipped(start)
        page_query = structs.replace(
            self.query,
            order=order_by(window.order, backward=window.backward),
            count=window.needs.total,
        )
        if not self._links:
            top = None if ends_on_upstream_page(window, fetcher.dialect) else rows + window.one_more
            page_query = structs.replace(
                page_query, top=top, skip=_rows_before(start) if self.skips else None
            )
        request = fetcher.requests.to_request(fetcher.dialect.lower(page_query), self.plan.row_type)
        request = structs.replace(request, headers=_prefer_page_size(request.headers, max(rows, 1)))
        return with_skip_token(request, start.token) if start.token else request

    def _next_base(self, base: Cursor, rows: int, request: Request, link: str | None) -> Cursor:
        """Return the place behind a page: the token of its next link, else so many rows further."""
        behind = _moved(base, rows)
        token = None if link is None else self.fetcher.requests.skip_token(request, link)
        if token is None:
            return behind
        return structs.replace(behind, token=token, read=0)

    def _page(
        self, rows: list[Any], places: list[Cursor], total: int | None, *, more: bool
    ) -> Page:
        window = self.window
        more = more or len(rows) > window.size
        rows, places = rows[: window.size], places[: window.size]
        if window.backward:
            rows.reverse()
            places.reverse()
            return Page(rows, window.before is not None, more, total, self._cursors(places))
        return Page(rows, more, window.after is not None, total, self._cursors(places))

    def _cursors(self, places: list[Cursor]) -> MakeCursor | None:
        if not self.window.needs.cursors:
            return None
        binding, sealer = self.window.binding, self.window.sealer

        def cursor(_row: Any, index: int) -> str:
            place = places[index]
            if place.token or place.backward:
                return link_cursor(binding, place, sealer)
            return offset_cursor(binding, place.offset or 0, sealer)

        return cursor


def _rows_before(cursor: Cursor) -> int:
    """Return the number of rows up to a cursor, from its token on or else from the start of the list."""
    if cursor.token:
        return cursor.read
    return 0 if cursor.offset is None else cursor.offset + 1


def _moved(cursor: Cursor, rows: int) -> Cursor:
    """Return the cursor of the row that stands so many rows behind another one."""
    offset = (-1 if cursor.offset is None else cursor.offset) + rows
    return structs.replace(cursor, offset=offset, read=cursor.read + rows if cursor.token else 0)


def _prefer_page_size(headers: Mapping[str, str], rows: int) -> Mapping[str, str]:
    return MappingProxyType({**headers, "Prefer": f"odata.maxpagesize={rows}"})
