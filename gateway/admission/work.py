"""For whom upstream requests are sent: a lane, a caller, and how long the caller waits at most.

The door of a request decides the lane once (``working``); the requests of its tasks read it from a context variable, so
that no layer in between has to pass it on.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar
from enum import IntEnum

from msgspec import Struct, structs

from gateway.process.context_value import ContextValue


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


class _Current(Struct):
    """The work of an operation, for all of its tasks."""

    work: Work


ORDINARY = Work()
"""What is sent outside of any operation, or by a door that does not say more."""
_CURRENT: ContextVar[_Current | None] = ContextVar("work", default=None)


def working(work: Work) -> AbstractContextManager[object]:
    """Do the current task's work, and that of the tasks it starts, for somebody until the end of the block."""
    return ContextValue(_CURRENT, _Current(work))


def current_work() -> Work:
    """Return for whom the current task works."""
    current = _CURRENT.get()
    return ORDINARY if current is None else current.work


def wait_to_the_end() -> None:
    """Let the current work's requests wait as long as they must from now on: half of what was begun must not stay."""
    current = _CURRENT.get()
    if current is not None and current.work.may_wait_until is not None:
        current.work = structs.replace(current.work, may_wait_until=None)
