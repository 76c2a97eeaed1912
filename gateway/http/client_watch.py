"""Cancels an operation if its client disconnects while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Receive, Scope

from .exchange import exchange_of

LISTENING_AFTER = 0.05
"""Seconds after which an operation is cancelled if its client disconnects: most are answered by then."""


async def until_gone(receive: Receive) -> None:
    """Return when the client of a request has left, of whose body nothing more is to be read."""
    while (await receive())["type"] != "http.disconnect":
        pass


class ClientWatch:
    """Cancels the running operation if its client disconnects.

    If the server does not call it then, it asks for that from ``LISTENING_AFTER`` seconds on. If ``must_end`` returns
    true the operation goes on: nobody would learn the outcome of a write that is cancelled.
    """

    __slots__ = (
        "_exchange",
        "_listener",
        "_must_end",
        "_receive",
        "_task",
        "_timer",
        "has_cancelled",
    )

    def __init__(self, scope: Scope, receive: Receive, must_end: Callable[[], bool]) -> None:
        self._must_end = must_end
        self._task = asyncio.current_task()
        self._listener: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.has_cancelled = False
        exchange = exchange_of(scope)
        self._exchange = exchange if exchange is not None and exchange.watch(self._gone) else None
        if self._exchange is None:
            self._receive = receive
            # A timer costs less than a task, and most operations end before it fires.
            self._timer = asyncio.get_running_loop().call_later(LISTENING_AFTER, self._listen)

    def _listen(self) -> None:
        self._listener = asyncio.ensure_future(self._until_gone())

    async def _until_gone(self) -> None:
        await until_gone(self._receive)
        self._gone()

    def _gone(self) -> None:
        if self._must_end():
            return
        self.has_cancelled = True
        assert self._task is not None
        self._task.cancel()

    def stop(self) -> None:
        """Stop watching; a cancellation by this watcher is taken back (``Task.uncancel``)."""
        if self._exchange is not None:
            self._exchange.unwatch()
        if self._timer is not None:
            self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()
        if self.has_cancelled and self._task is not None:
            self._task.uncancel()
