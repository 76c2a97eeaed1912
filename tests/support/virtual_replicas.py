"""Replicas as they are, with clients, shares and pauses, over a service and a shared state on a clock that is a number.

Nothing is replaced but the transport and the connection to the shared state: its scripts run in a real Redis, with the
time of that clock, and notices come after a moment.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import httpx
import redis
from msgspec import Struct

from gateway.admission.admission import lanes_of
from gateway.config.settings import Settings
from gateway.errors import UpstreamError
from gateway.odata.client import ODataClient
from gateway.odata.query import Request
from gateway.odata.retry import Clock
from gateway.replicas.limit_shares import LimitShares
from gateway.replicas.notices import Notice
from gateway.replicas.shared_pauses import SharedPauses
from gateway.replicas.shared_state import SharedState
from gateway.sandbox.capacity import Capacity, Workers

from .virtual_time import run_virtual

LATENCY, TRIP, TRIP_TO_REDIS = 0.06, 0.002, 0.001
DEMAND = 60
"""Callers who want something all the time, of all replicas together."""
READ = Request("GET", "Currencies?$top=1", {})
SETTINGS = Settings(
    url="https://fo.example/data",
    auth="none",
    dialect="finops",
    cache_dir=None,
    concurrency=52,
    retries=20,
)


class Attained(Struct, frozen=True):
    """What came of it."""

    share: float
    """Of what the workers could answer."""
    refusals: float
    """Share of the calls that were answered 429."""


class _State:
    """The shared state of one replica."""

    def __init__(self, client: redis.Redis, others: list[_State]) -> None:
        self.replica = f"r{len(others)}"
        self._client, self._all = client, others
        self._listeners: list[Callable[[Notice], None]] = []
        others.append(self)

    def key(self, *parts: str) -> str:
        return ":".join(parts)

    def on_notice(self, heard: Callable[[Notice], None]) -> None:
        self._listeners.append(heard)

    def on_return(self, returned: Callable[[], None]) -> None:
        """It is never away."""

    def script(self, text: str) -> Callable[..., Awaitable[Any]]:
        script = self._client.register_script(
            text.replace("redis.call('TIME')", "{ ARGV[#ARGV], '0' }")
        )

        async def run(keys: list[str], args: tuple[Any, ...], client: None) -> Any:
            await asyncio.sleep(TRIP_TO_REDIS / 2)
            answer = script(keys=keys, args=[*args, f"{_now():.6f}"])
            await asyncio.sleep(TRIP_TO_REDIS / 2)
            return answer

        return run

    async def call(self, send: Callable[[None], Awaitable[Any]]) -> Any:
        return await send(None)

    async def notify(self, notice: Notice) -> bool:
        self.notify_soon(notice)
        return True

    def notify_soon(self, notice: Notice) -> None:
        loop = asyncio.get_running_loop()
        for other in self._all:
            if other is not self:
                for heard in other._listeners:
                    loop.call_later(TRIP_TO_REDIS, heard, notice)


class _Service(httpx.AsyncBaseTransport):
    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self.answers: Counter[int] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(TRIP / 2)
        page = cast("Any", SimpleNamespace(headers={}, body=b""))
        answer = await self._workers.answer(page, lambda _: page)
        await asyncio.sleep(TRIP / 2)
        status = 429 if answer is None else 200
        self.answers[status] += 1
        return httpx.Response(status, json={"value": []})


def _now() -> float:
    return 1_000.0 + asyncio.get_running_loop().time()


def attained(client: redis.Redis, replicas: int, *, refuses_above: float, every: float) -> Attained:
    """Return what so many replicas make of 8, 3, and 8 workers, for so many seconds each."""
    client.flushall()
    capacity = Capacity(
        workers=(8, 3, 8), every=every, latency=LATENCY, refuses_above=refuses_above
    )
    answers = run_virtual(_run(client, replicas, capacity))
    calls = answers.total()
    return Attained(answers[200] / (19 * every / LATENCY), answers[429] / calls)


async def _run(client: redis.Redis, replicas: int, capacity: Capacity) -> Counter[int]:
    service, states, tasks = _Service(Workers(capacity)), list[_State](), list[asyncio.Task[None]]()
    clock = Clock(sleep=asyncio.sleep, now=_now)
    for _ in range(replicas):
        odata = ODataClient(SETTINGS, transport=service, observe=lambda _: None, clock=clock)
        state = cast("SharedState", _State(client, states))
        shares = LimitShares(state, alone=1 / replicas)
        shares.join("lane", odata.admission, lanes_of(SETTINGS))
        SharedPauses(state).join("lane", odata.admission)
        tasks.append(asyncio.ensure_future(shares.run()))
        tasks += [asyncio.ensure_future(_endless(odata)) for _ in range(DEMAND // replicas)]
    await asyncio.sleep(3 * capacity.every)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return service.answers


async def _endless(client: ODataClient) -> None:
    while True:
        with suppress(UpstreamError):
            await client.send(READ)
