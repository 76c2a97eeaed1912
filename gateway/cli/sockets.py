"""uvicorn's WebSockets, which close gracefully when the server stops: see ``bounded_http``."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.shutdown import STOPPING

from .uvicorn_parts import WebSocketsSansIOProtocol


class StoppableWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket. When the server stops, the application sends the close frame."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._stopping = asyncio.Event()
        self.app_state = {**self.app_state, STOPPING: self._stopping}

    is_running = True
    """A socket is under way as long as it is open."""

    def connection_lost(self, exc: Exception | None) -> None:
        # Its transport is an ``Outlet``, handed over by ``BoundedProtocol``.
        on_lost = getattr(self.transport, "on_lost", None)
        if on_lost is not None:
            on_lost()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Notify the application, or close the connection if the application does not serve it."""
        self._stopping.set()
        if self.close_sent or not self.handshake_complete:
            super().shutdown()
