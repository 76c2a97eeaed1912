"""From the arguments of ``changes`` to a feed: the list, its source, its cursor, and the next step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from gateway.config.change_models import ChangeOptions
from gateway.errors import BadArgument, PageLimitExceeded
from gateway.operations.cursors import fingerprint
from gateway.planning.change_queries import ChangeQuery
from gateway.planning.twins import Twin
from gateway.request import GraphQLRequest

from .cursors import FeedCursor, cursor_text, new_cursor, read_cursor
from .reading import RowReader
from .records import Guarantee, Source
from .stamp_feed import StampFeed
from .step import Step
from .sweep_feed import SweepFeed, source_of
from .sweeper import Sweeper
from .swept_stamps import SweptStamps
from .twin_feed import TwinFeed, twin_reader

if TYPE_CHECKING:
    from gateway.storage.sealing import Sealer

NOW = "now"
_encode = msgspec.json.Encoder(order="deterministic").encode


class Feed(Struct, frozen=True, kw_only=True):
    """The feed of one ``changes`` field."""

    reader: RowReader
    twin: Twin | None = None
    """Where the times of changes are, if the set does not have them itself."""
    sweeper: Sweeper | None = None
    """Sweeps the list, if it has no times of changes or if deleted rows are to be noticed."""
    of: bytes
    """Fingerprint of set, filter and companies."""
    scope: bytes
    """Fingerprint of what the caller sees of them."""
    first: int
    options: ChangeOptions
    now: Callable[[], float]
    sealer: Sealer | None = None

    @property
    def has_stamps(self) -> bool:
        """Whether the time of changes is known."""
        return self.twin is not None or self.reader.query.stamp is not None

    @property
    def source(self) -> Source:
        """By what its changes are found, as far as the first row need not be read for it."""
        if self.has_stamps:
            return "TWIN" if self.reader.query.stamp is None else "STAMP"
        return "VALUES" if self.sweeper is not None and self.sweeper.by_values else "ETAGS"

    @property
    def guarantee(self) -> Guarantee:
        """What is known of deleted rows."""
        return "NONE" if self.sweeper is None else "DELETES_WITHIN"

    @property
    def how(self) -> str:
        """How its changes are found, in words."""
        name = self.reader.query.name
        if self.twin is not None:
            return f"{name}, by {self.twin.query.stamp} of {self.twin.query.name}"
        if self.has_stamps:
            return f"{name}, by {self.reader.query.stamp}"
        return f"{name}, by sweeps over all rows"

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to know of its answers, in words."""
        late, every = self.options.late, self.options.sweep_interval
        window = (
            f"an answer reads again what was changed in the {late:g} s before the newest change"
        )
        sweeps = f"the keys of all rows are read at most every {every:g} s, once for all who follow the same"
        return (
            f"source {self.source}, guarantee {self.guarantee}",
            *((window,) if self.has_stamps else ()),
            *((sweeps,) if self.sweeper is not None else ()),
            *(() if self.source == "STAMP" else ("changed rows are then read by key",)),
        )

    def text(self, cursor: FeedCursor) -> str:
        """Return a cursor as clients get it."""
        return cursor_text(cursor, self.sealer)

    def _stamps(self) -> StampFeed:
        reader, late = self.reader, self.options.late
        if self.twin is None:
            return StampFeed(reader=reader, stamps=reader, late=late, now=self.now)
        stamps = twin_reader(reader, self.twin)
        return TwinFeed(reader=reader, stamps=stamps, twin=self.twin, late=late, now=self.now)

    def first_requests(self, since: str | None) -> tuple[GraphQLRequest, ...]:
        """Return the operations that read what comes first, if it is not known yet."""
        requests: list[GraphQLRequest] = []
        if self.sweeper is not None:
            requests.append(self.sweeper.first_request())
        reader = self.reader
        if self.has_stamps:
            stamps = self._stamps().stamps
            reader = reader if since is None else stamps
            if since in (None, NOW):
                requests.append(stamps.newest_request())
        if since is None or self.has_stamps:
            by_stamp = since is not None
            requests.append(
                reader.page_request(self.first, None, reader.where, by_stamp=by_stamp)[0]
            )
        return tuple(requests)

    async def step(self, since: str | None) -> Step:
        """Return what comes after a cursor. Raises InvalidCursor, ReadFailed, GatewayError."""
        beginning = new_cursor(self.of, self.scope, self.source)
        if since == NOW:
            return await self._begin_now(beginning)
        if since is None:
            return await self._step(beginning)
        cursor = read_cursor(since, self.of, self.sealer)
        is_same = cursor.scope == self.scope and cursor.source == self.source
        if is_same and (cursor.sweep is None) == (self.sweeper is None or cursor.is_new):
            step = await self._step(cursor)
            if not step.resync:
                return step
        # Rows that are missing now were not deleted.
        return Step(cursor=beginning, has_more=True, resync=True)

    async def _step(self, cursor: FeedCursor) -> Step:
        if self.sweeper is None:
            return await self._stamps().step(cursor, self.first)
        if not self.has_stamps:
            return await SweepFeed(reader=self.reader, sweeper=self.sweeper).step(
                cursor, self.first
            )
        return await SweptStamps(
            reader=self.reader, stamps=self._stamps(), sweeper=self.sweeper
        ).step(cursor, self.first)

    async def _begin_now(self, cursor: FeedCursor) -> Step:
        source = None
        if self.sweeper is not None:
            feed = SweepFeed(reader=self.reader, sweeper=self.sweeper)
            cursor = await feed.begin_now(cursor)
        if self.has_stamps:
            cursor = await self._stamps().begin_now(cursor, self.first)
        elif self.sweeper is not None:
            source = source_of(await self.sweeper.last(), self.sweeper)
        return Step(cursor=cursor, lag=0.0, source=source)


def feed_where(query: ChangeQuery, where: object) -> Mapping[str, Any]:
    """Return the filter of a feed. Raises BadArgument."""
    if where is None:
        return {}
    if not isinstance(where, Mapping):
        hint = f"Use the argument where of {query.name}."
        raise BadArgument("where is not an object.", hint=hint)
    if query.where is None:
        raise BadArgument(f"{query.name} cannot be filtered.", hint="Omit where.")
    return where


def feed_companies(query: ChangeQuery, companies: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the company scope of a feed. Raises BadArgument."""
    if companies and not query.has_company:
        raise BadArgument(f"Rows of {query.name} have no company.", hint="Omit companies.")
    return tuple(companies) if companies else None


def feed_size(first: int | None, most: int) -> int:
    """Return the rows of an answer. Raises BadArgument, PageLimitExceeded."""
    if first is None:
        return most
    if first < 1:
        raise BadArgument(f"first is {first}; it must be at least 1.")
    if first > most:
        raise PageLimitExceeded(
            f"first is {first}; the limit is {most}.", hint="Continue with `cursor`."
        )
    return first


def feed_fingerprint(
    query: ChangeQuery,
    where: Mapping[str, Any],
    companies: Sequence[str] | None,
    tag: str,
) -> bytes:
    """Return eight bytes that identify set, filter and companies in an environment."""
    return fingerprint("changes", query.entity_set, _encode(where), companies, tag)
