"""Counts and limits the bytes of answers that clients have not read yet, for a whole process.

An answer stays in memory until its client has read it. Small ones are limited by the number of connections; larger ones
are counted here while they are sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

UNREAD = "unread"
"""Key in an ASGI connection's ``state``: a function that returns the bytes which its client has not read yet."""
COUNTED = 65_536
"""Bytes from which an answer is counted: smaller ones fit into the buffers of their connection."""
SHARE = 4
"""A WebSocket, which has several answers at a time, may hold at most this fraction (1/4) of the limit."""


class WaitingBytes:
    """The bytes that wait, and their limit."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached."""
        return self.held >= self.most

    def fits(self, size: int) -> bool:
        """Return whether an answer of ``size`` bytes is within the limit."""
        return size < COUNTED or self.held + size <= self.most

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Count an answer of ``size`` bytes while it is sent."""
        counted = size if size >= COUNTED else 0
        self.held += counted
        try:
            yield
        finally:
            self.held -= counted
