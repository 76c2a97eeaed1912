"""From the arguments of ``changes`` to a feed: the list, its source, its cursor, and the next step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from gateway.errors import BadArgument, PageLimitExceeded
from gateway.operations.cursors import fingerprint
from gateway.planning.change_queries import ChangeQuery

from .cursors import FeedCursor, cursor_text, new_cursor, read_cursor
from .reading import RowReader
from .sources import NOW, ChangeSource
from .step import Step

if TYPE_CHECKING:
    from gateway.storage.sealing import Sealer

_encode = msgspec.json.Encoder(order="deterministic").encode


class Feed(Struct, frozen=True, kw_only=True):
    """The feed of one ``changes`` field."""

    reader: RowReader
    source: ChangeSource
    of: bytes
    """Fingerprint of set, filter and companies."""
    scope: bytes
    """Fingerprint of what the caller sees of them."""
    first: int
    sealer: Sealer | None = None
    completed: Callable[[Step], Awaitable[Step]] | None = None
    """Completes a step with the unified objects of its rows; None: there are none."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to know of its answers, in words."""
        source = self.source
        objects = () if self.completed is None else ("unified objects are then read by id",)
        return f"source {source.name}, guarantee {source.guarantee}", *source.notes, *objects

    def text(self, cursor: FeedCursor) -> str:
        """Return a cursor as clients get it."""
        return cursor_text(cursor, self.sealer)

    async def step(self, since: str | None) -> Step:
        """Return what comes after a cursor. Raises InvalidCursor, ReadFailed, GatewayError."""
        step = await self._step(since)
        return step if self.completed is None else await self.completed(step)

    async def _step(self, since: str | None) -> Step:
        source = self.source
        beginning = new_cursor(self.of, self.scope, source.name)
        if since == NOW:
            return await source.begin_now(beginning, self.first)
        if since is None:
            return await source.step(beginning, self.first)
        cursor = read_cursor(since, self.of, self.sealer)
        is_same = cursor.scope == self.scope and cursor.source == source.name
        if is_same and source.takes(cursor):
            step = await source.step(cursor, self.first)
            if not step.resync:
                return step
        # Rows that are missing now were not deleted.
        return Step(cursor=beginning, has_more=True, resync=True)


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
