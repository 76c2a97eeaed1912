"""A raw proxy before an embedded sandbox: passes requests on, and spoils the answer to one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from starlette.applications import Starlette

from tests.support.sockets import Connection, Listening, listening
from tests.support.upstream_faults import BEFORE, DRIP, FAULTS, HANG, RESET, Good

_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "date", "server"})


@dataclass
class Plan:
    """Which fault befalls which request: the ``skip``-th and the following ``times`` that are meant."""

    fault: str
    phase: str
    methods: frozenset[str]
    skip: int = 0
    times: int = 1


@dataclass
class Proxy:
    """What it does next, and what it did."""

    sandbox: Starlette
    plan: Plan | None = None
    spoiled: int = 0
    passed: int = 0
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while an answer hangs or drips."""
    listening: Listening | None = None

    @property
    def root(self) -> str:
        assert self.listening is not None
        return self.listening.url()

    async def handle(self, connection: Connection) -> None:
        while request := await connection.request():
            method = request.split(b" ", 1)[0].decode()
            plan = self._due(method)
            if plan is not None and plan.phase == BEFORE:
                good = Good(200, {"content-type": "application/json"}, b'{"value":[]}')
            else:
                good = await self._good(request)
            if plan is None:
                await connection.say(good.answer())
                continue
            self.spoiled += 1
            await self._say(connection, FAULTS[plan.fault](good))
            return

    def _due(self, method: str) -> Plan | None:
        plan = self.plan
        if plan is None or method not in plan.methods or plan.times == 0:
            return None
        if plan.skip:
            plan.skip -= 1
            return None
        plan.times -= 1
        return plan

    async def _good(self, request: bytes) -> Good:
        self.passed += 1
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = [tuple(line.split(": ", 1)) for line in lines]
        kept = [(k, v) for k, v in headers if k.lower() not in {"accept-encoding", "connection"}]
        transport = httpx.ASGITransport(self.sandbox)
        asked = httpx.Request(method, f"http://sandbox{target}", headers=kept, content=body)
        answer = await transport.handle_async_request(asked)
        content = await answer.aread()
        said = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
        return Good(answer.status_code, said, content, f"{self.root.removesuffix('/data')}{target}")

    async def _say(self, connection: Connection, said: list[bytes]) -> None:
        for piece in said:
            if piece is RESET:
                connection.writer.transport.abort()
            elif piece is HANG:
                self.held.set()
                await connection.until_closed()
            elif piece is DRIP:
                self.held.set()
                while not connection.writer.is_closing():
                    await connection.say(b" ")
                    await asyncio.sleep(0.005)
            else:
                await connection.say(piece)


@asynccontextmanager
async def fault_proxy(sandbox: Starlette) -> AsyncIterator[Proxy]:
    """Serve a proxy on a port of its own."""
    proxy = Proxy(sandbox)
    async with listening(proxy.handle) as proxy.listening:
        yield proxy
