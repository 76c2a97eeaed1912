"""A sandbox in memory, and a client for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.sandbox import SandboxSettings, create_sandbox

Ask = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture(scope="session")
def app() -> Starlette:
    """One sandbox for all tests that only read with default settings."""
    return create_sandbox()


async def _ask(app: Starlette, url: str, method: str = "GET", **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        return await client.request(method, url, **options)


class Sandbox:
    """A sandbox of a test's own; call it to send a request."""

    def __init__(self, app: Starlette) -> None:
        self.app = app

    async def __call__(self, url: str, method: str = "GET", **options: Any) -> httpx.Response:
        return await _ask(self.app, url, method, **options)


@pytest.fixture
def send_raw() -> Callable[..., Awaitable[int]]:
    """Return a function that sends a request without httpx, which refuses long URLs; it returns the status."""

    async def send(app: Starlette, path: str, query: str) -> int:
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def keep(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": [],
                 "query_string": query.encode()}  # fmt: skip
        await app(scope, receive, keep)
        return int(sent[0]["status"])

    return send


@pytest.fixture
def get(app: Starlette) -> Ask:
    """Return a function that requests the shared sandbox: ``await get("/data/CustomersV3", params={"$top": 1})``."""
    return lambda url, **options: _ask(app, url, **options)


@pytest.fixture
def sandbox() -> Callable[..., Ask]:
    """Return a function that makes a sandbox of given settings for this test."""

    def make(**settings: Any) -> Ask:
        return Sandbox(create_sandbox(SandboxSettings(**settings)))

    return make
