"""What a ``$batch`` holds, for those who measure requests: its time is that of all its parts.

    the sender of the batch ──holding──▶ the task that sends ──held_parts──▶ who measures ──▶ ``learn``
    the sender, once it has read that all parts were answered well ──▶ ``answered``

Requests inside are no longer known to the layers that send it, and what became of them is not known before the answer
is read, so both stay with the task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from .query import Request
from .response_check import Response


class BatchParts:
    """The requests in a batch that is under way."""

    __slots__ = ("learn", "requests")

    def __init__(self, requests: Sequence[Request]) -> None:
        self.requests = requests
        self.learn: Callable[[], None] | None = None
        """To be called if all parts were answered well: else some took less than they would have."""

    def answered(self, answers: Sequence[Response]) -> None:
        """Note what became of the parts."""
        is_whole = len(answers) == len(self.requests)
        if self.learn is not None and is_whole and all(a.status < 300 for a in answers):
            self.learn()


_CURRENT: ContextVar[BatchParts | None] = ContextVar("batch_parts", default=None)


@contextmanager
def holding(requests: Sequence[Request]) -> Iterator[BatchParts]:
    """Yield the parts of the batch that this task sends inside."""
    parts = BatchParts(requests)
    token = _CURRENT.set(parts)
    try:
        yield parts
    finally:
        _CURRENT.reset(token)


def held_parts() -> BatchParts | None:
    """Return the parts of the batch that the current task sends, if it says so."""
    return _CURRENT.get()
