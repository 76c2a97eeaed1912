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
    of: bytes
    """Fingerprint of set, filter and companies."""
    scope: bytes
    """Fingerprint of what the caller sees of them."""
    first: int
    options: ChangeOptions
    now: Callable[[], float]
    sealer: Sealer | None = None

    @property
    def source(self) -> Source:
        """By what its changes are found."""
        return "STAMP" if self.reader.query.stamp is not None else "TWIN"

    @property
    def guarantee(self) -> Guarantee:
        """What is known of deleted rows."""
        return "NONE"

    @property
    def how(self) -> str:
        """How its changes are found, in words."""
        name = self.reader.query.name
        if self.twin is not None:
            return f"{name}, by {self.twin.query.stamp} of {self.twin.query.name}"
        return f"{name}, by {self.reader.query.stamp}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to know of its answers, in words."""
        return (
            f"source {self.source}, guarantee {self.guarantee}",
            f"an answer reads again what was changed in the {self.options.late:g} s before the newest change",
            *(("changed rows are then read by key",) if self.twin is not None else ()),
        )

    def text(self, cursor: FeedCursor) -> str:
        """Return a cursor as clients get it."""
        return cursor_text(cursor, self.sealer)

    def _feed(self) -> StampFeed:
        reader, late = self.reader, self.options.late
        if self.twin is None:
            return StampFeed(reader=reader, stamps=reader, late=late, now=self.now)
        stamps = twin_reader(reader, self.twin)
        return TwinFeed(reader=reader, stamps=stamps, twin=self.twin, late=late, now=self.now)

    def first_requests(self, since: str | None) -> tuple[GraphQLRequest, ...]:
        """Return the operations that read what comes first."""
        stamps = self._feed().stamps
        reader = self.reader if since is None else stamps
        page, _ = reader.page_request(self.first, None, reader.where, by_stamp=since is not None)
        return (page,) if since not in (None, NOW) else (stamps.newest_request(), page)

    async def step(self, since: str | None) -> Step:
        """Return what comes after a cursor. Raises InvalidCursor, ReadFailed."""
        beginning = new_cursor(self.of, self.scope, self.source)
        feed = self._feed()
        if since is None:
            return await feed.step(beginning, self.first)
        if since == NOW:
            return Step(cursor=await feed.begin_now(beginning, self.first), lag=0.0)
        cursor = read_cursor(since, self.of, self.sealer)
        if cursor.scope != self.scope or cursor.source != self.source:
            # Rows that are missing now were not deleted.
            return Step(cursor=beginning, has_more=True, resync=True)
        return await feed.step(cursor, self.first)


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
