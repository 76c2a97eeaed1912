"""Upstream bytes → response bytes inside one process, against the floor for the same bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from itertools import pairwise
from statistics import median

import orjson

from gateway.engine import Engine
from gateway.request import GraphQLRequest
from tests.bench.measure import (
    GC_FROZEN,
    GC_NORMAL,
    Report,
    Variant,
    frozen_gc,
    ms,
    percent,
)
from tests.bench.repetition import Interval, alternating, in_fresh_processes
from tests.bench.workload import (
    CLEANED,
    ORDERS,
    PLAIN,
    Service,
    batched_floor,
    engine_over,
    floor_of,
    nested_query,
)

ROWS = 1_000
SHAPES = {
    "expanded": (PLAIN, True),
    "cleaned": (CLEANED, True),
    "key batches": (PLAIN, False),
}
"""Name → columns, and whether ``$expand`` may carry the relations."""
BARS = {"expanded": 0.9, "cleaned": 1.2, "key batches": 1.5}
"""Printed beside the ratio, not asserted."""
LONGEST_MS = 50


async def execute(quick: bool) -> list[Report]:
    """Measure 1,000 rows x (20 values + a to-one of 5 + 5 children of 5), cached document, in fresh processes."""
    processes, rounds = (5, 5) if quick else (11, 9)
    report = Report(
        "execute",
        f"{ROWS:,} rows x (20 values + to-one of 5 + 5 x 5), cached document, ratio to the floor:"
        f" median of {processes} processes",
    )
    samples = await in_fresh_processes(f"{__name__}:one_process", [rounds], processes)
    for state in (GC_NORMAL, GC_FROZEN):
        for name in SHAPES:
            taken = [sample[state][name] for sample in samples]
            ratio = Interval.of([times["gateway"] / times["floor"] for times in taken])
            own = [t["gateway"] / t["own floor"] for t in taken if "own floor" in t]
            report.add(
                shape=name,
                gc=state,
                floor_ms=ms(median(times["floor"] for times in taken)),
                gateway_ms=ms(median(times["gateway"] for times in taken)),
                ratio=round(ratio.median, 2),
                spread=str(ratio),
                resolution=percent(ratio.resolution),
                bar=BARS[name],
                to_own_floor=round(median(own), 2) if own else None,
            )
    report.notes += [
        "Floor: orjson.loads + a literal dict projection + orjson.dumps of the expanded bytes, nothing converted.",
        "Own floor: the same of the batches' own bytes, children looked up in dicts by their keys.",
        "Cleaned: ten of the 20 values are enums, NoYes, X++ dates and date-times.",
        "spread: interval of the median over processes; resolution: a smaller change is not seen by two such runs.",
    ]
    return [report, await turns(3 if quick else 5)]


async def one_process(rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return the CPU seconds of floor and gateway by state of the collector and shape, of this process."""
    by_name: dict[str, dict[str, dict[str, float]]] = {}
    contestants = {name: await _contestants(name) for name in SHAPES}
    for state in (GC_NORMAL, GC_FROZEN):
        with frozen_gc() if state is GC_FROZEN else nullcontext():
            by_name[state] = {name: await alternating(contestants[name], rounds) for name in SHAPES}
    return by_name


async def _contestants(shape: str) -> dict[str, Variant]:
    """Return the gateway and its floors for a shape; each has run once."""
    columns, expand = SHAPES[shape]
    service = Service()
    engine = engine_over(service, expand=expand)
    query = nested_query(columns, ROWS)
    body = await expanded_body(columns)
    floor = floor_of(columns)
    run = runner(engine, query)
    await run()
    variants: dict[str, Variant] = {"floor": lambda: floor(body), "gateway": run}
    if not expand:
        own = batched_floor(await bodies(engine, service, query))
        assert orjson.loads(own()) == orjson.loads(floor(body))
        variants["own floor"] = own
    return variants


async def turns(rounds: int) -> Report:
    """Measure how long a page of 10,000 rows keeps the event loop to itself, in CPU time."""
    report = Report(
        "turns", f"{ORDERS:,} rows of the same: the longest time without a turn for others"
    )
    for name, expand in (("expanded", True), ("key batches", False)):
        engine = engine_over(Service(), expand=expand)
        run = runner(engine, nested_query(PLAIN, ORDERS))
        await run()
        with frozen_gc():
            items = [await _stretches(run) for _ in range(rounds)]
        report.add(
            shape=name,
            turns=len(items[0]),
            all_ms=ms(median(sum(stretches) for stretches in items)),
            longest_ms=ms(median(max(stretches) for stretches in items)),
            bar=LONGEST_MS,
        )
    return report


async def _stretches(run: Callable[[], Awaitable[object]]) -> list[float]:
    """Return the seconds of CPU between each two turns of a bystander while something runs."""
    moments: list[float] = []

    async def stand_by() -> None:
        while True:
            moments.append(time.process_time())
            await asyncio.sleep(0)

    bystander = asyncio.create_task(stand_by())
    await asyncio.sleep(0)
    await run()
    moments.append(time.process_time())
    bystander.cancel()
    return [end - start for start, end in pairwise(moments)]


def runner(engine: Engine, query: str) -> Callable[[], Awaitable[int]]:
    """Return a function that executes and encodes; it raises where the answer holds errors."""
    request = GraphQLRequest(query=query)

    async def run() -> int:
        answer = await engine.execute(request)
        answer.encode()
        if answer.errors:
            raise AssertionError(answer.errors[0])
        return len(answer.requests)

    return run


async def bodies(engine: Engine, service: Service, query: str) -> dict[str, list[bytes]]:
    """Return the upstream's answers by entity set: what the floor of key batches reads."""
    answer = await engine.execute(GraphQLRequest(query=query))
    by_name: dict[str, list[bytes]] = {}
    for request in answer.requests:
        response = await service.send(request)
        by_name.setdefault(request.url.partition("?")[0], []).append(response.body)
    return by_name


async def expanded_body(columns: tuple) -> bytes:
    """Return the upstream's answer with everything expanded: what the floor reads."""
    service = Service()
    query = nested_query(columns, ROWS)
    answer = await engine_over(service).execute(GraphQLRequest(query=query))
    assert len(answer.requests) == 1
    return (await service.send(answer.requests[0])).body
