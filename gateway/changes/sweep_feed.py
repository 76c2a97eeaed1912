"""A feed by sweeps: the whole list page by page, then what the sweeps since its cursor have found."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from gateway.store.sweep_rows import SweepHead

from .cursors import FeedCursor, SweepPlace
from .reading import RowReader, Rows
from .records import ChangedRow, Reason, RemovedRow, Source
from .step import Step, read_whole
from .sweeper import Sweeper
from .sweeps import Entry, is_chain, merged


class Swept(Struct, frozen=True, kw_only=True):
    """What the sweeps since a cursor have found, for one answer."""

    head: SweepHead
    place: SweepPlace | None
    """None: that is not known any more."""
    entries: Sequence[Entry] = ()
    has_more: bool = False


async def read_swept(sweeper: Sweeper, place: SweepPlace, first: int) -> Swept:
    """Return what comes after a place, after a sweep if that is due. Raises ReadFailed, GatewayError."""
    # What is being delivered is delivered to its end.
    head = await sweeper.last() if place.upto else await sweeper.head()
    upto = place.upto or head.number
    if upto == place.number:
        return Swept(head=head, place=place)
    logs = await sweeper.book.logs(sweeper.feed, place.number, upto)
    if not is_chain(logs, place.number, upto):
        return Swept(head=head, place=None)
    entries = merged(log for _, log in logs)
    done = place.done + first
    has_more = done < len(entries)
    following = SweepPlace(place.number, upto, done) if has_more else SweepPlace(upto)
    return Swept(head=head, place=following, entries=entries[place.done : done], has_more=has_more)


def removed_of(entries: Sequence[Entry]) -> list[RemovedRow]:
    """Return the rows that are gone."""
    reasons: dict[str, Reason] = {"D": "DELETED", "F": "FILTERED"}
    return [RemovedRow(each.id, reasons[each.found]) for each in entries if each.found in reasons]


def source_of(head: SweepHead, sweeper: Sweeper) -> Source:
    """Return by what the sweeps of a list find changes."""
    return "VALUES" if head.by_values or sweeper.by_values else "ETAGS"


class SweepFeed(Struct, frozen=True, kw_only=True):
    """The feed of one request."""

    reader: RowReader
    sweeper: Sweeper

    async def step(self, cursor: FeedCursor, first: int) -> Step:
        """Return what comes next. Raises ReadFailed, GatewayError."""
        if cursor.is_snapshot:
            # A sweep before the first page: what changes while the pages are read is found by the next one.
            head = await (self.sweeper.head() if cursor.sweep is None else self.sweeper.last())
            if cursor.sweep is None:
                cursor = replace(cursor, sweep=SweepPlace(head.number))
            step = await read_whole(self.reader, cursor, first)
            return replace(step, source=source_of(head, self.sweeper), lag=self._lag(head, step))
        assert cursor.sweep is not None
        swept = await read_swept(self.sweeper, cursor.sweep, first)
        source = source_of(swept.head, self.sweeper)
        if swept.place is None:
            return Step(cursor=cursor, resync=True, source=source)
        changed = [each for each in swept.entries if each.found in ("C", "U")]
        upserts, read = await self._read(changed)
        step = Step(
            cursor=replace(cursor, sweep=swept.place),
            upserts=upserts,
            removed=removed_of(swept.entries),
            has_more=swept.has_more,
            errors=read.errors,
            source=source,
        )
        return replace(step, lag=self._lag(swept.head, step))

    async def begin_now(self, cursor: FeedCursor) -> FeedCursor:
        """Return the cursor for what changes from now on. Raises ReadFailed, GatewayError."""
        head = await self.sweeper.head()
        return replace(cursor, is_snapshot=False, sweep=SweepPlace(head.number))

    def _lag(self, head: SweepHead, step: Step) -> float | None:
        if step.cursor.is_snapshot:
            return None
        return max(0.0, self.sweeper.now() - head.swept_at)

    async def _read(self, changed: Sequence[Entry]) -> tuple[list[ChangedRow], Rows]:
        """Return changed rows with what is selected of them; those that are gone meanwhile are left out."""
        if not changed or not self.reader.selection.rows:
            return [ChangedRow(each.kind, each.id, each.etag) for each in changed], Rows([], {})
        rows = await self.reader.by_ids([each.id for each in changed])
        numbers = [number for number, row in enumerate(rows.meta) if row is not None]
        upserts = []
        for number in numbers:
            row, each = rows.meta[number], changed[number]
            assert row is not None
            upserts.append(rows.complete(number, ChangedRow(each.kind, each.id, row.etag)))
        rows.errors = rows.errors_of(numbers)
        return upserts, rows
