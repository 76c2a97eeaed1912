"""The sources of changes: by what the changes of a list are found, and what is known of deleted rows.

    DELTA              the service tracks changes itself, with the rows that were deleted (``EXACT_DELETES``)
    STAMP, TWIN        times of changes, the list's own or those of another set over the same table
    ETAGS, VALUES      sweeps over the keys and etags, or the values, of all rows

The first of ``SOURCES`` that a list has is used. A cursor names its source, so a list that gets a better one begins
again (``resyncRequired``) instead of mixing the places of two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from msgspec import Struct

from gateway.config.change_models import ChangeOptions
from gateway.planning.twins import Twin
from gateway.request import GraphQLRequest

from .cursors import FeedCursor
from .delta_feed import DeltaFeed, TrackedList
from .reading import RowReader
from .records import Guarantee, Source
from .stamp_feed import StampFeed
from .step import Step
from .sweep_feed import SweepFeed, source_of
from .sweeper import Sweeper
from .swept_stamps import SweptStamps
from .twin_feed import TwinFeed, twin_reader

NOW = "now"


class FollowedList(Struct, frozen=True, kw_only=True):
    """A list that is followed, and what its sources are made of."""

    reader: RowReader
    options: ChangeOptions
    now: Callable[[], float]
    twin: Twin | None
    """Where the times of changes are, if the set does not have them itself."""
    tracked: TrackedList | None
    """If the service tracks its changes."""
    is_swept: bool
    """Whether deleted rows are to be noticed, even if the time of changes is known."""
    new_sweeper: Callable[[], Sweeper]


class ChangeSource(Protocol):
    """By what the changes of one list are found."""

    @property
    def name(self) -> Source:
        """Its name, as far as the first row need not be read for it."""
        ...

    @property
    def guarantee(self) -> Guarantee:
        """What is known of deleted rows."""
        ...

    @property
    def deletes_within(self) -> float | None:
        """Seconds after which deleted rows are noticed; None: at once, or not at all."""
        ...

    @property
    def how(self) -> str:
        """How changes are found, in words."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What else there is to know of answers, in words."""
        ...

    def first_requests(self, since: str | None, first: int) -> tuple[GraphQLRequest, ...]:
        """Return the operations that read what comes first, if it is not known yet."""
        ...

    def takes(self, cursor: FeedCursor) -> bool:
        """Return whether a cursor with the name of this source has the places that it needs."""
        ...

    async def begin_now(self, cursor: FeedCursor, first: int) -> Step:
        """Return the place of what changes from now on. Raises ReadFailed, GatewayError."""
        ...

    async def step(self, cursor: FeedCursor, first: int) -> Step:
        """Return what comes after a cursor. Raises ReadFailed, GatewayError.

        With ``resync`` if that is not known any longer.
        """
        ...


class _Deltas(Struct, frozen=True, kw_only=True):
    """The service's own change tracking."""

    feed: DeltaFeed

    name: Source = "DELTA"
    guarantee: Guarantee = "EXACT_DELETES"
    deletes_within: float | None = None

    @property
    def how(self) -> str:
        return f"{self.feed.reader.query.name}, by the service's change tracking"

    @property
    def notes(self) -> tuple[str, ...]:
        return ("the service tells the keys of changed rows", _BY_KEY)

    def first_requests(self, since: str | None, first: int) -> tuple[GraphQLRequest, ...]:  # noqa: ARG002 - of others
        reader = self.feed.reader
        return (reader.page_request(first, None, reader.where)[0],)

    def takes(self, cursor: FeedCursor) -> bool:  # noqa: ARG002 - all that have its name
        return True

    async def begin_now(self, cursor: FeedCursor, first: int) -> Step:
        return await self.feed.begin_now(cursor, first)

    async def step(self, cursor: FeedCursor, first: int) -> Step:
        return await self.feed.step(cursor, first)


