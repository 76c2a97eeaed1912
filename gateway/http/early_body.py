"""Sends a response while the body of its request still arrives.

Many clients read nothing before they have sent everything. What they leave unread must neither fill the memory nor stop
the request, so it waits on disk until they read, or until the request is complete. A client that leaves very much
unread is sent it nevertheless: it reads, or is cut off.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable

from starlette.types import Scope, Send

from .waiting_bytes import UNREAD

_IN_MEMORY = 1 << 20
"""Bytes that wait in memory; more go into a file without a name."""
MOST_WAITING = 1 << 30
"""Bytes that wait on disk at most."""
_PIECE = 1 << 14
"""Bytes that are sent at a time: far fewer than those for which a slow client is cut off."""


class EarlyBody:
    """The body of one response. It is closed in any case."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        state = scope.get("state", {})
        self._unread: Callable[[], int] = state.get(UNREAD, lambda: 0)
        self._waiting = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by ``close``
        self._size = self._sent = 0

    async def write(self, piece: bytes) -> None:
        """Send a piece as far as the client reads what was sent before; the rest waits."""
        self._waiting.seek(self._size)
        self._waiting.write(piece)
        self._size += len(piece)
        while self._sent < self._size and (
            not self._unread() or self._size - self._sent > MOST_WAITING
        ):
            await self._send_piece()
        if self._sent == self._size:
            # What was sent takes no space.
            self._waiting.seek(0)
            self._waiting.truncate()
            self._size = self._sent = 0

    async def flush(self) -> None:
        """Send what waits, as fast as the client reads it: its request is complete."""
        while self._sent < self._size:
            await self._send_piece()

    async def _send_piece(self) -> None:
        self._waiting.seek(self._sent)
        piece = self._waiting.read(_PIECE)
        self._sent += len(piece)
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    def close(self) -> None:
        """Free the file."""
        self._waiting.close()
