"""Counts and limits the operations that run at a time, for a whole process.

What waits for a slow environment holds memory: its document, its rows, its connection. Beyond the limit requests are
refused at once, which costs next to nothing. Background work may use half of the limit, so that an export with a
thousand requests leaves room for people.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.admission.slots import BACKGROUND
from gateway.admission.work import Lane
from gateway.errors import Overloaded


class RunningOperations:
    """The operations that run, and their limit."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.running = 0
        self._background = 0

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached."""
        return self.running >= self.most

    @contextmanager
    def holding(self, lane: Lane) -> Iterator[None]:
        """Count an operation while it runs. Raises Overloaded if there are too many."""
        is_background = lane in BACKGROUND
        if self.is_full or (is_background and self._background >= max(1, self.most // 2)):
            raise too_many_operations()
        self.running += 1
        self._background += is_background
        try:
            yield
        finally:
            self.running -= 1
            self._background -= is_background


def too_many_operations() -> Overloaded:
    """Return the error of a request that arrives while as many operations run as may."""
    return Overloaded(
        "The gateway runs as many operations as it may.",
        hint="Try again soon. Setting: max_operations.",
        retry_after=1.0,
    )