class _Stamps(Struct, frozen=True, kw_only=True):
    """Times of changes, with sweeps if deleted rows are to be noticed."""

    reader: RowReader
    feed: StampFeed
    twin: Twin | None
    options: ChangeOptions
    sweeper: Sweeper | None

    @property
    def name(self) -> Source:
        return "STAMP" if self.twin is None else "TWIN"

    @property
    def guarantee(self) -> Guarantee:
        return "NONE" if self.sweeper is None else "DELETES_WITHIN"

    @property
    def deletes_within(self) -> float | None:
        return None if self.sweeper is None else self.options.sweep_interval

    @property
    def how(self) -> str:
        query = self.reader.query
        if self.twin is not None:
            return f"{query.name}, by {self.twin.query.stamp} of {self.twin.query.name}"
        return f"{query.name}, by {query.stamp}"

    @property
    def notes(self) -> tuple[str, ...]:
        return (
            f"an answer reads again what was changed in the {self.options.late:g} s before the newest change",
            *(() if self.sweeper is None else (_swept(self.options),)),
            *(() if self.twin is None else (_BY_KEY,)),
        )

    def first_requests(self, since: str | None, first: int) -> tuple[GraphQLRequest, ...]:
        requests = [] if self.sweeper is None else [self.sweeper.first_request()]
        if since in (None, NOW):
            requests.append(self.feed.stamps.newest_request())
        reader, by_stamp = self.feed.stamps, True
        if since is None:
            reader, by_stamp = self.reader, False
        request, _ = reader.page_request(first, None, reader.where, by_stamp=by_stamp)
        return (*requests, request)

    def takes(self, cursor: FeedCursor) -> bool:
        return (cursor.sweep is None) == (self.sweeper is None or cursor.is_new)

    async def begin_now(self, cursor: FeedCursor, first: int) -> Step:
        if self.sweeper is not None:
            cursor = await SweepFeed(reader=self.reader, sweeper=self.sweeper).begin_now(cursor)
        return Step(cursor=await self.feed.begin_now(cursor, first), lag=0.0)

    async def step(self, cursor: FeedCursor, first: int) -> Step:
        if self.sweeper is None:
            return await self.feed.step(cursor, first)
        swept = SweptStamps(reader=self.reader, stamps=self.feed, sweeper=self.sweeper)
        return await swept.step(cursor, first)


class _Sweeps(Struct, frozen=True, kw_only=True):
    """Sweeps over all rows."""

    reader: RowReader
    options: ChangeOptions
    sweeper: Sweeper

    guarantee: Guarantee = "DELETES_WITHIN"

    @property
    def name(self) -> Source:
        return "VALUES" if self.sweeper.by_values else "ETAGS"

    @property
    def deletes_within(self) -> float | None:
        return self.options.sweep_interval

    @property
    def how(self) -> str:
        return f"{self.reader.query.name}, by sweeps over all rows"

    @property
    def notes(self) -> tuple[str, ...]:
        return (_swept(self.options), _BY_KEY)

    def first_requests(self, since: str | None, first: int) -> tuple[GraphQLRequest, ...]:
        sweep = self.sweeper.first_request()
        if since is not None:
            return (sweep,)
        return sweep, self.reader.page_request(first, None, self.reader.where)[0]

    def takes(self, cursor: FeedCursor) -> bool:
        return (cursor.sweep is None) == cursor.is_new

    async def begin_now(self, cursor: FeedCursor, first: int) -> Step:  # noqa: ARG002 - of others
        cursor = await self._feed.begin_now(cursor)
        source = source_of(await self.sweeper.last(), self.sweeper)
        return Step(cursor=cursor, lag=0.0, source=source)

    async def step(self, cursor: FeedCursor, first: int) -> Step:
        return await self._feed.step(cursor, first)

    @property
    def _feed(self) -> SweepFeed:
        return SweepFeed(reader=self.reader, sweeper=self.sweeper)


_BY_KEY = "changed rows are then read by key"


def _swept(options: ChangeOptions) -> str:
    every = options.sweep_interval
    return (
        f"the keys of all rows are read at most every {every:g} s, once for all who follow the same"
    )


def _by_deltas(of: FollowedList) -> ChangeSource | None:
    if of.tracked is None:
        return None
    return _Deltas(feed=DeltaFeed(reader=of.reader, tracked=of.tracked))


def _by_stamps(of: FollowedList) -> ChangeSource | None:
    if of.twin is None and of.reader.query.stamp is None:
        return None
    reader, late = of.reader, of.options.late
    if of.twin is None:
        feed = StampFeed(reader=reader, stamps=reader, late=late, now=of.now)
    else:
        stamps = twin_reader(reader, of.twin)
        feed = TwinFeed(reader=reader, stamps=stamps, twin=of.twin, late=late, now=of.now)
    return _Stamps(
        reader=reader,
        feed=feed,
        twin=of.twin,
        options=of.options,
        sweeper=of.new_sweeper() if of.is_swept else None,
    )


def _by_sweeps(of: FollowedList) -> ChangeSource:
    return _Sweeps(reader=of.reader, options=of.options, sweeper=of.new_sweeper())


FindSource: TypeAlias = Callable[[FollowedList], ChangeSource | None]
SOURCES: tuple[FindSource, ...] = (_by_deltas, _by_stamps)
"""From the best one to the last; every list can be swept."""


def source_for(of: FollowedList) -> ChangeSource:
    """Return by what the changes of a list are found."""
    for find in SOURCES:
        source = find(of)
        if source is not None:
            return source
    return _by_sweeps(of)
