"""A feed by stamps whose list is swept as well, so that deleted rows are noticed."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from gateway.operations.global_ids import parse_id
from schema.catalog.records import FieldKind

from .cursors import FeedCursor, SweepPlace
from .reading import RowReader, key_filters
from .records import RemovedRow
from .stamp_feed import StampFeed
from .step import Step
from .sweep_feed import read_swept, removed_of
from .sweeper import Sweeper

_PLAIN = frozenset({"String", "ID", "Int"})
"""Key values that filters take as ids hold them."""


class SweptStamps(Struct, frozen=True, kw_only=True):
    """The feed of one request: changed rows by stamps, those that are gone by sweeps."""

    reader: RowReader
    stamps: StampFeed
    sweeper: Sweeper

    async def step(self, cursor: FeedCursor, first: int) -> Step:
        """Return what comes next. Raises ReadFailed, GatewayError."""
        if cursor.sweep is None:
            # Before the first page: what is deleted while the pages are read is found by the next sweep.
            head = await self.sweeper.head()
            cursor = replace(cursor, sweep=SweepPlace(head.number))
        step = await self.stamps.step(cursor, first)
        if cursor.is_snapshot or step.has_more:
            return step
        assert cursor.sweep is not None
        swept = await read_swept(self.sweeper, cursor.sweep, first)
        if swept.place is None:
            return replace(step, resync=True)
        removed = await self._still_removed(removed_of(swept.entries))
        return replace(
            step,
            cursor=replace(step.cursor, sweep=swept.place),
            removed=removed,
            has_more=swept.has_more,
        )

    async def _still_removed(self, removed: Sequence[RemovedRow]) -> list[RemovedRow]:
        """Return the rows that are still not part of the list: one may have come back, and its stamp told so before."""
        catalog, query = self.sweeper.catalog, self.reader.query
        key = catalog.object(catalog.roots[query.name].csdl).key
        is_plain = all(f.kind is FieldKind.VALUE and f.type_name in _PLAIN for f in key)
        if not removed:
            return []
        reader = replace(self.reader, selection=replace(self.reader.selection, rows=()))
        if query.where is not None and is_plain:
            keys = [parse_id(row.id, catalog.tag)[1] for row in removed]
            rows = await reader.by_keys(key_filters([field.name for field in key], keys))
        else:
            rows = await reader.by_ids([row.id for row in removed if row.reason == "DELETED"])
        present = {row.id for row in rows.present}
        return [row for row in removed if row.id not in present]
