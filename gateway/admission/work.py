"""For whom upstream requests are sent: a lane, a caller, and how long the caller waits at most.

The door of a request decides the lane once (``working``); the requests of its tasks read it from a context variable, so
that no layer in between has to pass it on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum

from msgspec import Struct


class Lane(IntEnum):
    """Kinds of work, the most urgent first."""

    INTERACTIVE = 0
    FEDERATION = 1
    SUBSCRIPTION = 2
    AGENT = 3
    EXPORT = 4


class Work(Struct, frozen=True, kw_only=True):
    """For whom a request is sent."""

    lane: Lane = Lane.INTERACTIVE
    caller: str = ""
    """Digest of the caller (``Caller.log_id``); empty: nobody in particular."""
    weight: float = 1.0
    """Share of the caller beside others of the same lane."""
    may_wait_until: float | None = None
    """End of the wait, by the event loop's clock; None: none but the operation's own end."""


ORDINARY = Work()
"""What is sent outside of any operation, or by a door that does not say more."""
_CURRENT: ContextVar[Work] = ContextVar("work", default=ORDINARY)


@contextmanager
def working(work: Work) -> Iterator[None]:
    """Do the current task's work, and that of the tasks it starts, for somebody."""
    token = _CURRENT.set(work)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_work() -> Work:
    """Return for whom the current task works."""
    return _CURRENT.get()
