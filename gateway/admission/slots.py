"""The slots of one service and credential: who is under way, who waits, who is next. Pure: time comes in as numbers.

may begin    fewer under way than the limit · writes at most half of it · background work at most its share
ended        limit and share learn from what came of it; the next ones begin
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Generic, TypeVar

from msgspec import Struct

from .background import BackgroundShare
from .cautious_limit import CautiousLimit
from .controller import Limit
from .latencies import Latencies
from .queue import FairQueue, Waiting
from .work import Lane, Work

URGENT = frozenset({Lane.INTERACTIVE, Lane.FEDERATION})
"""Lanes in which people wait."""
BACKGROUND = frozenset({Lane.SUBSCRIPTION, Lane.EXPORT})
"""Lanes in which nobody waits for a single request."""
FIRST_HOLD, LONGEST_HOLD = 0.05, 1.0
"""Seconds for which nothing is sent after a refusal while nothing is under way; each one in a row doubles them."""
USED = 0.8
"""Share of the limit that must be under way before it grows."""
MEMORY = 20
"""Answers of which an average is taken, about."""
T = TypeVar("T", bound=Waiting)


class Outcome(Enum):
    """What came of a request."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """429, 503, or no answer in time: too much for the service."""
    OTHER = "other"
    """Says nothing about the service's capacity: a lost connection, a cancelled request."""


class Sent(Struct, frozen=True, kw_only=True):
    """A request that has ended."""

    work: Work
    is_write: bool
    kind: str
    """Requests of one kind take about as long."""
    outcome: Outcome
    waited: float = 0.0
    """Seconds before it was sent."""
    seconds: float = 0.0
    """Seconds from then on."""
    pause: float = 0.0
    """Seconds for which the service stops everybody."""


class Slots(Generic[T]):
    """Slots, of which requests hold one each while they are under way."""

    def __init__(self, weights: Mapping[Lane, float], *, start: int, highest: int) -> None:
        self.limit: Limit = CautiousLimit(start=start, highest=highest)
        self._weights = weights
        self.latencies = Latencies()
        self.queue: FairQueue[T] = FairQueue(weights)
        self.under_way = 0
        self.held_until = float("-inf")
        """Until then nothing is sent: the one that was under way was refused, and the next would be as well."""
        self._holds = 0
        """In a row."""
        self._writes = 0
        self._background = 0
        self._share = BackgroundShare(self.limit.value)
        self._background_limit = highest
        self._background_mean = 0.0
        """Moving average of the seconds of a background request."""

    def begins(self, work: Work, *, is_write: bool, now: float) -> bool:
        """Return whether a request may begin at once; it then holds a slot."""
        if work.lane in URGENT:
            self._share.urgent_began(now)
        if self.queue.size and self.queue.has(work.lane, is_write=is_write):
            return False
        if self.under_way >= int(self.limit.value) or self.is_held(now):
            return False
        if work.lane in BACKGROUND:
            self._background_limit = self._share.allowed(now, int(self.limit.value))
        if not self._may_go(work.lane, is_write):
            return False
        self._take(work.lane, is_write)
        return True

    def ended(self, sent: Sent, now: float) -> None:
        """Free the slot of a request, and learn from what came of it."""
        under_way = self.under_way
        self.under_way -= 1
        self._writes -= sent.is_write
        background = self._background
        self._background -= sent.work.lane in BACKGROUND
        if sent.outcome is Outcome.REFUSED:
            self.limit.refused(now, self.under_way, self.latencies.pressure, sent.pause)
            if not self.under_way:
                self.held_until = now + min(FIRST_HOLD * 2**self._holds, LONGEST_HOLD)
                self._holds = min(self._holds + 1, 8)
            return
        if sent.outcome is Outcome.ANSWERED and sent.seconds >= 0.0:
            self._holds = 0
            ratio = self.latencies.observe(sent.kind, sent.seconds, now)
            limit = int(self.limit.value)
            is_used = under_way >= limit * USED or (
                self.queue.size > 0 and self._share.needs_more(limit)
            )
            if is_used:
                self.limit.answered(
                    now, self.latencies.pressure, is_used=True, to_calm=self.latencies.to_calm
                )
            else:  # neither is looked at
                self.limit.answered(now, 1.0, is_used=False)
            if sent.work.lane in BACKGROUND:
                mean = self._background_mean or sent.seconds
                self._background_mean = mean + (sent.seconds - mean) / MEMORY
            if sent.work.lane in URGENT and not sent.is_write:
                ratio *= 1 + sent.waited / max(sent.seconds, 0.0001)
                self._share.urgent_ended(ratio, background, self.limit.value)

    def is_held(self, now: float) -> bool:
        """Return whether nothing is to be sent for a moment."""
        return 0.0 < self.held_until - now <= LONGEST_HOLD

    def release(self) -> None:
        """End that moment."""
        self.held_until = float("-inf")

    def rate(self, lane: Lane) -> float:
        """Return how many waiting requests of a lane begin in a second; 0: nothing was answered yet."""
        mean = self.latencies.mean
        if not mean:
            return 0.0
        busy = [other for other in Lane if other is lane or self.queue.size_of(other)]
        share = self._weights[lane] / sum(self._weights[other] for other in busy)
        rate = max(1.0, self.limit.value) / mean * share
        if lane in BACKGROUND and self._background_mean:
            rate = min(rate, self._background_limit / self._background_mean)
        return rate

    def next(self, now: float) -> Iterator[T]:
        """Yield those that waited and may begin now; each holds a slot."""
        if self.is_held(now):
            return
        limit = int(self.limit.value)
        self._background_limit = self._share.allowed(now, limit)
        while self.queue.size and self.under_way < limit:
            item = self.queue.pop(self._may_go)
            if item is None:
                return
            self._take(item.work.lane, item.is_write)
            yield item

    def _may_go(self, lane: Lane, is_write: bool) -> bool:
        if is_write and self._writes >= max(1, int(self.limit.value) // 2):
            return False
        return lane not in BACKGROUND or self._background < self._background_limit

    def _take(self, lane: Lane, is_write: bool) -> None:
        self.under_way += 1
        self._writes += is_write
        self._background += lane in BACKGROUND
