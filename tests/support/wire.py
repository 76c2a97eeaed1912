"""A client of ASGI whose body comes, and whose reading goes, one piece at a time, and that may leave."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.types import ASGIApp, Message


class Wire:
    """A client that is as slow as the test."""

    def __init__(
        self, app: ASGIApp, method: str, path: str, size: int, headers: Mapping[str, str]
    ) -> None:
        """``size``: bytes of the body with which it is whole."""
        fields = [("host", "localhost"), *headers.items()]
        self._whole = size
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "scheme": "http",
            "server": ("localhost", 80),
            "client": ("127.0.0.1", 1),
            "headers": [(name.encode(), value.encode()) for name, value in fields],
        }
        self.app = app
        self.given = self.size = 0
        self.status: int | None = None
        self.is_complete = False
        self.body: Iterator[bytes] = iter(())
        self.leaves_after: int | None = None
        self.on_send: Any = lambda: None

    async def receive(self) -> Message:
        await asyncio.sleep(0)
        piece = next(self.body, None)
        if piece is None or (self.leaves_after is not None and self.given >= self.leaves_after):
            if self.leaves_after is None:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}
        self.given += len(piece)
        more = self.given < self._whole
        return {"type": "http.request", "body": piece, "more_body": more}

    async def send(self, message: Message) -> None:
        await asyncio.sleep(0)
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self.size += len(message.get("body", b""))
        self.is_complete = not message.get("more_body", False)
        self.on_send()

    async def run(self) -> None:
        async with asyncio.timeout(20):
            await self.app(self.scope, self.receive, self.send)
