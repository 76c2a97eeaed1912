"""A gateway in process over a sandbox whose answers can be held back, and its clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from gateway.admission.work import Lane, current_work
from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.http.graphql_endpoint import GRAPHQL
from gateway.sandbox import SandboxSettings, create_sandbox
from tests.support.observers import raise_defects


def currencies(rows: int) -> str:
    """Return a query; equal ones would share one read."""
    return f"{{ currencies(first: {rows}) {{ nodes {{ currencyCode }} }} }}"


class Upstream(httpx.AsyncBaseTransport):
    """The sandbox; notes for whom requests are sent, and can let them wait."""

    def __init__(self) -> None:
        self._sandbox = httpx.ASGITransport(create_sandbox(SandboxSettings(hostile_rows=False)))
        self.lanes: list[Lane] = []
        self.open = asyncio.Event()
        self.open.set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(("Currencies", "Currencies('USD')")):
            self.lanes.append(current_work().lane)
            await self.open.wait()
        return await self._sandbox.handle_async_request(request)


@asynccontextmanager
async def gateway(**settings: object) -> AsyncIterator[tuple[httpx.AsyncClient, Upstream]]:
    upstream = Upstream()
    values = {"url": "https://fo.example/data", "auth": "none", "dialect": "finops", **settings}
    app = create_app(
        Settings.model_validate(
            {"cache_dir": None, "data_dir": None, "include": ["Curr*"], **values}
        ),
        transport=upstream,
        observe=raise_defects,
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client,
    ):
        client.headers["accept"] = GRAPHQL
        yield client, upstream


def begin(
    client: httpx.AsyncClient, count: int, **headers: str
) -> list[asyncio.Task[httpx.Response]]:
    """Begin so many different operations."""
    return [
        asyncio.ensure_future(
            client.post("/graphql", json={"query": currencies(number)}, headers=headers)
        )
        for number in range(2, count + 2)
    ]


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(300):
        await asyncio.sleep(0)
