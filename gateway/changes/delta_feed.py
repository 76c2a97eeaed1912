"""A feed by the service's own change tracking: the whole list page by page, then what its delta links tell.

Pages tell keys; the rows are then read by key, as everything that a caller sees is. A page with more keys than an
answer may have is read again for the next one: in the order of ids, so that none is passed over, and what follows it
stays what it was at first, so that what has changed meanwhile comes later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.admission.work import Work, working
from gateway.errors import GatewayError, InvalidCursor, UpstreamMalformed
from gateway.odata.change_tracking import (
    GoneRow,
    TrackedPage,
    by_link,
    is_link_of,
    read_page,
    tracked,
)
from gateway.odata.entity_id import key_of_address
from gateway.odata.key_filters import Column
from gateway.odata.query import Request
from gateway.odata.upstream import ReadUpstream

from .cursors import DeltaPlace, FeedCursor
from .reading import RowReader, Rows
from .records import ChangedRow, Kind, RemovedRow
from .step import Step

_GONE = 410


class TrackedList(Struct, frozen=True, kw_only=True):
    """A list whose changes the service tracks."""

    request: Request
    """Reads it, with its filter and all properties: a service may tell changes of selected ones only."""
    entity_set: str
    key: tuple[Column, ...]
    node_id: Callable[..., str]
    """Returns the id of a row, from the values of its key."""
    upstream: ReadUpstream
    root: str
    """The service root."""
    charge: Callable[[], None]
    """Takes the price of a page. Raises GatewayError."""
    work: Work
    """For whom it is read."""


class _Found(Struct, frozen=True):
    """What a page says of one row."""

    id: str
    gone: GoneRow | None = None


class DeltaFeed(Struct, frozen=True, kw_only=True):
    """The feed of one request."""

    reader: RowReader
    tracked: TrackedList

    async def begin_now(self, cursor: FeedCursor, first: int) -> Step:
        """Return the place of what changes from now on: the service tells it at the end of the list only.

        Raises GatewayError.
        """
        place = DeltaPlace()
        while True:
            page = await self._page(place, max(first, self.reader.page_size))
            place = DeltaPlace(page.link)
            if page.is_last:
                return Step(cursor=replace(cursor, is_snapshot=False, delta=place), lag=0.0)

    async def step(self, cursor: FeedCursor, first: int) -> Step:
        """Return what comes next. Raises ReadFailed, GatewayError."""
        place = cursor.delta or DeltaPlace()
        try:
            page = await self._page(place, first)
        except GatewayError as error:
            # The service no longer knows what has changed since.
            if error.upstream_status == _GONE and place.link:
                return Step(cursor=cursor, resync=True)
            raise
        # What a page says last of a row counts.
        found = {each.id: each for each in self._found(page) if each.id > place.after}
        taken = [found[each] for each in sorted(found)[:first]]
        rest = len(found) - len(taken)
        following = place.following or page.link
        is_last = place.is_last if place.following else page.is_last
        if rest:
            after = taken[-1].id
            place = replace(place, after=after, following=following, is_last=is_last)
        else:
            place = DeltaPlace(following)
        upserts, read = await self._read([each.id for each in taken if each.gone is None])
        is_end = is_last and not rest
        return Step(
            cursor=replace(cursor, is_snapshot=cursor.is_snapshot and not is_end, delta=place),
            upserts=upserts,
            removed=[
                RemovedRow(each.id, "DELETED" if each.gone.is_deleted else "FILTERED")
                for each in taken
                if each.gone is not None
            ],
            has_more=not is_end,
            lag=None if cursor.is_snapshot and not is_end else 0.0,
            errors=read.errors,
        )

    async def _page(self, place: DeltaPlace, rows: int) -> TrackedPage:
        of = self.tracked
        if place.link and not (
            is_link_of(place.link, of.entity_set)
            and is_link_of(place.following or of.entity_set, of.entity_set)
        ):
            raise InvalidCursor("since: this is not a cursor of these changes.")
        request = by_link(place.link, rows) if place.link else tracked(of.request, rows)
        spent = self.reader.spent
        spent.requests += (request,)
        of.charge()
        with working(of.work):
            response = await of.upstream.send(request)
        page = read_page(response, request, of.entity_set, of.root)
        spent.rows += len(page.rows)
        return page

    def _found(self, page: TrackedPage) -> list[_Found]:
        """Return what a page says of each row. Raises UpstreamMalformed."""
        return [
            *(_Found(self._id(row)) for row in page.rows),
            *(_Found(self._gone_id(gone), gone) for gone in page.gone),
        ]

    def _gone_id(self, gone: GoneRow) -> str:
        if not gone.address:
            return self._id(gone.values)
        key = key_of_address(gone.address, self.tracked.key)
        if key is None:
            raise UpstreamMalformed(
                "The upstream names a deleted row by an address that has not its key.",
                hint="Setting: changes.tracked without this entity set.",
            )
        return self.tracked.node_id(*(part.value.value for part in key))

    def _id(self, values: Mapping[str, Any]) -> str:
        try:
            return self.tracked.node_id(*(values[name] for name, _, _ in self.tracked.key))
        except KeyError as error:
            raise UpstreamMalformed("The upstream sent a changed row without its key.") from error

    async def _read(self, ids: list[str]) -> tuple[list[ChangedRow], Rows]:
        """Return changed rows with what is selected of them; those that are gone meanwhile come later as such.

        Also if nothing is selected: what a caller does not see is no change.
        """
        if not ids:
            return [], Rows([], {})
        rows = await self.reader.by_ids(ids)
        numbers = [number for number, row in enumerate(rows.meta) if row is not None]
        upserts = []
        for number in numbers:
            row = rows.meta[number]
            assert row is not None
            upserts.append(rows.complete(number, ChangedRow(Kind.CHANGED, ids[number], row.etag)))
        rows.errors = rows.errors_of(numbers)
        return upserts, rows
