"""Limits the time of a block of a task, as ``asyncio.timeout`` does, at half of its cost."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class TimeLimit:
    """A context manager that raises TimeoutError if its block is not done at a time of the event loop's clock.

    Unlike ``asyncio.timeout`` it is no asynchronous context manager: entering and leaving it needs no coroutine.
    """

    __slots__ = ("_at", "_cancelling", "_handle", "_task", "is_over")

    def __init__(self, at: float | None) -> None:
        """``at`` None: never, as long as it is not rescheduled."""
        self._at = at
        self._handle: asyncio.TimerHandle | None = None
        self.is_over = False
        """Whether the time was over before the block was done."""

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task has a time limit")
        self._task = task
        self._cancelling = task.cancelling()
        if self._at is not None:
            self._handle = asyncio.get_running_loop().call_at(self._at, self._end)
        return self

    def reschedule(self, at: float | None) -> None:
        """End the block at another time; None: never."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None
        if at is not None and not self.is_over:
            self._handle = asyncio.get_running_loop().call_at(at, self._end)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            self._handle.cancel()
        # Its own cancellation is taken back; if somebody else has cancelled the task, too, that one goes on.
        if (
            self.is_over
            and self._task.uncancel() <= self._cancelling
            and kind is not None
            and issubclass(kind, asyncio.CancelledError)
        ):
            raise TimeoutError from error

    def _end(self) -> None:
        self.is_over = True
        self._task.cancel()
