"""One step of a feed: what an answer brings, and where the next one continues."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from .cursors import FeedCursor
from .reading import RowError, RowReader
from .records import ChangedRow, Kind, RemovedRow, Source


class Step(Struct, frozen=True, kw_only=True):
    """What comes next in a feed."""

    cursor: FeedCursor
    upserts: Sequence[ChangedRow] = ()
    removed: Sequence[RemovedRow] = ()
    has_more: bool = False
    lag: float | None = None
    """Seconds."""
    errors: Sequence[RowError] = ()
    resync: bool = False
    source: Source | None = None
    """By what changes are found, if that is known only now."""


async def read_whole(reader: RowReader, cursor: FeedCursor, first: int) -> Step:
    """Return the next page of the whole list. Raises ReadFailed."""
    rows = await reader.page(first, cursor.after, {})
    upserts = [
        rows.complete(number, ChangedRow(Kind.CHANGED, row.id, row.etag))
        for number, row in enumerate(rows.present)
    ]
    if rows.has_more:
        cursor = replace(cursor, after=rows.end, pages=cursor.pages + 1)
    else:
        # What has changed while several pages were read comes next.
        cursor = replace(cursor, after=None, is_snapshot=False)
    return Step(
        cursor=cursor,
        upserts=upserts,
        has_more=rows.has_more or cursor.pages > 0,
        errors=rows.errors,
    )
