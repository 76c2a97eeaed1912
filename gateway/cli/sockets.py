"""uvicorn's WebSockets, with an end that is told: see ``protocol``."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.shutdown import STOPPING

from .uvicorn_parts import WebSocketsSansIOProtocol


class StoppableWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket: when the server stops, the application says goodbye."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._stopping = asyncio.Event()
        self.app_state = {**self.app_state, STOPPING: self._stopping}

    def connection_lost(self, exc: Exception | None) -> None:
        left = getattr(self.transport, "left", None)
        if left is not None:
            left()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Tell the application, or close what it does not serve."""
        self._stopping.set()
        if self.close_sent or not self.handshake_complete:
            super().shutdown()
