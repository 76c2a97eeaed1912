"""The end of a process, as writes see it: what was not sent stays unsent, what was sent is answered in time.

    running ──refuse──▶ no further write is sent: NOT_SENT ──abandon──▶ answers no longer waited for: OUTCOME_UNKNOWN

A write waits inside an ``asyncio.timeout``, which each of the two steps brings forward to now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .errors import GatewayError, NotSent, OutcomeUnknown

STOPPING = "stopping"
"""In a connection's ``state``: the event that the server sets when it stops, long before the application is told."""


@dataclass(eq=False, slots=True)
class Pending:
    """A write that waits for its turn or, once it ``is_sent``, for its answer."""

    limit: asyncio.Timeout
    is_sent: bool = False


class Shutdown:
    """The two steps in which the writes of a process come to their end."""

    def __init__(self) -> None:
        self.refuses = False
        """Whether no further write is sent."""
        self.is_abandoned = False
        """Whether the answers of writes are no longer waited for."""
        self._pending: set[Pending] = set()

    @contextmanager
    def pending(self, limit: asyncio.Timeout) -> Iterator[Pending]:
        """Register a write that waits inside ``limit``, while it does. Raises NotSent."""
        self.check()
        write = Pending(limit)
        self._pending.add(write)
        try:
            yield write
        finally:
            self._pending.discard(write)

    def check(self) -> None:
        """Raise NotSent where no further write may be sent."""
        if self.refuses:
            raise _not_sent()

    def refuse(self) -> None:
        """Send no further write: those that wait for their turn end with NotSent."""
        self.refuses = True
        self._expire(is_sent=False)

    def abandon(self) -> None:
        """Wait no longer for the answers of writes: they end with OutcomeUnknown."""
        self.refuse()
        self.is_abandoned = True
        self._expire(is_sent=True)

    def _expire(self, *, is_sent: bool) -> None:
        now = asyncio.get_running_loop().time()
        for write in tuple(self._pending):
            if write.is_sent is is_sent:
                write.limit.reschedule(now)

    def failure(self, write: Pending) -> GatewayError | None:
        """Return what a write ends with whose limit has expired; None where no step was the cause."""
        if not write.is_sent and self.refuses:
            return _not_sent()
        if write.is_sent and self.is_abandoned:
            return OutcomeUnknown("The gateway shut down before the upstream answered.")
        return None


def _not_sent() -> NotSent:
    return NotSent(
        "Nothing was sent: the gateway is shutting down.",
        hint="Send it again: another instance answers, or this one when it is back.",
    )
