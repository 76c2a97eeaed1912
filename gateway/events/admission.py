"""Events of admission, which are part of the union ``Event``."""

from __future__ import annotations

import msgspec


class LimitLowered(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The environment refused a request, so fewer are sent at a time."""

    lane: str
    """Lane of the refused request."""
    limit: int
    """Requests that may be under way from now on."""
    under_way: int
    waiting: int
    """Requests that wait for their turn."""


class BreakerOpened(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """So many requests in a row had no answer that requests are refused at once, but for a probe now and then."""

    reason: str
    """Class of the last error."""
    pause: float
    """Seconds until the first probe."""


class BreakerClosed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The environment answers again, and requests are sent."""

    seconds: float
    """For which requests were refused."""


class LoopBehind(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The event loop of the process is late again and again: new operations are refused."""

    lag: float
    """Seconds by which it is late."""


class LoopCaughtUp(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The event loop is in time again, and operations are accepted."""

    seconds: float
    """For which they were refused."""
