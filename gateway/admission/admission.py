"""The way to one service with one credential: whose request is next, and how many are under way.

    begins ──▶ True: sent at once      False: ``turn`` waits for its slot, in the order of the lanes (``slots``)
    ended                              frees the slot; limit and share of background work learn from what came of it

A request that would wait too long, or behind too many, is refused with OVERLOADED. A write is not: what it belongs to
may be half done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from math import ceil
from typing import Generic, TypeVar

from msgspec import Struct

from gateway.config.settings import Settings
from gateway.errors import Overloaded

from .breaker import Breaker
from .controller import Limit
from .pause import Pauses
from .slots import Outcome, Sent, Slots
from .work import Lane, Work

R = TypeVar("R")
ALIVE = 2.0
"""Seconds since the latest answer for which a service that refuses one request is known to answer others."""
FEWEST = 4
"""Refusals in a row that say something, however few may be under way."""


class Lanes(Struct, frozen=True, kw_only=True):
    """How requests are admitted: from the settings."""

    highest: int
    start: int
    weights: Mapping[Lane, float]
    queue: int
    """Most requests that wait in one lane."""
    breaker_failures: int = 0
    """Requests in a row without an answer, after which none are sent for a while; 0: all are."""
    breaker_pause: float = 5.0


def lanes_of(settings: Settings) -> Lanes:
    """Return how the settings say that requests are admitted."""
    options = settings.admission
    weights = {lane: getattr(options.weights, lane.name.lower()) for lane in Lane}
    return Lanes(
        highest=settings.concurrency,
        start=options.start,
        weights=weights,
        queue=options.queue,
        breaker_failures=options.breaker_failures,
        breaker_pause=options.breaker_pause,
    )


class _Waiter(Struct, eq=False):
    """A request that waits for its turn."""

    work: Work
    is_write: bool
    turn: asyncio.Future[None]
    is_queued: bool = True
    has_given_way: bool = False


class Admission(Generic[R]):
    """Admits the requests to one service with one credential. ``R`` is the type of its 429s."""

    def __init__(
        self, lanes: Lanes, now: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self.now = now
        self.pauses: Pauses[R] = Pauses(now, sleep)
        self.breaker = Breaker(lanes.breaker_failures, lanes.breaker_pause, now, sleep)
        self._slots: Slots[_Waiter] = Slots(lanes.weights, start=lanes.start, highest=lanes.highest)
        self._waits: Callable[[], None] | None = None
        self._lanes = lanes
        self._answered_at = float("-inf")
        self._refusals = 0
        """Since the latest answer."""
        self._under_way = 0
        """Most that were under way at one of these."""

    def begins(self, work: Work, *, is_write: bool) -> bool:
        """Return whether a request may begin at once; ``ended`` or ``give_back`` must follow."""
        return self._slots.begins(work, is_write=is_write, now=self.now())

    async def turn(self, work: Work, *, is_write: bool) -> None:
        """Wait until a request may begin; likewise. Raises Overloaded."""
        queue = self._slots.queue
        if not is_write and queue.size_of(work.lane) >= self._lanes.queue:
            self._make_room(work)
        loop = asyncio.get_running_loop()
        waiter = _Waiter(work, is_write, loop.create_future())
        queue.push(waiter)
        if self._waits is not None:
            self._waits()
        try:
            if work.may_wait_until is None or is_write:
                await waiter.turn
            else:
                async with asyncio.timeout_at(work.may_wait_until):
                    await waiter.turn
        except TimeoutError:
            self._leave(waiter)
            raise self.refusal(self.estimate(work)) from None
        except BaseException:
            self._leave(waiter)
            raise

    def _make_room(self, work: Work) -> None:
        """Refuse the newest read of the caller with the most in place of another. Raises Overloaded for that."""
        queue = self._slots.queue
        last = queue.last_of_longest(work)
        if last is None:
            raise self.refusal(self.estimate(work))
        # One that is done has been given up, and leaves by itself.
        if not last.turn.done():
            queue.remove(last)
            last.is_queued, last.has_given_way = False, True
            last.turn.set_exception(self.refusal(self.estimate(last.work)))

    def _leave(self, waiter: _Waiter) -> None:
        if waiter.is_queued:
            self._slots.queue.remove(waiter)
        elif not waiter.has_given_way:  # its turn came while it was given up
            self.give_back(waiter.work, is_write=waiter.is_write)

    def give_back(self, work: Work, *, is_write: bool) -> None:
        """Free the slot of a request that was not sent."""
        self.ended(Sent(work=work, is_write=is_write, kind="", outcome=Outcome.OTHER))

    def ended(self, sent: Sent) -> None:
        """Free the slot of a request, and learn from what came of it."""
        now = self.now()
        if sent.outcome is Outcome.ANSWERED:
            self._answered_at = now
            self._refusals = 0
        slots = self._slots
        slots.ended(sent, now)
        if sent.outcome is Outcome.REFUSED and slots.is_held(now):
            # Nothing is under way whose end would let the others go on.
            asyncio.get_running_loop().call_later(slots.held_until - now, self._release)
        self.wake()

    def _release(self) -> None:
        """Let those go on who were held back, even if the clock is a little behind that of the event loop."""
        self._slots.release()
        self.wake()

    @property
    def limit(self) -> int:
        """Requests that may be under way."""
        return int(self._slots.limit.value)

    @property
    def under_way(self) -> int:
        """Requests that hold a slot."""
        return self._slots.under_way

    @property
    def waiting(self) -> int:
        """Requests that wait for one."""
        return self._slots.queue.size

    def share(self, limit: Limit, waits: Callable[[], None]) -> None:
        """Use a limit that is shared with other replicas; ``waits`` is called when a request has to wait."""
        self._slots.limit = limit
        self._waits = waits

    def divide(self, parts: int) -> None:
        """Use an equal part of the limit, as others that cannot be asked use the rest; at least one request."""
        lanes = self._lanes
        highest = max(1, lanes.highest // parts)
        if self._slots.limit.highest == highest:
            return  # divided before: what it has learned is right
        self._slots.limit = Limit(start=max(1, lanes.start // parts), highest=highest)

    def wake(self) -> None:
        """Let those go on for whom there are slots, as the limit has become larger or a slot free."""
        if not self._slots.queue.size:
            return
        for waiter in self._slots.next(self.now()):
            waiter.is_queued = False
            # One that is done was given up, and gives its slot back itself.
            if not waiter.turn.done():
                waiter.turn.set_result(None)

    def is_refused_alone(self) -> bool:
        """Return whether a 429 without a time means "fewer at a time": others were answered just now.

        If nobody is answered, or as many are refused as may be under way, it means "not now". Counts the refusal.
        """
        # Not the limit: with the first refusal it has shrunk, and those that were sent before are refused as well.
        under_way = self._slots.under_way
        self._under_way = max(self._under_way, under_way) if self._refusals else under_way
        self._refusals += 1
        is_alive = self.now() - self._answered_at <= ALIVE
        return is_alive and self._refusals <= max(FEWEST, self._under_way, self._slots.limit.value)

    @property
    def silence(self) -> float:
        """Seconds since the latest answer; -1: there was none."""
        return -1.0 if self._answered_at == float("-inf") else self.now() - self._answered_at

    def hear_answer(self, silence: float) -> None:
        """Note that another replica was answered so many seconds ago; less than 0: it was not."""
        answered_at = self.now() - silence
        if silence >= 0 and answered_at > self._answered_at:
            self._answered_at = answered_at
            self._refusals = 0

    def estimate(self, work: Work, requests: float = 1.0, identity: str | None = None) -> float:
        """Return the seconds until so many requests of a new operation would be answered, at the least.

        Callers of a lane take turns, so of what waits for others only as much is before it as each may have had.
        """
        pause, slots = self.pauses.remaining(identity), self._slots
        rate = slots.rate(work.lane) if slots.queue.size else 0.0
        if not rate:
            return pause
        return pause + (slots.queue.turns_before(work) + requests) / rate

    def is_busy(self, identity: str | None) -> bool:
        """Return whether a new operation may have to wait at all."""
        return self._slots.queue.size > 0 or self.pauses.remaining(identity) > 0.0

    def check(
        self,
        work: Work,
        remaining: float | None,
        requests: float,
        identity: str | None = None,
    ) -> None:
        """Raise Overloaded for an operation that cannot be answered in its remaining seconds; None: it has no end.

        ``requests``: how many it will probably send.
        """
        queue, most = self._slots.queue, self._lanes.queue
        # Of an operation with more of them the rest comes later: pages one after the other.
        needed = max(1, min(ceil(requests), most // 2))
        is_full = queue.size_of(work.lane) + needed > most
        if is_full and queue.last_of_longest(work, needed) is None:
            raise self.refusal(self.estimate(work, identity=identity))
        if work.may_wait_until is not None:
            seconds = self.estimate(work, identity=identity)
            excess = seconds - (work.may_wait_until - asyncio.get_running_loop().time())
            if excess > 0:
                raise self.refusal(excess)
        if remaining is not None:
            excess = self.estimate(work, requests, identity) - remaining
            if excess > 0:
                raise self.refusal(excess)

    def refusal(self, seconds: float) -> Overloaded:
        """Return the error of a request that would wait for so many seconds."""
        return Overloaded(
            "The environment is busy: the request would wait too long for its turn.",
            hint="Try again after retryAfter seconds, or request less at a time.",
            retry_after=float(max(1, ceil(seconds))),
        )
