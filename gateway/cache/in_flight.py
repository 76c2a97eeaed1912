"""Reads that are under way, which equal reads of other operations join instead of being sent again.

A read ends when nobody waits for it any longer: neither the operation that began it nor those that joined. What nobody
joins costs an entry in a table, as most reads do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Hashable
from typing import Any

from gateway.odata.response_check import Response

MIN_SHARE = 0.5
"""A read is joined if whoever began it has at least this part of the time that the operation which joins has left."""


class Flight:
    """A read that is under way, and those who wait for it."""

    __slots__ = ("is_led", "joined", "task", "until", "was_joined")

    def __init__(self, task: asyncio.Task[Response], until: float) -> None:
        self.task = task
        self.until = until
        self.is_led = True
        """Whether the operation that began it still waits."""
        self.joined: set[asyncio.Future[Response]] = set()
        self.was_joined = False
        """Whether anybody has ever joined it."""

    def join(self) -> asyncio.Future[Response]:
        """Return a future of its answer, which may be cancelled."""
        if not self.joined:
            self.was_joined = True
            self.task.add_done_callback(self._ended)
        future = asyncio.get_running_loop().create_future()
        self.joined.add(future)
        future.add_done_callback(self._left)
        return future

    def leave(self) -> None:
        """Cancel it, unless others wait for it."""
        self.is_led = False
        if not self.joined:
            self.task.cancel()

    def _left(self, future: asyncio.Future[Response]) -> None:
        if future.cancelled():
            self.joined.discard(future)
            if not self.joined and not self.is_led:
                self.task.cancel()

    def _ended(self, task: asyncio.Task[Response]) -> None:
        joined, self.joined = self.joined, set()
        error = None if task.cancelled() else task.exception()
        for future in joined:
            if future.done():
                continue
            if task.cancelled():
                future.cancel()
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(task.result())


class InFlight:
    """The reads of an environment that are under way."""

    def __init__(self) -> None:
        self._reads: dict[Hashable, Flight] = {}

    def __len__(self) -> int:
        return len(self._reads)

    def join(self, key: Hashable, until: float) -> asyncio.Future[Response] | None:
        """Return the future answer of an equal read that is under way; None if there is none to join.

        ``until``: when the operation that joins must end, by the event loop's clock.
        """
        read = self._reads.get(key)
        # One that is being cancelled has no answer for anybody.
        if read is None or read.task.done() or read.task.cancelling():
            return None
        now = asyncio.get_running_loop().time()
        # It may be given up when the time of whoever began it is over.
        if read.until - now < MIN_SHARE * (until - now):
            return None
        return read.join()

    def begin(self, key: Hashable, reading: Coroutine[Any, Any, Response], until: float) -> Flight:
        """Begin a read. Whoever does must ``leave`` it instead of cancelling its task."""
        reads = self._reads
        task = asyncio.get_running_loop().create_task(reading)
        flight = reads[key] = Flight(task, until)

        def ended(_: asyncio.Task[Response]) -> None:
            if reads.get(key) is flight:
                del reads[key]

        # A callback, because one that is cancelled before it has begun runs no code of its own.
        task.add_done_callback(ended)
        return flight

    def take_out(self, key: Hashable, flight: Flight) -> bool:
        """Return whether nobody else waits for a read; from then on nobody can."""
        if flight.joined:
            return False
        if self._reads.get(key) is flight:
            del self._reads[key]
        return True

    def seal(self) -> None:
        """Let nobody join what is under way now: something was written, and it may have read what was before."""
        # Each read removes itself from the table that it was put in.
        self._reads = {}
