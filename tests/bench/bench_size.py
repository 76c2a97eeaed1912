"""What ``d365-graphql size`` reckons with: CPU and memory of what a deployment does, beside its coefficients.

CPU is that of the gateway's process and memory is resident, so that a busy machine changes neither by much.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import orjson

from gateway.sizing.coefficients import MEANINGS, MEASURED, UNITS
from tests.bench import whole
from tests.bench.bench_export import costs
from tests.bench.bench_touch import nothing
from tests.bench.load import by_client
from tests.bench.measure import GC_FROZEN, Report, cpu_of, memory, peak_memory
from tests.bench.processes import PROGRAM, environment, gateway, running
from tests.bench.serving import FIVE, HUNDRED, ONE, THOUSAND, loaded, serving

CONNECTIONS = 16
AT_ONCE = 40
STREAMS = 200
EXPORTED = 100_000
SUBSCRIPTION = """subscription {
  entityChanged(set: "customerGroups", where: { dataAreaId: { eq: "usmf" } }) { kind id }
}"""
UPDATE = """mutation ($text: String!) {
  updateCustomerGroup(key: {dataAreaId: "usmf", customerGroupId: "10"}, patch: {description: $text}) {
    userErrors { code }
  }
}"""


async def size(quick: bool) -> list[Report]:
    """Measure each coefficient; the column used is what the command reckons with."""
    report = Report(
        "size",
        f"what one process needs for each, {GC_FROZEN}; CPU in ms or µs, memory in MiB or KiB",
    )
    measured = {
        **await _operations(quick),
        **await _catalogues(),
        **await _streams(quick),
        **_exports(EXPORTED // 4 if quick else EXPORTED),
    }
    for name, value in measured.items():
        _add(report, name, value)
    report.notes.append(
        "used: gateway/sizing/coefficients.py; ratio: measured to used, which has some reserve."
    )
    return [report]


def _add(report: Report, name: str, value: float) -> None:
    factor, unit = UNITS[MEANINGS[name].unit]
    used = getattr(MEASURED, name)
    report.add(
        what=name,
        measured=float(f"{value * factor:.3g}"),
        used=used * factor,
        unit=unit,
        ratio=round(value / used, 2),
    )


async def _operations(quick: bool) -> dict[str, float]:
    """Measure operations: what one takes by itself, for each further upstream request, and for each value."""
    cpu: dict[str, list[float]] = {}
    async with serving(ONE, FIVE, HUNDRED, THOUSAND) as opened:
        for _ in range(3 if quick else 7):
            for name, case in opened.cases.items():
                run = await loaded(opened, case, CONNECTIONS, 0.6 if quick else 1.0)
                cpu.setdefault(name, []).append(run.cpu)
        one, five, hundred, thousand = (statistics.median(taken) for taken in cpu.values())
        values = {name: case.leaves for name, case in opened.cases.items()}
    return {
        "operation": one - (five - one) / 4,
        "request": (five - one) / 4,
        "value": max(
            (thousand - one) / (values[THOUSAND] - values[ONE]),
            (hundred - one) / (values[HUNDRED] - values[ONE]),
        ),
    }


async def _catalogues() -> dict[str, float]:
    """Measure the memory of processes: with a small catalogue, with the whole one, with answers; of a supervisor."""
    async with serving(ONE) as opened:
        small = memory(opened.program.server_pid)
    async with serving(THOUSAND) as opened:
        case = opened.cases[THOUSAND]
        body = orjson.dumps({"query": case.query})
        await asyncio.to_thread(by_client, opened.address, body, AT_ONCE, 0, case.length)
        answers = peak_memory(opened.program.server_pid) - small
    async with serving(ONE, workers=2) as opened:
        supervisor = memory(opened.program.pid)
    settings = whole.settings(auth="none", url="http://nowhere.invalid/data")
    _, known = await whole.known(settings)
    given = {
        "D365_AUTH": "none",
        "D365_DIALECT": "finops",
        "D365_METADATA": str(whole.source()),
        "D365_CACHE_DIR": str(whole.folder()),
    }
    async with nothing() as port, httpx.AsyncClient(timeout=60) as http:
        with gateway(D365_URL=f"http://127.0.0.1:{port}/data", **given) as (program, address):
            query = "{ customersV3(first: 1) { nodes { customerAccount } } }"
            (await http.post(address, json={"query": query})).raise_for_status()
            large = memory(program.server_pid)
    sets = len(known.model.entity_sets)
    return {
        "process": small,
        "supervisor": supervisor,
        "entity_set": (large - small) / sets,
        "answer_value": answers / AT_ONCE / case.leaves,
    }


async def _streams(quick: bool) -> dict[str, float]:
    """Measure event streams: the memory of each, the CPU of a poll, and that of a change which each of them gets."""
    changes = 5 if quick else 20
    sandbox = [PROGRAM, "sandbox", "--port", "0"]
    with running(sandbox, environment()) as upstream:
        root = upstream.line_with("http").split()[-1]
        given = {"D365_URL": root, "D365_AUTH": "none", "D365_SUBSCRIPTIONS__INTERVAL": "0.5"}
        with gateway(**given) as (program, address):
            pid = program.server_pid
            async with _streaming(address, 1) as _, httpx.AsyncClient(timeout=60) as http:
                await asyncio.sleep(2)
                before = memory(pid)
                async with _streaming(address, STREAMS - 1) as streams:
                    await asyncio.sleep(2)
                    each = (memory(pid) - before) / (STREAMS - 1)
                    polls, seconds = await _cpu_while(pid, asyncio.sleep(6.0))
                    polled = polls / (seconds / 0.5)
                    await _change(http, address, "warm", streams)
                    taken = 0.0
                    for number in range(changes):
                        cpu, seconds = await _cpu_while(
                            pid, _change(http, address, str(number), streams)
                        )
                        taken += max(0.0, cpu - polls / 6.0 * seconds)
    return {"stream": each, "poll": polled, "pushed": taken / changes / STREAMS}


async def _cpu_while(pid: int, work: Awaitable[object]) -> tuple[float, float]:
    before, started = cpu_of(pid), time.perf_counter()
    await work
    return cpu_of(pid) - before, time.perf_counter() - started


async def _change(
    http: httpx.AsyncClient, address: str, text: str, streams: list[asyncio.StreamReader]
) -> None:
    """Change a row, and wait until all streams have it."""
    body = {"query": UPDATE, "variables": {"text": text}}
    answer = (await http.post(address, json=body)).json()
    if "errors" in answer or answer["data"]["updateCustomerGroup"]["userErrors"]:
        raise RuntimeError(str(answer))
    async with asyncio.timeout(30):
        await asyncio.gather(*(stream.readuntil(b"event: next") for stream in streams))


@asynccontextmanager
async def _streaming(address: str, count: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Hold event streams open; they get the changes of one list."""
    parts = urlsplit(address)
    body = json.dumps({"query": SUBSCRIPTION}).encode()
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Accept: text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    opened: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    try:
        for _ in range(count):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            opened.append((reader, writer))
            writer.write(head + body)
            line = await reader.readline()
            if b" 200 " not in line:
                raise RuntimeError(f"{line!r} {await reader.read(2_000)!r}")
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.close()


def _exports(rows: int) -> dict[str, float]:
    (row,) = costs((rows,), ("ndjson",)).rows
    if row["errors"]:
        raise RuntimeError("the export failed")
    return {"exported_row": row["us_per_row"] / 1e6, "export": row["peak"] - row["before"]}
