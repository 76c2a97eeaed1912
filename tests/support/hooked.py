"""A gateway over a sandbox that reports its writes to a hook of the gateway."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.events import Event, tee
from gateway.events.streams import SubscriptionPolled
from gateway.hooks.secrets import open_hook_register
from gateway.request import GraphQLRequest
from gateway.sandbox import SandboxSettings, create_sandbox
from gateway.subscriptions.streams import Streams
from tests.support.observers import raise_defects
from tests.support.sockets import PATIENCE

ALONE: Mapping[str, Any] = {
    "cache_dir": None,
    "language": "none",
    "subscriptions": {"interval": 3_600.0, "woken_interval": 0.0},
    "changes": {"woken_interval": 0.0},
}
"""Settings with which nobody polls for an hour, unless there is a report."""
CREDIT = """mutation($limit: Decimal!) { updateCustomerV3(key: { dataAreaId: "usmf", customerAccount: "US-009" },
  patch: { creditLimit: $limit }) { userErrors { message } } }"""


@dataclass
class Hooked:
    """A gateway, and the sandbox behind it."""

    app: Starlette
    http: httpx.AsyncClient
    events: list[Event]
    sandbox: Starlette
    secret: str
    workers: int = 1
    """Processes of one machine, which have no shared state."""
    reports: list[httpx.Response] = field(default_factory=list)

    def path(self, secret: str | None = None, environment: str = "default") -> str:
        return f"/hooks/{environment}/{self.secret if secret is None else secret}"

    async def report(self, content: object, query: str = "", **headers: str) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(f"{self.path()}{query}", content=body, headers=given)

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = await self.http.post("/graphql", json={"query": query, "variables": variables})
        body: dict[str, Any] = answer.json()
        assert "errors" not in body, body
        return dict(body["data"])

    @asynccontextmanager
    async def following(self, query: str, **variables: Any) -> AsyncIterator[Followed]:
        """Yield the results of a subscription, whose first poll is over."""
        streams = Streams(self.app.state.live, self.app.state.subscriptions)
        results = streams.results(GraphQLRequest(query=query, variables=variables))
        followed = Followed(results, asyncio.create_task(anext(results)))
        try:
            yield followed
        finally:
            followed.reading.cancel()
            await asyncio.gather(followed.reading, return_exceptions=True)
            await results.aclose()

    @asynccontextmanager
    async def replica(self) -> AsyncIterator[Hooked]:
        """Yield another process of the deployment."""
        settings = self.app.state.environment.live.gateway.settings
        async with _serving(settings, self.sandbox, self.secret, self.workers) as other:
            yield other

    @property
    def polls(self) -> int:
        return sum(isinstance(event, SubscriptionPolled) for event in self.events)


@dataclass
class Followed:
    results: Any
    reading: asyncio.Task[bytes]

    async def next(self) -> dict[str, Any]:
        """Return the next result."""
        text = await asyncio.wait_for(asyncio.shield(self.reading), PATIENCE)
        self.reading = asyncio.create_task(anext(self.results))
        body: dict[str, Any] = json.loads(text)
        assert "errors" not in body, body
        return dict(body["data"])


def secret_in(settings: Settings, *, grace: float | None = None, at: float = 0.0) -> str:
    """Return the secret of a new hook of the environment of the settings."""
    with closing(open_hook_register(settings)) as register:
        secret = register.create("default", at, grace)
    assert secret is not None
    return secret


@asynccontextmanager
async def hooked(folder: Path, *, workers: int = 1, **more: Any) -> AsyncIterator[Hooked]:
    """Yield a gateway whose sandbox reports each write, in a thread of its own."""
    settings = Settings.model_validate({**ALONE, "data_dir": folder, **more})
    secret, loop = secret_in(settings, grace=600.0, at=time.time()), asyncio.get_running_loop()
    opened: list[Hooked] = []

    def post(address: str, headers: Mapping[str, str], body: bytes) -> None:
        async def send() -> None:
            (here,) = opened
            here.reports.append(await here.http.post(address, content=body, headers=dict(headers)))

        asyncio.run_coroutine_threadsafe(send(), loop).result(PATIENCE)

    sandbox = create_sandbox(
        SandboxSettings(events=f"http://localhost/hooks/default/{secret}", post=post)
    )
    async with _serving(settings, sandbox, secret, workers) as here:
        opened.append(here)
        yield here


@asynccontextmanager
async def _serving(
    settings: Settings, sandbox: Starlette, secret: str, workers: int
) -> AsyncIterator[Hooked]:
    events: list[Event] = []
    app = create_app(
        settings,
        transport=httpx.ASGITransport(sandbox),
        observe=tee(raise_defects, events.append),
        workers=workers,
    )
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        yield Hooked(app, http, events, sandbox, secret, workers)
