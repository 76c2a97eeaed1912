"""A feed by stamps: the whole list page by page, then rounds over what is newer (``stamps`` says from where)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from .cursors import FeedCursor
from .reading import RowReader, Rows
from .records import ChangedRow
from .stamps import (
    StampedRow,
    StampPlace,
    conditions,
    end,
    newest_of,
    parse_stamp,
    start,
    take,
)
from .step import Step, read_whole

Numbered: TypeAlias = tuple[int, ChangedRow]
"""A row, with its number in its page."""
_MAX_PAGES = 10
"""Pages that are read for one answer because no row in them is new."""


class StampFeed(Struct, frozen=True, kw_only=True):
    """The feed of one request."""

    reader: RowReader
    """Reads the list."""
    stamps: RowReader
    """Reads stamps."""
    late: float
    """Seconds."""
    now: Callable[[], float]

    async def step(self, cursor: FeedCursor, first: int) -> Step:
        """Return what comes next. Raises ReadFailed."""
        if cursor.is_snapshot:
            if cursor.stamp is None:
                newest = await self.stamps.newest()
                cursor = replace(cursor, stamp=start(newest, self.now(), self.late))
            return await read_whole(self.reader, cursor, first)
        assert cursor.stamp is not None
        return await self._round(cursor, cursor.stamp, first)

    async def begin_now(self, cursor: FeedCursor, first: int) -> FeedCursor:
        """Return the cursor for what changes from now on. Raises ReadFailed."""
        place = start(await self.stamps.newest(), self.now(), self.late)
        place = replace(place, began=self.now())
        # Only to recognize these rows later.
        reader = replace(self.stamps, selection=replace(self.stamps.selection, rows=()))
        rows = await self._page(place, first, reader)
        stamped = self._stamped(rows)
        place, _ = take(place, stamped)
        top = place.newest if rows.has_more else newest_of(stamped)
        place = end(place, top, self.now(), self.late)
        return replace(cursor, is_snapshot=False, stamp=place)

    async def _round(self, cursor: FeedCursor, place: StampPlace, first: int) -> Step:
        if place.after is None:
            place = replace(place, began=self.now(), top=None, read=())
        for _ in range(_MAX_PAGES):
            rows = await self._page(place, first)
            if place.after is None and rows.has_more:
                # Before the first of several pages: see ``stamps``.
                place = replace(place, top=await self.stamps.newest())
                rows = await self._page(place, first)
            is_first = place.after is None
            stamped = self._stamped(rows)
            place, new = take(place, stamped)
            if not rows.has_more:
                top = newest_of(stamped) if is_first else place.top
                place = end(place, top, self.now(), self.late)
                break
            place = replace(place, after=rows.end)
            if new:
                break
        upserts, read = await self._completed(rows, new)
        return Step(
            cursor=replace(cursor, stamp=place),
            upserts=upserts,
            has_more=rows.has_more,
            lag=self._lag(stamped) if rows.has_more else 0.0,
            errors=read.errors,
        )

    def _stamped(self, rows: Rows) -> list[StampedRow]:
        """Return the rows of a page with their stamps."""
        return rows.present

    async def _completed(
        self, rows: Rows, new: Sequence[Numbered]
    ) -> tuple[list[ChangedRow], Rows]:
        """Return changed rows with what is selected of them, and the errors of that."""
        rows.errors = rows.errors_of([number for number, _ in new])
        return [rows.complete(number, row) for number, row in new], rows

    async def _page(self, place: StampPlace, first: int, reader: RowReader | None = None) -> Rows:
        reader = reader or self.stamps
        stamp = reader.query.stamp
        assert stamp is not None
        return await reader.page(first, place.after, conditions(place, stamp), by_stamp=True)

    def _lag(self, rows: Sequence[StampedRow]) -> float | None:
        last = parse_stamp(newest_of(rows))
        if last is None:
            return None
        return max(0.0, (datetime.fromtimestamp(self.now(), UTC) - last).total_seconds())
