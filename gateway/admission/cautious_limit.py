"""A limit that takes care not to be refused, as long as refusals may stop everybody (``Retry-After``).

A service that names a wait with each 429 costs as much as it could have done meanwhile. So until it has refused a
request without one:

    growth                        at most ``RISE`` a second, so that answers have time to show that there is no room;
                                  one a minute once they are slower than those of a calm service
    after a wait, for a while     below the limit that was refused, unless answers are as quick as ever;
                                  below the highest that was refused in any case

It is for a gateway that learns by itself. Of several replicas each sees a part of the answers, too late to be careful.
"""

from __future__ import annotations

from .controller import NEAR, PATIENCE, SLOW, SLOWLY, Limit

CALM = 1.05
"""Ratio to a calm service up to which answers are as quick as ever, so that there is room."""
BUSY = 1.2
"""Ratio from which on there probably is none: more requests would wait in the service."""
RISE = 3.0
"""Most by which the limit grows in a second."""
CREEP = 1 / 60
"""The same while the service is busy."""


class CautiousLimit(Limit):
    """The limit of one service and credential, learned by one process."""

    def __init__(self, *, start: int, highest: int, lowest: int = 1) -> None:
        super().__init__(start=start, highest=highest, lowest=lowest)
        self._may_stop = True
        """Whether refusals name waits, as far as is known."""
        self._ceiling = float("inf")
        """The highest limit that led to a wait."""
        self._ceiling_until = float("-inf")
        self._answered_at = float("inf")

    def answered(self, now: float, pressure: float, *, is_used: bool, to_calm: float = 1.0) -> None:
        """Grow a little, if the limit is used. ``pressure`` is not looked at: see ``Latencies.to_calm``."""
        del pressure
        elapsed, self._answered_at = max(0.0, now - self._answered_at), now
        value, step = self.value, 1.0 / self.value
        # What is answered during a wait was sent before it.
        if not is_used or value >= self.highest or now < self._resumes_at:
            return
        is_bounded = now < self._retry_at
        if to_calm > SLOW or (is_bounded and to_calm > CALM and value + step >= self._refused):
            return
        if now < self._ceiling_until and value + step >= self._ceiling:
            return
        if not is_bounded and value > self._refused:
            self._refused = float("inf")
        if value > self._refused * NEAR:
            step *= SLOWLY
        if self._may_stop:
            step = min(step, elapsed * (RISE if to_calm <= BUSY else CREEP))
        self.value = min(value + step, float(self.highest))

    def refused(self, now: float, under_way: int, pressure: float, wait: float = 0.0) -> None:
        """Shrink, and remember a limit that led to a wait."""
        self._may_stop = wait > 0
        refused = min(self.value, float(under_way + 1))
        if wait and (refused >= self._ceiling or now >= self._ceiling_until):
            self._ceiling, self._ceiling_until = refused, now + PATIENCE * wait
        super().refused(now, under_way, pressure, wait)
