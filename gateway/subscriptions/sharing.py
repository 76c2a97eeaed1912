"""What one poll has found, and what its subscribers make of it: each answer is made once for all who ask the same.

Ten thousand subscribers with one selection, the same variables and the same scope get the same bytes of one read. The
answers live as long as somebody still has the changes before him.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable

from .changes import Change

Results = list[bytes]


class Batch(tuple[Change, ...]):
    """The changes of one poll, handed to all its subscribers."""

    def __init__(self, _changes: Iterable[Change]) -> None:
        super().__init__()
        self._answers: dict[Hashable, asyncio.Task[Results]] = {}

    async def shared(self, key: Hashable, read: Callable[[], Awaitable[Results]]) -> Results:
        """Return what ``read`` gives for a key, which is called by the first who asks.

        A subscriber who leaves does not end the read of the others. An error of the read is raised for each of them.
        """
        task = self._answers.get(key)
        if task is None:
            task = self._answers[key] = asyncio.ensure_future(_of(read))
            task.add_done_callback(_retrieved)
        return await asyncio.shield(task)


async def _of(read: Callable[[], Awaitable[Results]]) -> Results:
    return await read()


def _retrieved(task: asyncio.Task[Results]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
