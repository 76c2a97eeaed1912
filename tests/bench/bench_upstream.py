"""The upstream call alone: CPU of this process per call at 8 connections, by what makes it."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import httpx

from gateway.config.settings import Settings
from gateway.odata.client import ODataClient
from gateway.odata.query import Request
from gateway.odata.transport import make_transport
from tests.bench.bench_http import STATIC, queries
from tests.bench.measure import Report, Sample, ms, percent
from tests.bench.processes import running
from tests.bench.recording import record

CONNECTIONS = 8
CASES = ("1 row x 10", "100 rows x 10")

Call = Callable[[], Awaitable[object]]


async def upstream(quick: bool) -> list[Report]:
    """Compare the ways to make one call: aiohttp bare is the floor, httpx's own transport what we do without."""
    report = Report("upstream", f"one call, {CONNECTIONS} connections, static upstream on loopback")
    calls, rounds = (80, 5) if quick else (800, 15)
    with tempfile.TemporaryDirectory() as folder:
        asked = {name: query for name, query in queries().items() if name in CASES}
        cases = await record(Path(folder), asked)
        with running([sys.executable, STATIC, folder], os.environ) as program:
            origin = f"http://127.0.0.1:{program.line_with('')}"
            for case in cases:
                async with AsyncExitStack() as opened:
                    ways = await _ways(origin, case.target, opened)
                    found = await _in_turn(ways, calls, rounds)
                floor = found["aiohttp, bare"].median
                for way, sample in found.items():
                    report.add(
                        case=case.name,
                        way=way,
                        cpu_ms=ms(sample.median),
                        spread=percent(sample.spread),
                        ratio=round(sample.median / floor, 2),
                    )
    report.notes.append(
        "ODataClient.send: with retries, limits, events and the judgement of the answer."
    )
    return [report]


async def _ways(origin: str, target: str, opened: AsyncExitStack) -> dict[str, Call]:
    settings = Settings(url=f"{origin}/data", auth="none", concurrency=CONNECTIONS)
    url, request = origin + target, Request("GET", target.removeprefix("/data/"), {})
    session = await opened.enter_async_context(aiohttp.ClientSession())
    ours = await opened.enter_async_context(ODataClient(settings, observe=lambda _: None))
    over = await opened.enter_async_context(
        httpx.AsyncClient(transport=make_transport(settings), timeout=30)
    )
    default = await opened.enter_async_context(httpx.AsyncClient(timeout=30))

    async def bare() -> None:
        async with session.get(url) as response:
            assert response.status == 200
            await response.read()

    async def send() -> None:
        assert (await ours.send(request)).status == 200

    async def client_over_ours() -> None:
        assert (await over.get(url)).status_code == 200

    async def client() -> None:
        assert (await default.get(url)).status_code == 200

    return {
        "aiohttp, bare": bare,
        "ODataClient.send": send,
        "httpx client over our transport": client_over_ours,
        "httpx client, its own transport": client,
    }


async def _in_turn(ways: dict[str, Call], calls: int, rounds: int) -> dict[str, Sample]:
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-1, rounds):
        for name, call in ways.items():
            seconds = await _cpu(call, calls)
            if number >= 0:
                taken[name].append(seconds / calls)
    return {name: Sample(tuple(values)) for name, values in taken.items()}


async def _cpu(call: Call, calls: int) -> float:
    """Return the CPU seconds of so many calls, over as many connections as there are."""

    async def some() -> None:
        for _ in range(calls // CONNECTIONS):
            await call()

    started = time.process_time()
    await asyncio.gather(*(some() for _ in range(CONNECTIONS)))
    return time.process_time() - started
