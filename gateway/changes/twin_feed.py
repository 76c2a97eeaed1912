"""A feed by the stamps of a twin: its changed rows name those of the list, which are then read by their keys."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gateway.planning.twins import Twin

from .reading import RowReader, Rows, key_filters
from .records import ChangedRow
from .stamp_feed import Numbered, StampFeed
from .stamps import StampedRow


class TwinFeed(StampFeed, frozen=True, kw_only=True):
    """The feed of one request. ``stamps`` reads the twin, ``reader`` the list."""

    twin: Twin

    def _stamped(self, rows: Rows) -> list[StampedRow]:
        """Return the twin's rows as those of the list with the same keys."""
        return [replace(row, id=self.twin.id_of(self._key(row))) for row in rows.present]

    async def _completed(
        self, rows: Rows, new: Sequence[Numbered]
    ) -> tuple[list[ChangedRow], Rows]:
        """Read the rows of the list; those that do not match, or that the caller may not see, are left out."""
        if not new:
            return [], Rows([], {})
        changed = {row.id: row for _, row in new}
        if self.reader.where:
            present = rows.present
            keys = [self._key(present[number]) for number, _ in new]
            loaded = await self.reader.by_keys(key_filters(self.twin.key, keys))
        else:
            loaded = await self.reader.by_ids(list(changed))
        numbers = [n for n, row in enumerate(loaded.meta) if row is not None and row.id in changed]
        completed = []
        for number in numbers:
            row = loaded.meta[number]
            assert row is not None
            completed.append(loaded.complete(number, replace(changed[row.id], etag=row.etag)))
        loaded.errors = loaded.errors_of(numbers)
        return completed, loaded

    def _key(self, row: StampedRow) -> tuple[object, ...]:
        return row.key[: len(self.twin.columns)]


def twin_reader(reader: RowReader, twin: Twin) -> RowReader:
    """Return what reads the twin in the scope of the list's reader."""
    return replace(
        reader,
        query=twin.query,
        selection=replace(reader.selection, rows=()),
        where={},
        meta="".join(f" k{number}: {name}" for number, name in enumerate(twin.columns)),
    )
