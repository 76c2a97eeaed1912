"""A client of event streams, and of any answer that comes in pieces."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

from tests.support.sockets import PATIENCE
from tests.support.streaming import Served

SILENCE = ":\n\n"
STREAM = {"accept": "text/event-stream"}


class Stream:
    """An answer that comes in pieces."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}

    async def head(self) -> None:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        first, *lines = head.decode().strip().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = dict(line.lower().split(": ", 1) for line in lines)

    async def piece(self) -> str:
        """Return the next chunk; empty at the end."""
        async with asyncio.timeout(PATIENCE):
            size = int(await self.reader.readline(), 16)
            return (await self.reader.readexactly(size + 2))[:-2].decode()

    async def event(self) -> str:
        """Return the next event; the silence before it may have been filled."""
        while (piece := await self.piece()) == SILENCE:
            pass
        return piece

    async def rest(self) -> list[str]:
        """Return all events until the end; the silence between them may have been filled."""
        items = []
        while piece := await self.piece():
            if piece != SILENCE:
                items.append(piece)
        return items

    async def body(self) -> Any:
        size = int(self.headers["content-length"])
        return json.loads(await asyncio.wait_for(self.reader.readexactly(size), PATIENCE))


@asynccontextmanager
async def asked(
    served: Served,
    query: str,
    headers: Mapping[str, str] = STREAM,
    method: str = "POST",
    **names: Any,
) -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    parameters = {**({"query": query} if query else {}), **names}
    body = json.dumps(parameters).encode() if method == "POST" else b""
    target = served.path if body else f"{served.path}?{urlencode(parameters, quote_via=quote)}"
    sent = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    lines = [
        f"{method} {target} HTTP/1.1",
        f"host: 127.0.0.1:{served.port}",
        *(f"{n}: {v}" for n, v in sent.items()),
    ]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    found = Stream(reader, writer)
    try:
        await found.head()
        yield found
    finally:
        writer.close()
