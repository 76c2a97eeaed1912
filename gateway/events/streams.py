"""Events of subscriptions and of the connections that carry them, which are part of the union ``Event``."""

from __future__ import annotations

import msgspec


class SubscriptionPolled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entity set was polled for changed rows, once for all subscribers to the same."""

    set: str
    seconds: float
    requests: int
    rows: int
    changes: int


class WatchFailed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A poll for changed rows failed. If ``over`` is true, its subscriptions ended."""

    set: str
    reason: str
    over: bool


class SubscriptionEnded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A subscription ended, by its client or by the gateway."""

    seconds: float
    changes: int
    reason: str | None
    """The error that ended it, if any."""


class SocketClosed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The gateway closed a WebSocket."""

    code: int
    reason: str
