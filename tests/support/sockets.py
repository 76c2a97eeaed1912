"""Servers on loopback that say exactly the bytes a test wants, and remember what they were asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

PATIENCE = 60.0
"""Seconds after which something that should happen at once is given up: a busy machine takes its time."""


def ok(body: bytes = b"{}", *headers: str) -> bytes:
    """Return an answer with its length."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Connection:
    """One accepted connection; ``ended`` is set when the other side closes it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    requests: list[bytes]
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def request(self) -> bytes:
        """Read a request with its body; empty where the other side is gone."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            lengths = [line for line in head.lower().splitlines() if b"content-length" in line]
            body = await self.reader.readexactly(int(lengths[0].split()[1]) if lengths else 0)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended.set()
            return b""
        self.requests.append(head + body)
        return head + body

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        with suppress(ConnectionError):
            await self.writer.drain()

    async def until_closed(self) -> None:
        """Wait until the other side closes."""
        with suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass
        self.ended.set()


Handler: TypeAlias = Callable[[Connection], Awaitable[None]]


@dataclass
class Listening:
    """A server's port, its connections in order, and every request on any of them."""

    port: int = 0
    connections: list[Connection] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    accepted: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/data"


def answering(*answers: bytes) -> Handler:
    """Return the answers in turn on each connection, then wait for its end; the last one for ever."""

    async def handle(connection: Connection) -> None:
        at = 0
        while await connection.request():
            await connection.say(answers[min(at, len(answers) - 1)])
            at += 1

    return handle


def closing(answer: bytes) -> Handler:
    """Return one answer, then close."""

    async def handle(connection: Connection) -> None:
        if await connection.request():
            await connection.say(answer)

    return handle


@asynccontextmanager
async def listening(
    handler: Handler, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Listening]:
    """Serve on a port of the kernel's choice; at the end every connection is cut and every handler is over."""
    said = Listening()
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        connection = Connection(reader, writer, said.requests)
        said.connections.append(connection)
        said.accepted.set()
        try:
            await handler(connection)
        except (asyncio.CancelledError, ConnectionError):
            writer.transport.abort()
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(handle, host, 0, ssl=tls)
    said.port = server.sockets[0].getsockname()[1]
    try:
        yield said
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tuple(tasks), timeout=PATIENCE)
        await asyncio.wait_for(server.wait_closed(), PATIENCE)
