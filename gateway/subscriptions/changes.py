"""Finds what has changed between two polls by comparing the rows that they read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct, field

from gateway.changes.records import Kind
from gateway.changes.stamps import parse_stamp
from gateway.errors import UnsupportedQuery


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


class StampState(Struct, frozen=True, array_like=True):
    """Where a poll by stamp continues."""

    last: datetime | None
    """The newest stamp so far."""
    seen: Mapping[str, tuple[datetime, str | None]]
    """Rows that will be read again, with the stamp and etag that they had."""


class ByEtag(Struct):
    """Compares the etags of all rows of a poll with those of the poll before."""

    _etags: Mapping[str, str] | None = None

    def take(self, rows: Iterable[PolledRow]) -> tuple[Change, ...]:
        """Return what has changed since the last poll; nothing at the first. Raises UnsupportedQuery."""
        before, now = self._etags, {row.id: _etag_of(row) for row in rows}
        self._etags = now
        if before is None:
            return ()
        changed = (
            Change(Kind.UPDATED if row in before else Kind.CREATED, row, etag)
            for row, etag in now.items()
            if before.get(row) != etag
        )
        deleted = (Change(Kind.DELETED, row, None) for row in before if row not in now)
        return (*changed, *deleted)

    def heard(self, changes: Iterable[Change]) -> tuple[Change, ...]:
        """Take changes that another replica has found; return those that are new here."""
        etags = dict(self._etags or {})
        new: list[Change] = []
        for change in changes:
            if change.kind is Kind.DELETED:
                is_new = etags.pop(change.id, None) is not None
            else:
                is_new = etags.get(change.id) != change.etag
                etags[change.id] = change.etag or ""
            if is_new:
                new.append(change)
        self._etags = etags
        return tuple(new)


def _etag_of(row: PolledRow) -> str:
    if row.etag is None:
        raise UnsupportedQuery(
            "These rows cannot be watched: they have neither a time of their last change nor etags.",
            hint="If a property has the time of the last change, name it in the setting subscriptions.stamps.",
        )
    return row.etag


class ByStamp(Struct):
    """Compares the rows whose stamp is newer than ``late`` seconds before the newest stamp of the poll before.

    Rows may become visible later than their stamp says, in the order in which transactions end.
    """

    late: float
    """Seconds."""
    last: datetime | None = None
    """The newest stamp so far."""
    _seen: dict[str, tuple[datetime, str | None]] = field(default_factory=dict)
    _began: bool = False

    def start(self, newest: str | None) -> None:
        """Begin with the stamp of the newest row; None if there are no rows."""
        self.last = parse_stamp(newest)

    def since(self, now: datetime) -> datetime | None:
        """Return the stamp from which rows are read; None for all rows. Stamps in the future count as ``now``."""
        return None if self.last is None else min(self.last, now) - timedelta(seconds=self.late)

    def take(self, rows: Iterable[PolledRow], now: datetime) -> tuple[Change, ...]:
        """Return what has changed since the last poll; nothing at the first."""
        since, newest = self.since(now), self.last
        changes: list[Change] = []
        for row in rows:
            at = parse_stamp(row.changed)
            # The etag tells two changes within one stamp apart: stamps may be whole seconds.
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

    def state(self) -> StampState:
        """Return where the next poll continues."""
        return StampState(self.last, dict(self._seen))

    def heard(self, changes: Iterable[Change], state: StampState) -> tuple[Change, ...]:
        """Take changes that another replica has found, and its state; return those that are new here."""
        new = tuple(c for c in changes if self._is_new(c, state))
        self.last, self._seen, self._began = state.last, dict(state.seen), True
        return new

    def _is_new(self, change: Change, state: StampState) -> bool:
        if change.id in state.seen:
            return self._seen.get(change.id) != state.seen[change.id]
        # Too old to be read again.
        return self.last is None or (state.last is not None and state.last > self.last)

    def _kind(self, row: PolledRow, since: datetime | None) -> Kind:
        if row.id in self._seen:
            return Kind.UPDATED
        created = parse_stamp(row.created)
        if created is None:
            return Kind.CHANGED
        return Kind.CREATED if since is None or created >= since else Kind.UPDATED

    def _forget(self, now: datetime) -> None:
        """Drop the rows that will be read again only if they change."""
        since = self.since(now)
        if since is not None:
            self._seen = {row: seen for row, seen in self._seen.items() if seen[0] >= since}
