"""How many requests may be under way: learned from what the service refuses, because nobody tells its capacity.

    refused (429, 503, no answer in time)   times 0.7, at most once a second;
                                            refused again in that second: as many as the service holds
    a limit-full of answers                 plus 1, if the limit is used and answers are not twice as slow as quick
                                            ones; a third of that near the limit that was refused before

A refusal that names a wait (``Retry-After``) stops everybody for so long. So it is not provoked again soon:

    after the wait                          half of that, because the service may have less capacity than before
    until the wait is a small share of      below the limit that was refused, unless and as long as answers are so much
    the time since                          quicker than then that there must be room

https://en.wikipedia.org/wiki/Additive_increase/multiplicative_decrease
"""

from __future__ import annotations

DECREASE = 0.7
HOLD = 1.0
"""Seconds between two decreases: refusals of one moment have one cause."""
SLOW = 2.0
"""Ratio to quick answers at which a higher limit would only lengthen the service's own queue."""
QUICKER = 0.8
"""Ratio to the answers before a refusal, below which the service has got room."""
NEAR = 0.85
"""Share of the refused limit above which the limit grows slowly."""
SLOWLY = 1 / 3
RESUME = 0.5
"""Part of the limit that is tried after a wait."""
PATIENCE = 60.0
"""A wait of one second is risked again after so many seconds."""


class Limit:
    """The limit of one service and credential. Times are seconds of any clock."""

    def __init__(self, *, start: int, highest: int, lowest: int = 1) -> None:
        self.value = float(max(lowest, min(start, highest)))
        self.highest = highest
        self._lowest = float(lowest)
        self._decreased_at = float("-inf")
        self._refused = float("inf")
        """The latest limit that was too high."""
        self._refused_pressure = 0.0
        self._resumes_at = float("-inf")
        """End of the wait."""
        self._retry_at = float("-inf")
        """Until then it is not tried again."""

    def answered(
        self,
        now: float,
        pressure: float,
        *,
        is_used: bool,
        to_calm: float = 1.0,  # noqa: ARG002 - see CautiousLimit
    ) -> None:
        """Grow a little, if the limit is used. ``pressure``, ``to_calm``: see ``Latencies``."""
        value = self.value
        # What is answered during a wait was sent before it.
        if not is_used or value >= self.highest or pressure > SLOW or now < self._resumes_at:
            return
        step, is_bounded = 1.0 / value, now < self._retry_at
        is_calm = pressure <= self._refused_pressure * QUICKER
        if is_bounded and not is_calm and value + step >= self._refused:
            return
        if not is_bounded and value > self._refused:
            self._refused = float("inf")
        if value > self._refused * NEAR:
            step *= SLOWLY
        self.value = min(value + step, float(self.highest))

    @property
    def is_beyond(self) -> bool:
        """Whether it is higher than the one that was refused, because answers are so much quicker."""
        return self.value > self._refused

    def learn_refused(self, refused: float, retry_at: float, pressure: float) -> None:
        """Take which limit others found too high, and until when it is not to be tried again.

        ``pressure``: of the answers here, if that is news.
        """
        if refused != self._refused:
            self._refused = refused
            self._refused_pressure = pressure
        self._retry_at = retry_at

    def refused(self, now: float, under_way: int, pressure: float, wait: float = 0.0) -> None:
        """Shrink; ``under_way`` are the others, and ``wait`` the seconds for which the service stops everybody."""
        elapsed = now - self._decreased_at
        self._refused = min(self.value, float(under_way + 1))
        self._resumes_at, self._retry_at = now + wait, now + PATIENCE * wait
        if elapsed >= HOLD or elapsed < 0:
            self._refused_pressure = pressure
            self.value *= DECREASE * RESUME if wait else DECREASE
            self._decreased_at = now
        else:
            self.value = min(self.value, float(under_way))
        self.value = max(self._lowest, self.value)
