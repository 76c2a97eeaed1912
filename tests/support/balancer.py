"""A balancer of connections between gateways, which asks each whether it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count

import httpx

ASK_EVERY = 0.1


class Balancer:
    """Sends each connection to one of the ports that were ready when they were last asked."""

    def __init__(self) -> None:
        self.ports: set[int] = set()
        """All that may be ready."""
        self.ready: list[int] = []
        self.taken: dict[int, int] = {}
        """Connections by port."""
        self.port = 0
        self._turns = count()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = self.ready[next(self._turns) % len(self.ready)]
        self.taken[port] = self.taken.get(port, 0) + 1
        # One that is away is a failure of its client: no second attempt hides it.
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))

    async def _ask(self) -> None:
        async with httpx.AsyncClient(timeout=5) as http:
            while True:
                states = [(port, await _is_ready(http, port)) for port in sorted(self.ports)]
                self.ready = [port for port, is_ready in states if is_ready]
                await asyncio.sleep(ASK_EVERY)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        asking = asyncio.create_task(self._ask())
        try:
            yield
        finally:
            asking.cancel()
            server.close()


async def _is_ready(http: httpx.AsyncClient, port: int) -> bool:
    try:
        return (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
    except httpx.HTTPError:
        return False


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()
