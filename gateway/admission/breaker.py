"""Refuses requests at once while the service answers nobody: the breaker of one environment and credential.

    closed    requests are sent                 so many in a row without an answer ──▶ open
    open      requests are refused at once, with the time of the next probe         after that time ──▶ half open
    half open the first request is the probe, sent alone; the others are refused
              an answer of any kind ──▶ closed              no answer ──▶ open for twice as long

The wait is that of a 429 (``pause``), but nobody waits in it: who hears nothing from a service needs an answer now.
What belongs to a write is sent all the same, as half of it may be done; if it is answered, the way is free.

If the breaker of another replica opens, this one opens with its first request without an answer, and not before: the
other's way to the service may be the one that is broken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import ceil

from gateway.errors import UpstreamUnavailable

from .pause import Pause

LONGEST = 60.0
"""Longest time in seconds between two probes."""


class Breaker:
    """The breaker of one service with one credential. A request is identified by any object of its own."""

    def __init__(
        self,
        failures: int,
        pause: float,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """``failures``: requests in a row without an answer that open it (0: none); ``pause``: seconds to a probe."""
        self._most = failures
        self._shortest = pause
        self._pause: Pause[str] = Pause(now, sleep)
        self._failures = 0
        self._seconds = pause
        self._now = now
        self._since = 0.0
        self._warned_until = 0.0
        self.opened: Callable[[], None] = lambda: None
        """Called when it opens, for other replicas."""

    @property
    def is_open(self) -> bool:
        """Whether requests are refused, but for a probe now and then."""
        return self._pause.is_closed

    @property
    def is_warned(self) -> bool:
        """Whether it opens with the next request without an answer."""
        return self._now() < self._warned_until

    @property
    def remaining(self) -> float:
        """Seconds until the next probe; 0: it may be sent, or the breaker is closed."""
        return self._pause.remaining

    def blocks(self, request: object) -> bool:
        """Return whether a request may not be sent without ``enter``."""
        return self._pause.blocks(request)

    async def enter(self, request: object) -> None:
        """Let a request be the probe. Raises UpstreamUnavailable."""
        closed = await self._pause.wait(request, _nothing, waits=False)
        if closed is not None:
            raise self._refusal()

    def check(self) -> None:
        """Raise UpstreamUnavailable for an operation that would be refused with its first request."""
        if self._pause.is_closed and (self._pause.is_probed or self._pause.remaining > 0):
            raise self._refusal()

    def answered(self) -> float | None:
        """Note an answer of any kind; return for how many seconds the breaker was open, None: it was not."""
        self._failures, self._warned_until = 0, 0.0
        if not self._pause.is_closed:
            return None
        self._pause.reopen()
        self._seconds = self._shortest
        return max(0.0, self._now() - self._since)

    def failed(self, request: object, reason: str) -> float | None:
        """Note that a request got no answer; return the seconds to the first probe if that opens the breaker."""
        self._failures += 1
        if self._pause.is_closed:
            if not self._pause.blocks(request):
                self._seconds = min(self._seconds * 2, LONGEST)
                self._pause.close(request, reason, self._seconds)
            return None
        if not self._most or self._failures < (1 if self.is_warned else self._most):
            return None
        self._since = self._now()
        self._pause.close(request, reason, self._seconds)
        self.opened()
        return self._seconds

    def warn(self) -> None:
        """Open with the next request without an answer, unless one is answered before: another replica had none."""
        self._warned_until = self._now() + LONGEST

    def leave(self, request: object) -> None:
        """Let another request be the probe, if this one was and was given up."""
        self._pause.leave(request)

    def _refusal(self) -> UpstreamUnavailable:
        return UpstreamUnavailable(
            "The environment does not answer, so nothing is sent to it for now.",
            hint="Nothing was sent. Try again after retryAfter seconds: one request tries, and the others follow.",
            detail=f"{self._failures} requests in a row had no answer: {self._pause.refusal}",
            retry_after=float(max(1, ceil(self._pause.remaining))),
        )


def _nothing() -> float:
    return 0.0
