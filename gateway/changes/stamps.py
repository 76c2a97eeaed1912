"""Follows a list by the stamps of its rows, so that nothing is lost if stamps become visible late. Pure.

A row is visible ``late`` seconds after its stamp at the latest, whatever the clocks of the servers that write stamps
say, and however long their transactions take. So after a round of reads in which the newest stamp was N

* no row will appear with a stamp before N - ``late``: the next round reads from there on, and rows that were delivered
  already are recognized by the digests in the cursor;
* ``late`` seconds after N was seen all rows up to N are visible: a round that begins then is the last one that reads
  them, and the next one reads what is newer than N only.

N is the newest stamp when a round begins: while later pages are read, older rows may become visible behind them. Too
many rows for digests are delivered again, at most until they are old enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from schema.operators import WhereOperator

from .records import ChangedRow, Kind

MAX_DIGESTS = 100
"""Rows that a cursor recognizes: 30 bytes each."""
_DIGEST = 8
_OLD = 3_600.0
"""Seconds after which a stamp is old even if the gateway's clock is wrong."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class StampedRow(Struct, frozen=True):
    """A row as it was read."""

    id: str
    etag: str | None = None
    changed: str | None = None
    created: str | None = None
    k0: str | None = None
    k1: str | None = None
    k2: str | None = None
    k3: str | None = None

    @property
    def key(self) -> tuple[str | None, ...]:
        """The values of up to four further columns."""
        return (self.k0, self.k1, self.k2, self.k3)


class Seen(Struct, frozen=True, array_like=True):
    """A row that was delivered, and will be read again."""

    stamp: int
    """Microseconds since the epoch."""
    digest: bytes


class StampPlace(Struct, frozen=True, array_like=True):
    """Where a feed by stamps continues. Times are seconds since the epoch by the gateway's clock."""

    low: str | None = None
    """The stamp from which the round reads; None: from the first row on."""
    is_settled: bool = False
    """Whether it reads newer stamps only."""
    newest: str | None = None
    """The newest stamp when the round before began."""
    seen_at: float = 0.0
    """When that one was seen first."""
    seen: tuple[Seen, ...] = ()
    began: float = 0.0
    """When the round began, if it has several pages."""
    after: str | None = None
    """Where the round continues; None: the next one begins."""
    top: str | None = None
    """The newest stamp when this round began."""
    read: tuple[Seen, ...] = ()
    """Rows of this round."""


def start(newest: str | None, now: float, late: float) -> StampPlace:
    """Return the place before everything that happens after ``newest`` was the newest stamp."""
    newest = _not_after(newest, now)
    is_old = _is_old(newest, now, late)
    low = newest if is_old else _before(newest, late)
    return StampPlace(low=low, is_settled=is_old, newest=newest, seen_at=now)


def conditions(place: StampPlace, stamp: str) -> dict[str, Any]:
    """Return the filter of a round, by the name of the stamp's field."""
    if place.low is None:
        return {}
    operator = WhereOperator.GT if place.is_settled else WhereOperator.GTE
    return {stamp: {operator.value: place.low}}


def take(
    place: StampPlace, rows: Iterable[StampedRow]
) -> tuple[StampPlace, list[tuple[int, ChangedRow]]]:
    """Return the place with the rows of a page, and those that are new, with their numbers."""
    seen = {each.digest for each in place.seen}
    read, new = list(place.read), list[tuple[int, ChangedRow]]()
    for number, row in enumerate(rows):
        digest = _digest(row)
        if digest not in seen:
            new.append((number, ChangedRow(_kind(row, place), row.id, row.etag)))
        if (at := parse_stamp(row.changed)) is not None:
            read.append(Seen((at - _EPOCH) // _MICROSECOND, digest))
    return replace(place, read=tuple(read[-MAX_DIGESTS:])), new


def end(place: StampPlace, top: str | None, now: float, late: float) -> StampPlace:
    """Return the place after a round. ``top``: the newest stamp when it began."""
    top = _not_after(top, now)
    newest, seen_at, low, settled = place.newest, place.seen_at, place.low, place.is_settled
    if _is_newer(top, newest):
        newest, seen_at = top, now
        earlier = _before(newest, late)
        if _is_newer(earlier, low):
            low, settled = earlier, False
    if newest is not None and (place.began >= seen_at + late or _is_old(newest, now, late)):
        low, settled = newest, True
    read = place.read
    floor = parse_stamp(low)
    if floor is not None:
        least = (floor - _EPOCH) // _MICROSECOND
        read = tuple(s for s in read if s.stamp > least or (s.stamp == least and not settled))
    return StampPlace(low=low, is_settled=settled, newest=newest, seen_at=seen_at, seen=read)


def newest_of(rows: Sequence[StampedRow]) -> str | None:
    """Return the newest stamp of rows."""
    stamped = [(at, row.changed) for row in rows if (at := parse_stamp(row.changed)) is not None]
    return max(stamped, key=lambda pair: pair[0])[1] if stamped else None


def _kind(row: StampedRow, place: StampPlace) -> Kind:
    created, low = parse_stamp(row.created), parse_stamp(place.low)
    if created is None or low is None:
        return Kind.CHANGED
    return Kind.CREATED if created >= low else Kind.UPDATED


def _digest(row: StampedRow) -> bytes:
    # The etag tells two changes within one stamp apart: stamps may be whole seconds.
    text = f"{row.id}\0{row.changed}\0{row.etag}"
    return blake2b(text.encode(), digest_size=_DIGEST).digest()


def _not_after(stamp: str | None, now: float) -> str | None:
    """Return a stamp, or now if it is in the future: a wrong one must not hide those that come."""
    at, limit = parse_stamp(stamp), datetime.fromtimestamp(now, UTC)
    return format_stamp(limit) if at is not None and at > limit else stamp


def _before(stamp: str | None, late: float) -> str | None:
    at = parse_stamp(stamp)
    try:
        return None if at is None else format_stamp(at - timedelta(seconds=late))
    except OverflowError:  # 0001-01-01, which stands for no time
        return None


def _is_old(stamp: str | None, now: float, late: float) -> bool:
    """Return whether everything up to a stamp has been visible for long."""
    at = parse_stamp(stamp)
    return at is not None and now - at.timestamp() >= late + _OLD


def _is_newer(stamp: str | None, other: str | None) -> bool:
    at, before = parse_stamp(stamp), parse_stamp(other)
    return at is not None and (before is None or at > before)


def parse_stamp(text: str | None) -> datetime | None:
    """Return a stamp such as ``"2024-05-01T10:00:00.1234567Z"``; None if it is absent or not a time."""
    if text is None:
        return None
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        return None
    return stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)


def format_stamp(at: datetime) -> str:
    """Return a time as a literal of filters."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
