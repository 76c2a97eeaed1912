"""The program at full load for a while: an environment whose capacity moves, and clients who want more than that.

Clients of large pages, people, exports of low priority and a flood of reads call at the same time. Whatever happens,
health checks are answered, answers are data or say when to come again, and nothing grows. ``make soak`` does it for ten
minutes.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.bench.measure import memory
from tests.bench.processes import PROGRAM, environment, gateway, running
from tests.support.soak import SOAK, bounded

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SECONDS = bounded(3.0, 600.0)
ENVIRONMENT = (
    *(PROGRAM, "sandbox", "--port", "0", "--capacity", "8,3,8"),
    *("--every", str(bounded(1.0, 20.0)), "--latency", "20", "--set", "ms_per_kib=1"),
)
SETTINGS = {
    "D365_AUTH": "none",
    "D365_MAX_OPERATIONS": "150",
    "D365_OPERATION_TIMEOUT": "10",
    "D365_INCLUDE": "CustomersV3,Currencies,Released*",
}
PAGE = "{ customersV3(first: %d) { nodes { customerAccount organizationName customerGroupId } } }"
READ = "{ currencies(first: %d) { nodes { currencyCode name } } }"
PAGES, EXPORTS, PEOPLE, FLOOD = 64, 32, 10, 150
"""Clients of each kind."""
MAY_COME_AGAIN = {"OVERLOADED", "DEADLINE_EXCEEDED", "UPSTREAM_THROTTLED"}


@dataclass
class Load:
    """What clients sent, and what they heard."""

    address: str
    session: aiohttp.ClientSession
    heard: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    health: list[int] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    async def ask(self, who: str, query: str, **headers: str) -> None:
        async with self.session.post(self.address, json={"query": query}, headers=headers) as got:
            body = await got.json(content_type=None)
        codes = {error["extensions"]["code"] for error in body.get("errors", ())}
        self.heard[f"{who} {got.status}"] += 1
        if got.status not in (200, 503) or codes - MAY_COME_AGAIN:
            self.wrong.append(f"{who} {got.status} {codes}")
        if got.status == 503:
            if "retry-after" not in got.headers:
                self.wrong.append(f"{who}: 503 without Retry-After")
            await asyncio.sleep(0.2)

    async def pages(self, who: str, rows: int, **headers: str) -> None:
        while True:
            # Equal reads would share one request.
            await self.ask(who, PAGE % (rows - next(self.numbers) % 300), **headers)

    async def people(self) -> None:
        while True:
            await self.ask("people", READ % (1 + next(self.numbers) % 100))
            await asyncio.sleep(0.1)

    async def flood(self) -> None:
        while True:
            await self.ask("flood", READ % (1 + next(self.numbers) % 1_000))

    async def checks(self) -> None:
        place = self.address.replace("/graphql", "/healthz")
        while True:
            async with self.session.get(place) as got:
                self.health.append(got.status)
            await asyncio.sleep(0.1)

    def everybody(self) -> list[Coroutine[Any, Any, None]]:
        return [
            *(self.pages("pages", 1_000) for _ in range(PAGES)),
            *(self.pages("exports", 1_000, **{"X-D365-Priority": "low"}) for _ in range(EXPORTS)),
            *(self.people() for _ in range(PEOPLE)),
            *(self.flood() for _ in range(FLOOD)),
            self.checks(),
        ]


def files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_at_full_load_nothing_fails_and_nothing_grows() -> None:
    with (
        running(ENVIRONMENT, environment()) as sandbox,
        gateway(D365_URL=sandbox.line_with("Sandbox: http").split()[-1], **SETTINGS) as (
            program,
            address,
        ),
    ):
        pid = program.server_pid
        mib: list[float] = []
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            load = Load(address, session)
            await load.ask("first", READ % 1)
            idle = files(pid)
            tasks = [asyncio.ensure_future(each) for each in load.everybody()]
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                await asyncio.sleep(SECONDS / 60)
                mib.append(memory(pid))
                failed = [task for task in tasks if task.done()]
                assert not failed, failed[0]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        # The connections of clients that have left are closed.
        async with asyncio.timeout(20):
            while files(pid) > idle + 20:  # noqa: ASYNC110 - nobody tells it
                await asyncio.sleep(0.1)

    assert load.wrong == []
    assert set(load.health) == {200}
    assert load.heard["people 200"] > 0
    assert load.heard["flood 503"] > 0
    if SOAK:
        third = len(mib) // 3
        assert statistics.median(mib[-third:]) <= 1.1 * statistics.median(mib[third : 2 * third])
