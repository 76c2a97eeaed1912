"""When a request is sent again, and after what wait.

A small table and a formula instead of a retry library, because no library does all of this: stamina has one limit for
all failures and takes no clock; tenacity fits, but costs 28 µs for every request that succeeds.

    429, 503 with ``Retry-After: 7``     7 s and up to one more (all waiting clients must not come back at once)
    429 without it                       half to all of 30, 60, 120 s…: saturation lasts minutes
    429 without it while others          half to all of 1, 2, 4, 8 s: there were too many at a time
    are answered
    502, 503, 504, lost connections      anything up to 0.5, 1, 2, 4 s… (full jitter)
    no answer in time                    the same, but once only: the service may still be busy with the first

A wait that the service asks for is limited by the operation's deadline, other waits by ``retry_wait_max``; if the
service asks for more, the request fails at once with an error that says how long.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from enum import Enum

from msgspec import Struct

from gateway.process.context_value import ContextValue


class Failure(Enum):
    """Kinds of failure, by how they are retried; see the module's table."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    SLOW = "slow"
    THROTTLED = "throttled"
    REFUSED = "refused"
    """Throttled while others are answered."""


FIRST_WAIT = {
    Failure.TRANSIENT: 0.5,
    Failure.SLOW: 0.5,
    Failure.THROTTLED: 30.0,
    Failure.REFUSED: 1.0,
}
"""Seconds before the second attempt, at most."""
LONGEST_WAIT = 366 * 86_400.0
"""Seconds; a longer ``Retry-After`` is a mistake."""
_OPERATION_ENDS: ContextVar[float | None] = ContextVar("operation_ends", default=None)


def operation_ends_at(loop_time: float) -> AbstractContextManager[object]:
    """Limit the waits of the current task's requests to the end of its operation, by the event loop's clock."""
    return ContextValue(_OPERATION_ENDS, loop_time)


def remaining_time() -> float | None:
    """Return the seconds until the current task's operation ends; None outside an operation."""
    end = _OPERATION_ENDS.get()
    return None if end is None else end - asyncio.get_running_loop().time()


class Clock(Struct, frozen=True, kw_only=True):
    """Time and randomness, which tests replace."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random
    now: Callable[[], float] = time.time


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """How often a request is repeated, and after how long; see the module's table."""

    retries: int
    wait_max: float

    def wait(
        self,
        failure: Failure,
        attempt: int,
        retry_after: float | None,
        chance: float,
        allowed: float,
    ) -> float | None:
        """Return the seconds until the next attempt; None if there is to be none.

        ``attempt`` counts from 1, ``chance`` is a random number from 0 to 1, and ``allowed`` the most seconds that the
        service may ask for.
        """
        if failure is Failure.PERMANENT or attempt > self._max_retries(failure):
            return None
        if retry_after is not None:
            # The random second keeps waiting clients from coming back all at once.
            return min(retry_after + chance, allowed) if retry_after <= allowed else None
        if failure is Failure.THROTTLED:
            return self.pause(attempt, chance)
        if failure is Failure.REFUSED:
            chance = 0.5 + chance / 2
        return min(FIRST_WAIT[failure] * 2.0 ** (attempt - 1), self.wait_max) * chance

    def pause(self, attempt: int, chance: float) -> float:
        """Return the seconds for which nothing is sent after a 429 that names no time."""
        longest = min(FIRST_WAIT[Failure.THROTTLED] * 2.0 ** (attempt - 1), self.wait_max)
        return longest * (0.5 + chance / 2)

    def _max_retries(self, failure: Failure) -> int:
        return min(self.retries, 1) if failure is Failure.SLOW else self.retries


def retry_after(header: str | None, now: float) -> float | None:
    """``"120"`` → 120.0, ``"Fri, 31 Dec 1999 23:59:59 GMT"`` → seconds from ``now``; None if absent or malformed.

    RFC 9110 section 10.2.3, https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdecimal():
        seconds = float(text) if len(text) < 12 else LONGEST_WAIT + 1
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError, OSError):
            return None
    return max(0.0, seconds) if seconds <= LONGEST_WAIT else None
