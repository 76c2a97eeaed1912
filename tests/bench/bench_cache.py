"""What sharing and caching of upstream answers cost and save: CPU of one read, upstream requests of a mix of reads."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx

from gateway.cache.environment_answers import EnvironmentAnswers
from gateway.config.cache_models import CacheOptions
from gateway.config.settings import Settings
from gateway.engine import Engine
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.sandbox import create_sandbox
from tests.bench.measure import GC_NORMAL, Report, in_turn, percent

CALLS = 100
"""Operations of one round."""
DISTINCT = 200
"""Reads of the mix; how often each comes follows Zipf's law, as in `identity class` figures of the literature."""
A_SECOND = 5.0
QUERY = "query($first: Int!) { customerGroups(first: $first) { nodes { customerGroupId description } } }"
OPTIONS: dict[str, dict[str, Any]] = {
    "nothing shared": {"coalesce": False},
    "reads under way shared": {"coalesce": True},
    "cached for 300 s": {"ttl": 300, "sets": ["CustomerGroups"]},
}


class Replaying(httpx.AsyncBaseTransport):
    """The sandbox, which answers each address once; then its answer is replayed."""

    def __init__(self) -> None:
        self._sandbox = httpx.ASGITransport(create_sandbox())
        self._answers: dict[str, tuple[int, dict[str, str], bytes]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        address = str(request.url)
        if address not in self._answers:
            answer = await self._sandbox.handle_async_request(request)
            kind = {"content-type": answer.headers["content-type"]}
            self._answers[address] = (answer.status_code, kind, await answer.aread())
        status, headers, body = self._answers[address]
        return httpx.Response(status, headers=headers, content=body)


async def cache(quick: bool) -> list[Report]:
    """Measure the CPU of one read, and count the requests of a mix of reference reads."""
    async with AsyncExitStack() as stack:
        gateways = {
            name: await stack.enter_async_context(
                open_gateway(
                    Settings(cache_dir=None, language=None, cache=CacheOptions(**options)),
                    transport=Replaying(),
                    observe=lambda _: None,
                )
            )
            for name, options in OPTIONS.items()
        }
        return [await _costs(gateways, quick), await _mix(gateways["cached for 300 s"], quick)]


async def _costs(gateways: dict[str, Gateway], quick: bool) -> Report:
    def reading(engine: Engine) -> Callable[[], Awaitable[None]]:
        async def read() -> None:
            for _ in range(CALLS):
                await engine.execute(GraphQLRequest(query=QUERY, variables={"first": 10}))

        return read

    report = Report("cache", f"one read of ten rows, from an upstream in this process; {GC_NORMAL}")
    readings = {name: reading(gateway.engine) for name, gateway in gateways.items()}
    times = await in_turn(readings, 15 if quick else 50)
    floor = times["nothing shared"].median
    for case, sample in times.items():
        report.add(
            case=case,
            median_us=round(sample.median / CALLS * 1e6, 1),
            ratio=round(sample.median / floor, 3),
            spread=percent(sample.spread),
        )
    return report


async def _mix(gateway: Gateway, quick: bool) -> Report:
    """Read a mix for simulated minutes, after as long a time as answers are cached."""
    answers = gateway.client.answers
    assert isinstance(answers, EnvironmentAnswers)
    clock = 0.0
    answers._now = lambda: clock
    seconds = 600 if quick else 3_600
    chance = random.Random(7)
    reads = list(range(1, DISTINCT + 1))
    weights = [1 / rank for rank in reads]
    sent = operations = 0
    while clock < answers.options.ttl + seconds:
        clock += chance.expovariate(A_SECOND)
        (first,) = chance.choices(reads, weights)
        request = GraphQLRequest(query=QUERY, variables={"first": first})
        answer = await gateway.engine.execute(request)
        if clock > answers.options.ttl:
            operations += 1
            sent += len(answer.requests)
    report = Report(
        "cache_mix",
        f"{DISTINCT} reference reads by Zipf's law, {A_SECOND:g} a second, for {seconds:,} simulated seconds",
    )
    report.add(operations=operations, requests=sent, saved=round(1 - sent / operations, 3))
    return report
