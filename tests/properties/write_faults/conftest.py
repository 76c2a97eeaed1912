"""One sandbox and one gateway for all writes that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette

from gateway.runtime.assembly import Gateway
from gateway.sandbox import create_sandbox
from gateway.sandbox.settings import SandboxSettings
from tests.support.faulty_writes import Faulty, assembled_over, faulty


@pytest.fixture(scope="session")
def sandbox() -> Starlette:
    return create_sandbox(SandboxSettings(scale=0.2))


@pytest.fixture(scope="session")
def gateway(sandbox: Starlette) -> Gateway:
    return asyncio.run(assembled_over(sandbox))


@pytest.fixture
async def over(gateway: Gateway, sandbox: Starlette) -> AsyncIterator[Faulty]:
    async with faulty(gateway, sandbox) as result:
        yield result
