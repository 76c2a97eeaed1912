"""Connections that wait to be accepted: all of them are, as soon as one is.

libuv accepts one connection in each turn of the event loop, in which everything else that is ready has its turn as
well. So the last of 64 clients that connect at a time would wait as long as for dozens of answers.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence

MOST = 100
"""Connections that are accepted in one turn, as by asyncio's own event loop."""


class Backlog:
    """What waits at the listeners of a server."""

    def __init__(
        self, listeners: Sequence[socket.socket], make: Callable[[], asyncio.Protocol]
    ) -> None:
        """``make`` returns the protocol of a connection."""
        self._listeners = listeners
        self._make = make
        self._is_due = False
        self._opening: set[asyncio.Task[None]] = set()

    def accept_soon(self) -> None:
        """Accept what waits in the next turn of the event loop."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._accept)

    async def accept_all(self) -> None:
        """Accept until nothing waits any more."""
        while self._accept():
            await asyncio.gather(*self._opening)

    def _accept(self) -> int:
        """Accept what waits, and return how many connections that were."""
        self._is_due = False
        count = 0
        for listener in self._listeners:
            for _ in range(MOST):
                try:
                    accepted, _address = listener.accept()
                except OSError:  # Nothing waits, or what is wrong is dealt with by the event loop, which accepts, too.
                    break
                count += 1
                task = asyncio.ensure_future(self._open(accepted))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)
        return count

    async def _open(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._make, accepted)
        except OSError:  # the client has left
            accepted.close()
