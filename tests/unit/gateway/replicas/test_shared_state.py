"""The connection to the shared state: whatever it waits for, it can be cancelled."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from pydantic import SecretStr

from gateway.config.replica_models import ReplicaOptions
from gateway.replicas.shared_state import SharedState, SharedStateAway
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.anyio
TURNS = 40
"""Of the event loop: more than a command takes, a new connection included."""


def state_of(redis: RedisServer) -> SharedState:
    return SharedState(ReplicaOptions(address=SecretStr(redis.address)), lambda _: None)


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_connected", [False, True], ids=["connecting", "connected"])
async def test_a_command_is_cancelled_at_every_await(
    redis: RedisServer, *, is_connected: bool
) -> None:
    state = state_of(redis)
    async with state.running():
        for number in range(TURNS):
            if is_connected:
                await state.call(lambda client: client.set("key", "value"))
            else:
                await state._client.connection_pool.disconnect()
            task = asyncio.ensure_future(state.call(lambda client: client.set("key", "value")))
            await turns(number)
            was_running = task.cancel()
            with suppress(asyncio.CancelledError, SharedStateAway):
                await task
            # Otherwise whoever cancels it, such as a shutdown, waits for a task that goes on.
            assert task.cancelled() == was_running, number
