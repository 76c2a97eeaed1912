"""Bytes of answers that wait for their clients to read them, counted and bounded for a whole process.

An answer that is being sent stays in memory until its client has taken it. Small ones are bounded by the number of
connections; larger ones are counted here while they wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

COUNTED = 65_536
"""Bytes from which an answer is counted: less fits the buffers of its connection."""
SHARE = 4
"""One connection with several answers at a time, a WebSocket, may hold a part of all that may wait: one in so many."""


class WaitingBytes:
    """How much waits, and how much may."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    @property
    def is_full(self) -> bool:
        """Whether nothing more may wait."""
        return self.held >= self.most

    def fits(self, size: int) -> bool:
        """Return whether an answer of ``size`` bytes may wait too."""
        return size < COUNTED or self.held + size <= self.most

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Count an answer while it is sent."""
        counted = size if size >= COUNTED else 0
        self.held += counted
        try:
            yield
        finally:
            self.held -= counted
