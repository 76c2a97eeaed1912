"""Pages of a list whose order no cursor can hold: a Guid or an enum in it, or no key at all.

Which way a list goes on is the dialect's ``unkeyed_paging``. The service's own next link is stable where positions are
not, but all that is taken from it is its ``$skiptoken``, and only where the link otherwise repeats the request: a
cursor holds the token, never an address, and is used in a request that is made here. A row in the middle of a page is
found by reading from the page's token on.

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
    """Read the page of a window without keyset. Raises GatewayError."""
    window, dialect = plan.window, fetcher.dialect
    assert window is not None
    if unkeyed_way(window, dialect) == "skip" or dialect.lower(query).residual is not None:
        return await _offset_page(fetcher, query, plan, window, raw=raw)
    linked = _LinkedPage(fetcher, query, plan, window)
    with _explaining_refusals(skips=linked.skips):
        return await linked.page()


@contextmanager
def _explaining_refusals(*, skips: bool) -> Iterator[None]:
    """Add to the refusal of a request with ``$skip`` which setting pages without it."""
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


def unkeyed_way(window: Window, dialect: Dialect) -> UnkeyedPaging:
    """Return how a window goes on; where positions are possible they serve what links cannot, the way back."""
    way = dialect.unkeyed_paging
    goes_back = window.backward or window.before is not None
    return "skip" if way == "auto" and goes_back else way


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
    full = more and ends_on_upstream_page(window, fetcher.dialect)
    asked = structs.replace(
        query,
        order=order_by(window.order, backward=False),
        skip=place.start or None,
        top=None if full else length + more,
        count=window.needs.total and total is None,
    )
    with _explaining_refusals(skips=place.start > 0):
        found = await fetcher.rows(asked, row_type, raw=raw, most=length if full else None)
    has_next = place.has_next or len(found.rows) > length or (full and found.more)
    rows = found.rows[:length]
    cursor = offset_cursors(window, place.start)
    return Page(rows, has_next, place.has_previous, found.total if total is None else total, cursor)


class _LinkedPage(Struct):
    """One page that goes on by next links, or by positions where none comes and the dialect lets it."""

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
            if places and base.token != start.token:
                places[-1] = base
            if len(rows) >= skipped + size and (link is not None or len(rows) > skipped + size):
                break
        if window.needs.total and total is None:
            total = await self.fetcher.count(self.query, self.plan.row_type)
        return self._made(rows[skipped:], places[skipped:], total, more=link is not None)

    def _start(self) -> Cursor:
        """Return the cursor from which to read. Raises UnsupportedQuery for one of the other direction."""
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
        return not self._links and not start.token and _read(start) > 0

    @property
    def _links(self) -> bool:
        return self.fetcher.dialect.unkeyed_paging == "links"

    def _skipped(self, start: Cursor) -> int:
        """Return how many rows that come must be passed over: those between the token and the cursor."""
        if start.token or self._links:
            return _read(start)
        return 0

    def _base(self, start: Cursor) -> Cursor:
        """Return the place at which the first row that comes stands: the token's, or that of the position sent."""
        if start.token:
            offset = (start.offset or 0) - start.read
            return structs.replace(start, offset=offset, read=0)
        return structs.replace(start, offset=None) if self._links else start

    def _request(self, start: Cursor) -> Request:
        window, fetcher = self.window, self.fetcher
        rows = window.size + self._skipped(start)
        asked = structs.replace(
            self.query,
            order=order_by(window.order, backward=window.backward),
            count=window.needs.total,
        )
        if not self._links:
            top = None if ends_on_upstream_page(window, fetcher.dialect) else rows + window.one_more
            asked = structs.replace(asked, top=top, skip=_read(start) if self.skips else None)
        request = fetcher.requests.to_request(fetcher.dialect.lower(asked), self.plan.row_type)
        request = structs.replace(request, headers=_preferring(request.headers, max(rows, 1)))
        return with_skip_token(request, start.token) if start.token else request

    def _next_base(self, base: Cursor, rows: int, request: Request, link: str | None) -> Cursor:
        """Return the place behind a page: its next link's token, else so many rows further."""
        behind = _moved(base, rows)
        token = None if link is None else self.fetcher.requests.skip_token(request, link)
        if token is None:
            return behind
        return structs.replace(behind, token=token, read=0)

    def _made(
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
        binding = self.window.binding

        def cursor(_row: Any, index: int) -> str:
            place = places[index]
            if place.token or place.backward:
                return link_cursor(binding, place)
            return offset_cursor(binding, place.offset or 0)

        return cursor


def _read(cursor: Cursor) -> int:
    """Return how many rows from its token on, or from the start of the list, a cursor has behind it."""
    if cursor.token:
        return cursor.read
    return 0 if cursor.offset is None else cursor.offset + 1


def _moved(cursor: Cursor, rows: int) -> Cursor:
    """Return the cursor of the row that stands so many rows behind another one."""
    offset = (-1 if cursor.offset is None else cursor.offset) + rows
    return structs.replace(cursor, offset=offset, read=cursor.read + rows if cursor.token else 0)


def _preferring(headers: Mapping[str, str], rows: int) -> Mapping[str, str]:
    return MappingProxyType({**headers, "Prefer": f"odata.maxpagesize={rows}"})
