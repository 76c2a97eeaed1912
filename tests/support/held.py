"""An upstream that delays requests until it is told to answer, and a gateway over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from gateway.config.settings import Settings
from gateway.events import Event, RequestSent
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.sandbox import create_sandbox
from tests.support.manual_clock import pass_time, until

ALLOWED = 30.0
"""Seconds that an operation may take; the tests advance the clock."""
GROUP = (
    'createCustomerGroup(input: {dataAreaId: "usmf", customerGroupId: "%s", description: "x"})'
    " { customerGroup { customerGroupId } userErrors { code message } }"
)


@dataclass
class Held(httpx.AsyncBaseTransport):
    """The sandbox; requests for which ``holds`` is true wait for ``let_go`` or their cancellation."""

    holds: Callable[[httpx.Request], bool] = lambda _: False
    asked: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    instead: httpx.Response | None = None
    """What every write is answered."""
    sandbox: httpx.ASGITransport = field(
        default_factory=lambda: httpx.ASGITransport(create_sandbox())
    )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        about = f"{request.method} {request.url.path}"
        self.asked.append(about)
        if self.holds(request):
            self.holding.set()
            try:
                await self.let_go.wait()
            except asyncio.CancelledError:
                self.given_up.append(about)
                raise
        if self.instead is not None and request.method != "GET":
            return self.instead
        return await self.sandbox.handle_async_request(request)

    @property
    def writes(self) -> list[str]:
        return [about for about in self.asked if not about.startswith("GET")]


@dataclass
class World:
    gateway: Gateway
    upstream: Held
    events: list[Event]

    def ask(self, query: str, timeout: float | None = None) -> asyncio.Task[dict[str, Any]]:
        """Begin an operation."""
        request = GraphQLRequest(query=query, timeout=timeout)

        async def answer() -> dict[str, Any]:
            return (await self.gateway.engine.execute(request)).to_builtins()

        return asyncio.ensure_future(answer())

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something, then for what follows from it at once."""
        await until(condition)
        for _ in range(20):
            await asyncio.sleep(0)

    async def is_held(self, answered: int = 0) -> None:
        """Wait until a request is held, and so many others are answered."""
        await self.until(self.upstream.holding.is_set)
        await self.until(lambda: sum(isinstance(e, RequestSent) for e in self.events) == answered)

    def pass_time(self, seconds: float = ALLOWED) -> None:
        """Set the event loop's clock forward."""
        pass_time(seconds)


@asynccontextmanager
async def world(**settings: Any) -> AsyncIterator[World]:
    upstream, events = Held(), list[Event]()
    given = {"cache_dir": None, "language": None, "expand": "never", **settings}
    async with open_gateway(
        Settings(**given), transport=upstream, observe=events.append
    ) as gateway:
        upstream.asked.clear()
        events.clear()
        yield World(gateway, upstream, events)


def at(name: str) -> Callable[[httpx.Request], bool]:
    return lambda request: name in request.url.path
