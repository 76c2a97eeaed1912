"""Repeated entries are counted instead of written: a flood of refusals must not push other lines out of the files."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

_MAX_KEYS = 10_000


class Throttle:
    """Admits one entry of a key in ``seconds``, and ``most`` of all keys together."""

    def __init__(
        self, seconds: float, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._admitted: OrderedDict[Hashable, float] = OrderedDict()
        self._repeats: dict[Hashable, int] = {}
        self._window = float("-inf")
        self._count = 0
        self._surplus = 0

    def admit(self, key: Hashable) -> int | None:
        """Return how many entries of the key were not admitted since the last one; None if this one is not."""
        now = self._clock()
        if now - self._window >= self._seconds:
            self._window, self._count = now, 0
        last = self._admitted.get(key)
        if last is not None and now - last < self._seconds:
            self._repeats[key] = self._repeats.get(key, 0) + 1
            return None
        if self._count >= self._most:
            self._surplus += 1
            return None
        self._count += 1
        self._admitted[key] = now
        self._admitted.move_to_end(key)
        repeats = self._repeats.pop(key, 0) + self._surplus
        self._surplus = 0
        while len(self._admitted) > _MAX_KEYS:
            oldest, _ = self._admitted.popitem(last=False)
            self._surplus += self._repeats.pop(oldest, 0)
        return repeats
