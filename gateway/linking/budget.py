"""Limits how much the public link page may cause: so many steps at a time, and a minute, in each process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .problems import busy

AT_ONCE = 8
PER_MINUTE = 120
_MINUTE = 60.0


class Budget:
    """Counts the steps that send requests. Tests replace ``now``, a monotonic clock in seconds."""

    def __init__(
        self,
        at_once: int | None = None,
        per_minute: int | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_once = AT_ONCE if at_once is None else at_once
        self._per_minute = PER_MINUTE if per_minute is None else per_minute
        self._now = now
        self._running = 0
        self._begun: deque[float] = deque()

    @contextmanager
    def step(self) -> Iterator[None]:
        """Admit a step for as long as the block lasts. Raises LinkError."""
        now = self._now()
        while self._begun and self._begun[0] <= now - _MINUTE:
            self._begun.popleft()
        if self._running >= self._at_once or len(self._begun) >= self._per_minute:
            raise busy()
        self._begun.append(now)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
