"""How many background requests (exports, polls) may be under way, so that people do not notice them.

A service answers in the order of arrival, so a page of an export that waits there delays everybody behind it. No
priority of our own helps against that: there must be few enough of them. As LEDBAT does for downloads (RFC 6817), the
share of background work shrinks when urgent requests become slow, and grows otherwise, so that at most ``SLOWED`` of
them are.

What is slow is learned as well: urgent requests that have the service for themselves differ from each other, too.
"""

from __future__ import annotations

SLOWED = 0.025
"""Share of urgent requests that may be slowed."""
TOLERANCE = 1.15
"""An urgent request is slowed if it takes so many times what nearly all take without background work."""
DECREASE = 0.85
IDLE = 10.0
"""Seconds without urgent requests after which background work has the limit for itself."""
RESERVE = 0.25
"""Share of the limit that is left free for urgent requests."""
_NORMAL_QUANTILE = 0.95
_NORMAL_STEP = 0.05


class BackgroundShare:
    """The limit of background requests within the limit of all."""

    def __init__(self, limit: float) -> None:
        self._value = max(1.0, limit / 2)
        self._urgent_at = float("-inf")
        self._normal = 1.0
        """The 95th percentile of urgent requests' ratio to quick ones, with next to no background work."""

    def urgent_began(self, now: float) -> None:
        """Notice an urgent request."""
        self._urgent_at = now

    def urgent_ended(self, ratio: float, background: int, limit: float) -> None:
        """Take how slow an urgent request was, its wait included, beside so many background requests."""
        if background <= 1:
            up, down = _NORMAL_QUANTILE * _NORMAL_STEP, (1 - _NORMAL_QUANTILE) * _NORMAL_STEP
            self._normal = max(1.0, self._normal * (1 + up if ratio > self._normal else 1 - down))
        if ratio > self._normal * TOLERANCE:
            if background:
                self._value = max(1.0, self._value * DECREASE)
        elif self._value < limit:
            self._value += self._value * (1 - DECREASE) * SLOWED

    def allowed(self, now: float, limit: int) -> int:
        """Return how many background requests may be under way."""
        if now - self._urgent_at > IDLE or limit < 2:
            return limit
        return max(1, min(int(self._value), limit - _reserve(limit)))

    def needs_more(self, limit: int) -> bool:
        """Return whether only the limit of all keeps more background work from being done."""
        return int(self._value) >= limit - _reserve(limit)


def _reserve(limit: int) -> int:
    return max(1, round(limit * RESERVE))
