"""What has changed between two polls, told from the rows that they read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from msgspec import Struct, field

from gateway.errors import UnsupportedQuery


class Kind(StrEnum):
    """What became of a row."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    CHANGED = "CHANGED"
    """Created or updated."""
    DELETED = "DELETED"


class PolledRow(Struct, frozen=True):
    """A row that a poll read."""

    id: str
    etag: str | None = None
    changed: str | None = None
    """The stamp of its last change."""
    created: str | None = None


class Change(Struct, frozen=True):
    """A row that has changed."""

    kind: Kind
    id: str
    etag: str | None


class ByEtag(Struct):
    """Compares all rows of a poll with all rows of the one before."""

    _known: Mapping[str, str] | None = None

    def take(self, rows: Iterable[PolledRow]) -> tuple[Change, ...]:
        """Return what has changed since the last poll; nothing at the first. Raises UnsupportedQuery."""
        known, found = self._known, {row.id: _etag_of(row) for row in rows}
        self._known = found
        if known is None:
            return ()
        kept = (
            Change(Kind.UPDATED if row in known else Kind.CREATED, row, etag)
            for row, etag in found.items()
            if known.get(row) != etag
        )
        gone = (Change(Kind.DELETED, row, None) for row in known if row not in found)
        return (*kept, *gone)


def _etag_of(row: PolledRow) -> str:
    if row.etag is None:
        raise UnsupportedQuery(
            "These rows cannot be watched: they have neither a stamp of their last change nor etags.",
            hint="Where a property tells it, name it in the setting subscriptions.stamps.",
        )
    return row.etag


class ByStamp(Struct):
    """Takes the rows that were changed since the last poll, and ``late`` seconds before: those may come late."""

    late: float
    last: datetime | None = None
    """The newest stamp that was seen."""
    _seen: dict[str, tuple[datetime, str | None]] = field(default_factory=dict)
    _began: bool = False

    def start(self, newest: str | None) -> None:
        """Take the stamp of the newest row there is; None where there is no row."""
        self.last = parse_stamp(newest)

    def since(self, now: datetime) -> datetime | None:
        """Return the stamp from which on rows are read; None: all of them. A stamp of the future moves nothing."""
        return None if self.last is None else min(self.last, now) - timedelta(seconds=self.late)

    def take(self, rows: Iterable[PolledRow], now: datetime) -> tuple[Change, ...]:
        """Return what has changed since the last poll; nothing at the first."""
        since, newest = self.since(now), self.last
        changes: list[Change] = []
        for row in rows:
            at = parse_stamp(row.changed)
            if at is None or self._seen.get(row.id) == (at, row.etag):
                continue
            changes.append(Change(self._kind(row, since), row.id, row.etag))
            self._seen[row.id] = (at, row.etag)
            newest = at if newest is None else max(newest, at)
        self.last = newest
        self._forget(now)
        if self._began:
            return tuple(changes)
        self._began = True
        return ()

    def _kind(self, row: PolledRow, since: datetime | None) -> Kind:
        if row.id in self._seen:
            return Kind.UPDATED
        created = parse_stamp(row.created)
        if created is None:
            return Kind.CHANGED
        return Kind.CREATED if since is None or created >= since else Kind.UPDATED

    def _forget(self, now: datetime) -> None:
        """Drop the rows that will not be read again unless they change."""
        since = self.since(now)
        if since is not None:
            self._seen = {row: seen for row, seen in self._seen.items() if seen[0] >= since}


def parse_stamp(text: str | None) -> datetime | None:
    """Read a stamp: ``"2024-05-01T10:00:00.1234567Z"``. None where there is none, or no moment."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def format_stamp(at: datetime) -> str:
    """Print a moment as filters take it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
