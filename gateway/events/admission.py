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
