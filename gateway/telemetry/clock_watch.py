"""Notices when the clock of the machine is set, or the machine slept: tokens, leases and stamps go by it.

The clock that only counts (``time.monotonic``) is not set with the other one, and stands still while a machine sleeps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.events import ClockJumped, Observer

EVERY = 5.0
"""Seconds between two looks."""
LEAST = 2.0
"""Seconds: clocks that are corrected little by little differ by less within ``EVERY``."""


class ClockWatch:
    """Compares two clocks. Tests replace ``now``."""

    def __init__(self, observe: Observer, now: Callable[[], float] = time.time) -> None:
        self._observe = observe
        self._now = now
        self._offset = self._now() - time.monotonic()

    def look(self) -> None:
        """Report a jump since the last look."""
        offset = self._now() - time.monotonic()
        jump, self._offset = offset - self._offset, offset
        if abs(jump) >= LEAST:
            self._observe(ClockJumped(seconds=round(jump, 1)))


@contextmanager
def watching_clock(observe: Observer) -> Iterator[None]:
    """Look at the clock now and then until the end of the block."""
    watch, loop = ClockWatch(observe), asyncio.get_running_loop()

    timers: list[asyncio.TimerHandle] = []

    def look() -> None:
        watch.look()
        timers[:] = [loop.call_later(EVERY, look)]

    look()
    try:
        yield
    finally:
        timers[0].cancel()
