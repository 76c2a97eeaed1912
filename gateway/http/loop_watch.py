"""Notices that the event loop of the process falls behind: then new operations are refused before any work.

    a timer twice a second, late by more than the limit twice in a row ──▶ behind ──▶ late by less than half of it: not

One late timer is no sign: a pause of the machine or of the garbage collector makes everything late once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

from gateway.errors import Overloaded
from gateway.events import Observer
from gateway.events.admission import LoopBehind, LoopCaughtUp

EVERY = 0.5
"""Seconds between two looks."""


class LoopWatch:
    """Whether the event loop is behind. Belongs to that loop, once it ``watches``."""

    def __init__(self, limit: float) -> None:
        """``limit``: seconds by which it may be late; 0: any."""
        self.is_behind = False
        """Whether new operations are refused."""
        self._limit = limit
        self._lag = 0.0
        self._is_suspicious = False
        self._since = 0.0

    @contextmanager
    def watching(self, observe: Observer) -> Iterator[None]:
        """Watch until the end of the block."""
        if not self._limit:
            yield
            return
        loop = asyncio.get_running_loop()
        due = 0.0
        timer: asyncio.TimerHandle

        def look() -> None:
            self.note(loop.time() - due, loop.time(), observe)
            begin()

        def begin() -> None:
            nonlocal due, timer
            due = loop.time() + EVERY
            timer = loop.call_at(due, look)

        begin()
        try:
            yield
        finally:
            timer.cancel()
            self.is_behind = False

    def note(self, lag: float, now: float, observe: Observer) -> None:
        """Note by how many seconds a timer was late."""
        self._lag = lag
        if self.is_behind:
            if lag < self._limit / 2:
                self.is_behind = False
                observe(LoopCaughtUp(seconds=now - self._since))
        elif lag > self._limit and self._is_suspicious:
            self.is_behind, self._since = True, now
            observe(LoopBehind(lag=lag))
        self._is_suspicious = lag > self._limit

    def refusal(self) -> Overloaded:
        """Return the error of a request that arrives meanwhile."""
        return Overloaded(
            "The gateway has more to do than it can, and answers late.",
            hint="Try again after retryAfter seconds. Setting: max_loop_lag.",
            retry_after=float(max(1, ceil(self._lag))),
        )
