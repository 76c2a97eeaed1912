"""How many of the operations that may run are one caller's: all, until others come. Pure; the time is passed in.

A caller alone may use everything. Once others are there, each has an equal share, and who has more than that gets no
more unless as much stays free as the others may need soon: a share for one who was refused just now, else as much again
as it has.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable

REMEMBERED = 10.0
"""Seconds for which room is left for a caller who was refused."""
MAX_REFUSED = 1_000
"""Callers who are remembered for that."""


class CallerShares:
    """The operations of each caller."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: Counter[Hashable] = Counter()
        self._refused: OrderedDict[Hashable, float] = OrderedDict()

    def add(self, caller: Hashable, count: int) -> None:
        """Count operations that begin, or that have ended (a negative number)."""
        running = self._running.get(caller, 0) + count
        if running:
            self._running[caller] = running
        else:
            self._running.pop(caller, None)

    def refused(self, caller: Hashable, now: float) -> None:
        """Leave room for a caller who was refused."""
        self._refused[caller] = now
        self._refused.move_to_end(caller)
        if len(self._refused) > MAX_REFUSED:
            self._refused.popitem(last=False)

    def may_begin(self, caller: Hashable, free: int, now: float) -> bool:
        """Return whether a caller may run one more operation, if there is room for so many of anybody's."""
        # While less than half is used, nobody needs to be counted.
        if free * 2 > self._most:
            return True
        while self._refused and now - next(iter(self._refused.values())) > REMEMBERED:
            self._refused.popitem(last=False)
        others = (self._running.keys() | self._refused.keys()) - {caller}
        share = self._most // (len(others) + 1)
        if not others or self._running[caller] < max(1, share):
            return True
        return free > sum(self._needs(other, share) for other in others)

    def _needs(self, caller: Hashable, share: int) -> int:
        """Return how many operations more a caller may begin soon."""
        running = self._running[caller]
        left = max(0, share - running)
        return left if caller in self._refused else min(left, max(1, running))
