"""How many requests may be under way: learned from what the service refuses, because nobody tells its capacity.

    refused (429, 503, no answer in time)   times 0.7, at most once a second;
                                            refused again in that second: as many as the service holds
    a limit-full of answers                 plus 1, if the limit is used and answers are not twice as slow as quick
                                            ones; a third of that near the limit that was refused before

A refusal that names a wait (``Retry-After``) stops everybody for so long. So it is not provoked again soon: the limit
stays below the one that was refused until the wait is a small share of the time since, or answers have become so much
quicker that there must be room. https://en.wikipedia.org/wiki/Additive_increase/multiplicative_decrease
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
        self._retry_at = float("-inf")
        """Until then it is not tried again."""

    def answered(self, now: float, pressure: float, *, is_used: bool) -> None:
        """Grow a little, if the limit is used."""
        value = self.value
        if not is_used or value >= self.highest or pressure > SLOW:
            return
        step = 1.0 / value
        if value > self._refused * NEAR:
            step *= SLOWLY
            if now < self._retry_at and value + step >= self._refused:
                if pressure > self._refused_pressure * QUICKER:
                    return
                self._refused_pressure = 0.0  # trusted once
                self._refused = float("inf")
        if value > self._refused:
            self._refused = float("inf")
        self.value = min(value + step, float(self.highest))

    @property
    def is_bounded(self) -> bool:
        """Whether a limit is known that was too high."""
        return self._refused < float("inf")

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
        self._retry_at = now + PATIENCE * wait
        if elapsed >= HOLD or elapsed < 0:
            self._refused_pressure = pressure
            self.value *= DECREASE
            self._decreased_at = now
        else:
            self.value = min(self.value, float(under_way))
        self.value = max(self._lowest, self.value)
