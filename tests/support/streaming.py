"""A gateway on a socket, and clients that hear from it again and again."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.app import create_app
from gateway.cli.bounded_http import BoundedProtocol, socket_protocol
from gateway.config.document_models import DocumentOptions
from gateway.config.environment_models import EnvironmentOptions
from gateway.config.inbound_models import InboundOptions
from gateway.config.setting_models import Profile, SubscriptionOptions
from gateway.config.settings import Settings
from gateway.events import Event, tee
from gateway.events.streams import SubscriptionPolled
from gateway.subscriptions.hub import Hub
from tests.support.manual_clock import until
from tests.support.observers import raise_defects
from tests.support.sockets import PATIENCE

PROTOCOL: Any = "graphql-transport-ws"
INIT = {"type": "connection_init"}
ACK = {"type": "connection_ack"}


def subscribe(query: str, name: str = "1", **variables: Any) -> dict[str, Any]:
    return {
        "id": name,
        "type": "subscribe",
        "payload": {"query": query, "variables": variables},
    }


def settings(**options: Any) -> Settings:
    polling = SubscriptionOptions(**{"interval": 0.05, "init_timeout": 5, **options})
    return Settings(cache_dir=None, language="none", subscriptions=polling, max_body_bytes=20_000)


class Served:
    """A gateway on a socket."""

    def __init__(
        self,
        app: Starlette,
        server: uvicorn.Server,
        port: int,
        events: list[Event],
        path: str = "/graphql",
    ) -> None:
        self.app = app
        self.events = events
        self.server = server
        self.port = port
        self.path = path

    def profile(self, name: str) -> Served:
        """Return the API of a profile."""
        return Served(self.app, self.server, self.port, self.events, f"{self.path}/{name}")

    def environment(self, name: str) -> Served:
        """Return the same API of an environment."""
        return Served(self.app, self.server, self.port, self.events, f"/e/{name}{self.path}")

    @property
    def hub(self) -> Hub:
        hub: Hub = self.app.state.subscriptions
        return hub

    def connect(self, **options: Any) -> Any:
        address = f"ws://127.0.0.1:{self.port}{self.path}"
        return connect(address, subprotocols=[PROTOCOL], proxy=None, **options)

    async def watched(self) -> None:
        """Wait until the first poll of a subscription is over."""
        seen = len(self.events)
        await until(lambda: any(isinstance(e, SubscriptionPolled) for e in self.events[seen:]))

    @asynccontextmanager
    async def begun(self, **payload: str) -> AsyncIterator[Socket]:
        """Return an acknowledged connection."""
        async with self.connect() as raw:
            ws = Socket(raw)
            await ws.say({**INIT, "payload": payload} if payload else INIT)
            assert await ws.hear() == ACK
            yield ws


class Socket:
    """A client's end."""

    def __init__(self, raw: ClientConnection) -> None:
        self.raw = raw

    async def say(self, *messages: Any) -> None:
        for message in messages:
            await self.raw.send(
                message if isinstance(message, str | bytes) else json.dumps(message)
            )

    async def hear(self) -> Any:
        return json.loads(await asyncio.wait_for(self.raw.recv(), PATIENCE))

    async def end(self) -> tuple[int | None, str]:
        """Wait until the other side closes."""
        with suppress(ConnectionClosed):
            async with asyncio.timeout(PATIENCE):
                async for _ in self.raw:
                    pass
        return self.raw.close_code, self.raw.close_reason or ""


@asynccontextmanager
async def serving(
    sandbox: Starlette,
    events: list[Event],
    *,
    profiles: Mapping[str, Profile] = MappingProxyType({}),
    inbound: InboundOptions | None = None,
    environments: Mapping[str, EnvironmentOptions] = MappingProxyType({}),
    data_dir: Path | None = None,
    documents: DocumentOptions | None = None,
    **options: Any,
) -> AsyncIterator[Served]:
    """Yield a gateway over a sandbox. With ``data_dir`` it serves the environments of a store there, too."""
    transport = httpx.ASGITransport(sandbox)
    more = {
        "data_dir": data_dir,
        "stored_environments": data_dir is not None,
        "profiles": dict(profiles),
        "inbound": inbound or InboundOptions(),
        "environments": dict(environments),
        "environment_idle": 0.2,
        "documents": documents or DocumentOptions(),
    }
    chosen = settings(**options).model_copy(update=more)
    app = create_app(chosen, transport=transport, observe=tee(raise_defects, events.append))
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws=socket_protocol,  # type: ignore[arg-type] # makes one, as a class does
        ws_ping_interval=None,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=int(PATIENCE),
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    async with app.router.lifespan_context(app):
        running = asyncio.ensure_future(server._serve(sockets=[listener]))
        try:
            yield Served(app, server, listener.getsockname()[1], events)
        finally:
            server.should_exit = True
            await asyncio.wait_for(running, 2 * PATIENCE)
