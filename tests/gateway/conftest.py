"""Fixtures of the gateway's tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from starlette.applications import Starlette

from gateway.config.settings import Settings
from gateway.runtime.assembly import Gateway, open_client, open_gateway
from gateway.sandbox import create_sandbox

QUIET = Settings(cache_dir=None, language="none")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def sandbox() -> Starlette:
    """A sandbox that the read cases share; who puts rows in takes them out again."""
    return create_sandbox()


@pytest.fixture(scope="session")
def assembled(sandbox: Starlette) -> Gateway:
    """A gateway over the sandbox, without a connection."""

    async def assemble() -> Gateway:
        transport = httpx.ASGITransport(sandbox)
        async with open_gateway(QUIET, transport=transport, observe=lambda _: None) as gateway:
            return gateway

    return asyncio.run(assemble())


@pytest.fixture
async def sandboxed(assembled: Gateway, sandbox: Starlette) -> AsyncIterator[Gateway]:
    """A gateway over the shared sandbox, with connections of its own."""
    transport = httpx.ASGITransport(sandbox)
    async with open_client(QUIET, transport=transport, observe=lambda _: None) as client:
        yield replace(assembled, client=client)
