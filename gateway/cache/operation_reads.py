"""The reads of one operation that others have made already, or make at this moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from msgspec import Struct, structs

from gateway.admission.work import current_work
from gateway.errors import (
    Overloaded,
    Unauthenticated,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.odata.upstream import ReadUpstream

from .answer_store import Key, StoredAnswer
from .environment_answers import EnvironmentAnswers
from .in_flight import Flight
from .touched_sets import TouchedSets

Send: TypeAlias = Callable[[Request], Awaitable[Response]]
Refused: TypeAlias = Callable[[Unauthenticated], None]
BUSY = (Overloaded, UpstreamThrottled, UpstreamTimeout, UpstreamUnavailable)
"""Errors of an environment that gives no answer now; an older one is better than none."""


class Reused(Struct, frozen=True):
    """An answer for which this operation sends nothing."""

    answer: asyncio.Future[Response]
    reason: str
    """Why, for a trace."""


class ReadSharing(Struct, frozen=True, kw_only=True):
    """What the operations over one model share with all others of the environment."""

    answers: EnvironmentAnswers
    touched: TouchedSets

    def reads(
        self,
        upstream: ReadUpstream,
        identity: str,
        until: float,
        *,
        fresh: bool = False,
        refused: Refused | None = None,
    ) -> OperationReads:
        """Return the reads of an operation; see ``OperationReads``."""
        return OperationReads(
            self.answers, self.touched, upstream, identity, until, fresh=fresh, refused=refused
        )


class OperationReads:
    """What one operation reads; ``age`` and ``is_stale`` tell of what it was answered with."""

    def __init__(
        self,
        answers: EnvironmentAnswers,
        touched: TouchedSets,
        upstream: ReadUpstream,
        identity: str,
        until: float,
        *,
        fresh: bool = False,
        refused: Refused | None = None,
    ) -> None:
        """``upstream`` takes what is read in the background, and knows nothing of the operation.

        ``identity``: equal for those who get the same answers from the environment. ``until``: when the operation must
        end, by the event loop's clock. ``fresh``: everything is sent. ``refused`` is called if a read that it has
        joined ends because the caller must sign in.
        """
        self.age: float | None = None
        """Seconds since the oldest of the cached answers that it uses was read; None if it uses none."""
        self.is_stale = False
        """Whether one of them is older than answers should be."""
        self.reused = 0
        """Reads that sent nothing."""
        self._reads = 0
        self._reads_of_cached_sets = 0
        self._answers = answers
        self._touched = touched
        self._upstream = upstream
        self._is_fresh = fresh
        self._identity = identity
        self._until = until
        self._begun: dict[asyncio.Future[Response], Flight] = {}
        self._refused = refused
        self._latest: tuple[Request | None, frozenset[str] | None] = (None, None)
        """The latest request, and its sets if its answer may be cached: each is looked at several times in a row."""
        self._next: tuple[Request | None, tuple[object, ...] | None] = (None, None)
        """The latest request that was looked for, and its key among those that are under way."""

    def find(self, request: Request) -> Reused | None:
        """Return an answer that is cached or under way; None if the request must be sent."""
        if self._is_fresh:
            return None
        sets = self._cached_sets(request)
        self._reads += 1
        if sets is not None:
            self._reads_of_cached_sets += 1
            stored = self._answers.get(self._key(request))
            if stored is not None:
                age = self._answers.age_of(stored)
                if age <= self._answers.options.ttl:
                    return self._use(stored, age)
                if age <= self._answers.oldest:
                    upstream = self._upstream
                    self._answers.refresh(self._key(request), sets, lambda: upstream.send(request))
                    return self._use(stored, age)
        if not self._answers.options.coalesce:
            return None
        key = self._flight_key(request)
        # If nobody reads it, it is begun next.
        self._next = request, key
        joined = self._answers.in_flight.join(key, self._until)
        if joined is None:
            return None
        self.reused += 1
        if self._refused is not None:
            joined.add_done_callback(self._note_refusal)
        if sets is not None and self._answers.elsewhere is not None:
            joined.add_done_callback(partial(self._note_shared, self._key(request)))
        return Reused(joined, "shared: another operation reads the same at this moment")

    def note_other(self) -> None:
        """Note a read of the operation that is never cached, such as a part of a ``$batch``."""
        self._reads += 1

    def may_be_shared(self, request: Request) -> bool:
        """Return whether another replica may have the answer, so that the request may not have to be sent."""
        return self._answers.elsewhere is not None and self._cached_sets(request) is not None

    def begin(self, request: Request, send: Send) -> asyncio.Future[Response]:
        """Send a request, whose answer others may join and which may be cached; return its future answer."""
        sets, reader = self._cached_sets(request), request.reader
        sent = request
        if reader is not None and sets is not None:
            # What is cached is read whole.
            sent = structs.replace(request, reader=None)
        reading = self._read(sent, send, sets)
        if self._is_fresh or not self._answers.options.coalesce:
            return asyncio.ensure_future(reading)
        found, key = self._next
        if found is not request or key is None:
            key = self._flight_key(request)
        flight = self._answers.in_flight.begin(key, reading, self._until)
        self._begun[flight.task] = flight
        if reader is not None:
            # Who joins later would get a part of the answer.
            reader.is_alone = partial(self._answers.in_flight.take_out, key, flight)
        return flight.task

    def may_be_cached(self, request: Request) -> bool:
        """Return whether the answer to a request may be kept for later operations."""
        return self._cached_sets(request) is not None

    def is_joined(self, answer: asyncio.Future[Response]) -> bool:
        """Return whether other operations have joined a read that this one began."""
        flight = self._begun.get(answer)
        return flight is not None and flight.was_joined

    def give_up(self, answer: asyncio.Future[Response]) -> None:
        """Stop to wait for an answer; its read ends unless other operations wait for it."""
        flight = self._begun.get(answer)
        if flight is None:
            answer.cancel()
        else:
            flight.leave()

    def to_json(self) -> dict[str, object] | None:
        """Return ``extensions.cache``; None if the operation uses no cached answer."""
        if self.age is None:
            return None
        return {"age": int(self.age), "stale": self.is_stale}

    @property
    def lifetime(self) -> float:
        """Seconds for which clients may use what was read, counted from the oldest answer; 0 if that is not known."""
        is_known = 0 < self._reads == self._reads_of_cached_sets
        return self._answers.options.ttl if is_known and not self.is_stale else 0.0

    async def _read(self, request: Request, send: Send, sets: frozenset[str] | None) -> Response:
        if sets is None:
            return await send(request)
        key = self._key(request)
        try:
            answer = await self._answers.read(
                key, sets, lambda: send(request), fresh=self._is_fresh
            )
        except BUSY:
            stored = self._answers.get(key)
            if stored is None or self._answers.age_of(stored) > self._answers.oldest_in_need:
                raise
            self._note(self._answers.age_of(stored))
            return stored.response
        if answer.is_shared:
            self._note(self._answers.age_of(answer))
        return answer.response

    def _use(self, stored: StoredAnswer, age: float) -> Reused:
        self.reused += 1
        self._note(age)
        future = asyncio.get_running_loop().create_future()
        future.set_result(stored.response)
        return Reused(future, f"from the cache: read {age:.0f} s ago")

    def _note(self, age: float) -> None:
        self.age = age if self.age is None else max(self.age, age)
        self.is_stale = self.is_stale or age > self._answers.options.ttl

    def _note_shared(self, key: Key, joined: asyncio.Future[Response]) -> None:
        """Note the age of an answer that another replica has read, and another operation has found."""
        stored = self._answers.get(key)
        if stored is not None and stored.is_shared and not joined.cancelled():
            self._note(self._answers.age_of(stored))

    def _note_refusal(self, joined: asyncio.Future[Response]) -> None:
        error = None if joined.cancelled() else joined.exception()
        if isinstance(error, Unauthenticated) and self._refused is not None:
            self._refused(error)

    def _cached_sets(self, request: Request) -> frozenset[str] | None:
        """Return the sets of a request whose answer may be cached; None for others."""
        cached = self._answers.cached
        if not cached:
            return None
        latest, sets = self._latest
        if latest is not request:
            touched = self._touched.of(request.url)
            sets = touched if touched is not None and touched <= cached else None
            self._latest = request, sets
        return sets

    def _key(self, request: Request) -> Key:
        identity, lane = self._identity, current_work().lane
        if lane in self._answers.apart:
            identity = f"{identity} {lane.name}"
        return (
            f"{self._answers.environment} {identity}",
            request.url,
            request.headers.get("Prefer", ""),
        )

    def _flight_key(self, request: Request) -> tuple[object, ...]:
        # What is less urgent must not hold up what is more urgent.
        return (*self._key(request), current_work().lane)
