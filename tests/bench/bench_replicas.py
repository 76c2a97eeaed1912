"""Replicas under overload: what they attain together of a capacity that moves, beside a gateway alone.

simulated     shares by the script of a real Redis, on a clock that is a number
over sockets  the sandbox with such a capacity, as a program of its own; each replica has a client and shares;
              beside them 16 callers who ignore refusals, the most that this machine's sandbox answers
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from pydantic import SecretStr

from gateway.config.replica_models import ReplicaOptions
from gateway.odata.client import ODataClient
from gateway.replicas.replicas import Replicas
from tests.bench import bench_overload as overload
from tests.bench.measure import Report
from tests.support.capacity import World, simulate
from tests.support.redis_server import RedisServer, redis_server
from tests.support.replica_senders import ReplicaSenders
from tests.support.senders import Ours

REPLICAS = (1, 4)


async def replicas(quick: bool) -> list[Report]:
    """Simulate, then measure over sockets."""
    with redis_server() as server:
        simulated = await asyncio.to_thread(_simulated, server, (1,) if quick else (1, 2, 3))
        return [simulated, await _over_sockets(server, 6.0 if quick else 20.0)]


def _simulated(server: RedisServer, seeds: tuple[int, ...]) -> Report:
    report = Report("replicas", "simulated: 8, 3, 8 workers, 60 s each; shared by a Redis")
    with server.client() as client:
        for above in (3.0, 1.5):
            for wait in (0.0, 1.0):
                worlds = [
                    World(refuses_above=above, retry_after=wait, seed=seed, tick=0.1)
                    for seed in seeds
                ]
                for number in (0, *REPLICAS):
                    results = [
                        simulate(world, ReplicaSenders(client, number) if number else Ours())
                        for world in worlds
                    ]
                    report.add(
                        replicas=number or "alone, no Redis",
                        refuses_above=above,
                        retry_after=wait or None,
                        attained=round(min(result.share for result in results), 3),
                        refused=round(max(result.refusals for result in results), 4),
                    )
    return report


async def _over_sockets(server: RedisServer, every: float) -> Report:
    report = Report("replicas_sockets", f"over sockets: 8, 3, 8 workers, {every:g} s each")
    attainable = sum(overload.WORKERS) * every / overload.LATENCY
    fixed = 0
    for number in (0, *REPLICAS):
        counter = overload.Counter()
        with server.client() as client:
            client.flushall()
        with overload._sandbox(every) as origin:
            seconds = len(overload.WORKERS) * every
            if number:
                await _together(server, number, origin, counter, seconds)
            else:
                await overload._fixed(16, origin, counter, seconds)
        fixed = fixed or counter.good
        report.add(
            replicas=number or "none, fixed 16",
            answers=counter.good,
            attained=round(counter.good / attainable, 3),
            to_fixed=round(counter.good / fixed, 3),
            refused=round(counter.refused / max(1, counter.good + counter.refused), 4),
        )
    return report


async def _together(
    server: RedisServer, number: int, root: str, counter: overload.Counter, seconds: float
) -> None:
    options = ReplicaOptions(address=SecretStr(server.address))
    settings = overload._settings(root).model_copy(update={"replicas": options})
    async with AsyncExitStack() as stack:
        loops = []
        for _ in range(number):
            shared = Replicas(settings, lambda _: None)
            await stack.enter_async_context(shared.running())
            client = await stack.enter_async_context(ODataClient(settings, observe=counter))
            stack.enter_context(shared.joined(client, settings))
            loops += [
                overload._endless(client, overload.READ) for _ in range(overload.DEMAND // number)
            ]
        await overload._for(seconds, loops)
