"""Shutdown of a process, for its writes: what was not sent stays unsent, what was sent gets an answer in time.

    running ──refuse──▶ no further write is sent: NOT_SENT ──abandon──▶ answers no longer waited for: OUTCOME_UNKNOWN

A write waits inside an ``asyncio.timeout``, which each of the two steps brings forward to now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .errors import GatewayError, NotSent, OutcomeUnknown

STOPPING = "stopping"
"""Key in an ASGI connection's ``state``: the event set when the server stops, long before the lifespan ends."""


def begin_stop(app: object) -> None:
    """Note that an application is about to stop: it serves everything, but is not ready for more."""
    if (state := getattr(app, "state", None)) is not None:
        state.is_stopping = True


def is_stopping(app: object) -> bool:
    """Return whether an application is about to stop."""
    return getattr(getattr(app, "state", None), "is_stopping", False)


@dataclass(eq=False, slots=True)
class Pending:
    """A write that waits to be sent or, once it ``is_sent``, for its answer."""

    limit: asyncio.Timeout
    is_sent: bool = False


class Shutdown:
    """Ends the writes of a process, of all its environments, in two steps."""

    def __init__(self) -> None:
        self.refuses = False
        """Whether writes are no longer sent."""
        self.is_abandoned = False
        """Whether answers to writes are no longer awaited."""
        self._pending: set[Pending] = set()
        self._followed: list[Collection[asyncio.Task[Any]]] = []

    def follow(self, mutations: Collection[asyncio.Task[Any]]) -> None:
        """Count the mutations in a collection, whose owner changes it."""
        self._followed.append(mutations)

    def forget(self, mutations: Collection[asyncio.Task[Any]]) -> None:
        """Count them no longer."""
        # Not by ``remove``, which takes the first equal one: most are empty.
        self._followed = [each for each in self._followed if each is not mutations]

    @property
    def is_awaited(self) -> bool:
        """Whether any mutation is under way."""
        return any(self._followed)

    @contextmanager
    def pending(self, limit: asyncio.Timeout) -> Iterator[Pending]:
        """Register a write for as long as it waits inside ``limit``. Raises NotSent."""
        self.check()
        write = Pending(limit)
        self._pending.add(write)
        try:
            yield write
        finally:
            self._pending.discard(write)

    def check(self) -> None:
        """Raise NotSent if writes are no longer sent."""
        if self.refuses:
            raise _not_sent()

    def refuse(self) -> None:
        """Send no more writes: those that wait to be sent end with NotSent."""
        self.refuses = True
        self._expire(is_sent=False)

    def abandon(self) -> None:
        """Stop waiting for answers to writes: they end with OutcomeUnknown."""
        self.refuse()
        self.is_abandoned = True
        self._expire(is_sent=True)

    def _expire(self, *, is_sent: bool) -> None:
        now = asyncio.get_running_loop().time()
        # A copy: a write that ends removes itself.
        for write in tuple(self._pending):
            if write.is_sent is is_sent:
                write.limit.reschedule(now)

    def failure(self, write: Pending) -> GatewayError | None:
        """Return the error of a write whose limit has expired; None if the shutdown did not cause it."""
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
