"""Limits the time of a block of a task, as ``asyncio.timeout`` does, at a fifth of its cost.

Nearly all blocks are done long before their time is over. So all limits of an event loop share one timer, which is set
for the first of them and, when it has gone off, for the first of those that are left by then.
"""

from __future__ import annotations

import asyncio
from math import inf
from types import TracebackType
from typing import Self
from weakref import WeakKeyDictionary

EARLY = 0.002
"""Seconds that a timer may be early: event loops round to milliseconds."""


class TimeLimit:
    """A context manager that raises TimeoutError if its block is not done at a time of the event loop's clock.

    Unlike ``asyncio.timeout`` it is no asynchronous context manager: entering and leaving it needs no coroutine.
    """

    __slots__ = ("_cancelling", "_limits", "_task", "at", "is_over")

    def __init__(self, at: float | None) -> None:
        """``at`` None: never, as long as it is not rescheduled."""
        self.at = at
        """When the time is over."""
        self.is_over = False
        """Whether the time was over before the block was done."""

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task has a time limit")
        self._task = task
        self._cancelling = task.cancelling()
        self._limits = _limits_of(asyncio.get_running_loop())
        if self.at is not None:
            self._limits.add(self, self.at)
        return self

    def reschedule(self, at: float | None) -> None:
        """End the block at another time; None: never."""
        self._limits.remove(self)
        self.at = at
        if at is not None and not self.is_over:
            self._limits.add(self, at)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._limits.remove(self)
        # Its own cancellation is taken back; if somebody else has cancelled the task, too, that one goes on.
        if (
            self.is_over
            and self._task.uncancel() <= self._cancelling
            and kind is not None
            and issubclass(kind, asyncio.CancelledError)
        ):
            raise TimeoutError from error

    def end(self) -> None:
        """Cancel the block: its time is over."""
        self.is_over = True
        self._task.cancel()


class _Limits:
    """The limits of one event loop."""

    def __init__(self) -> None:
        self._until: dict[TimeLimit, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._goes_off = inf

    def add(self, limit: TimeLimit, at: float) -> None:
        """End a block at a time."""
        self._until[limit] = at
        if at < self._goes_off:
            self._set(at)

    def remove(self, limit: TimeLimit) -> None:
        """End a block no more."""
        self._until.pop(limit, None)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at, self._end)
        self._goes_off = at

    def _end(self) -> None:
        self._timer, self._goes_off = None, inf
        now = asyncio.get_running_loop().time() + EARLY
        for limit in [limit for limit, at in self._until.items() if at <= now]:
            del self._until[limit]
            limit.end()
        if self._until:
            self._set(min(self._until.values()))


_BY_LOOP: WeakKeyDictionary[asyncio.AbstractEventLoop, _Limits] = WeakKeyDictionary()


def _limits_of(loop: asyncio.AbstractEventLoop) -> _Limits:
    limits = _BY_LOOP.get(loop)
    if limits is None:
        limits = _BY_LOOP[loop] = _Limits()
    return limits
