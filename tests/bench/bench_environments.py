"""Many environments in one process: memory of idle ones and of those in use, first queries, and noisy neighbours."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from gateway.environments.registry import SettingsRegistry
from tests.bench import whole
from tests.bench.environment_deployment import QUERIES, Deployment, deployed, name_of, settings_with
from tests.bench.measure import Report, Sample, frozen_gc, in_turn, memory, ms, percent
from tests.bench.repetition import in_fresh_processes

REGISTERED = 1_000
IN_USE = 50
HERE = "tests.bench.bench_environments"
LATENCY = 0.05
"""Seconds of an upstream answer where neighbours are measured: what a quick environment takes."""
NEIGHBOURS = 200
"""Requests at a time to the environment that is loaded: many times its limit."""
OTHERS = 4
TURNS = 6
"""In turns, so that whatever else the machine does is in both."""
QUERY = '{ customersV3(where: { customerAccount: { eq: "%s" } }) { nodes { customerAccount } } }'
REGISTERED_ONLY, USED, CLOSED = "registered", "in use", "closed"


async def environments(quick: bool) -> list[Report]:
    """Measure memory in fresh processes, and times in this one."""
    number = 12 if quick else IN_USE
    await whole.known(whole.settings())  # leaves the snapshot for the processes
    await in_fresh_processes("tests.bench.environment_deployment:prepare", [2 * number], 1)
    return [
        await _memory(number),
        await _first_queries(number // 3),
        await _hot_path(200 if quick else 1_000),
        await _neighbour(6.0 if quick else 18.0),
    ]


async def _memory(number: int) -> Report:
    report = Report("environments", "resident memory of one process, whole catalogue, in MiB")
    (idle,) = await in_fresh_processes(f"{HERE}:memory_of_registered", [REGISTERED], 1)
    report.add(
        state=REGISTERED_ONLY, environments=REGISTERED, more=idle, each=round(idle / REGISTERED, 4)
    )
    for documents in ("different", "equal"):
        (used,) = await in_fresh_processes(
            f"{HERE}:memory_in_use", [number, documents == "equal"], 1
        )
        each = (used["all"] - used["half"]) / (number - number // 2)
        report.add(
            state=USED,
            documents=documents,
            environments=number,
            more=round(used["all"], 1),
            each=round(each, 2),
            fifty=round(used["all"] + (IN_USE - number) * each, 1),
        )
        report.add(
            state=CLOSED,
            documents=documents,
            environments=number,
            more=round(used["closed"], 1),
            each=round((used["later"] - used["closed"]) / number, 2),
        )
    report.notes += [
        f"in use: each is what one more adds, in the second half; fifty: {IN_USE} of them, at that rate.",
        "closed: after as many were in use and are idle again; each: what as many others add that come and go later.",
        "Documents that differ do so by a custom field of three types; five operations were run in each.",
    ]
    return report


async def memory_of_registered(number: int) -> float:
    """Return what so many registered environments take that were never opened."""
    before = _settled()
    registry = SettingsRegistry(settings_with(number))
    more = _settled() - before
    assert sum(1 for _ in registry.names()) == number
    return more


async def memory_in_use(number: int, are_equal: bool) -> dict[str, float]:
    """Return what environments take: half of them in use, all, after they closed, and after as many others did."""
    async with deployed(2 * number, are_equal=are_equal, environment_idle=1.0) as deployment:
        # What the first use of anything loads is not an environment's.
        await deployment.post(None, QUERIES[0])
        before = _settled()
        taken: dict[str, float] = {}
        for first, end, name in ((0, number // 2, "half"), (0, number, "all")):
            await _use(deployment, range(first, end))
            taken[name] = _settled() - before
        await _closed(deployment)
        taken["closed"] = _settled() - before
        await _use(deployment, range(number, 2 * number))
        await _closed(deployment)
        taken["later"] = _settled() - before
    return taken


async def _use(deployment: Deployment, numbers: Iterable[int]) -> None:
    """Run operations in environments, and keep all of them open until the last one is done."""
    opened = deployment.app.state.environments
    leases = []
    for number in numbers:
        leases.append(await opened.lease(opened.registry.find(name_of(number))))
        for query in QUERIES:
            await deployment.post(number, query)
    for lease in leases:
        lease.release()


async def _closed(deployment: Deployment) -> None:
    opened = deployment.app.state.environments
    while opened.states()["open"]:  # noqa: ASYNC110 - they close by themselves
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)


def _settled() -> float:
    gc.collect()
    return memory(os.getpid())


async def _first_queries(number: int) -> Report:
    """Time first queries of environments that are idle; their upstream takes no time, and their snapshots are there."""
    report = Report("first_query", "first query of an idle environment, beside its upstream")
    for documents in ("different", "equal"):
        are_equal = documents == "equal"
        async with deployed(number, are_equal=are_equal, environment_idle=0.05) as deployment:
            await deployment.post(None, QUERIES[0])
            times: list[float] = []
            cpu: list[float] = []
            for _ in range(3):
                for n in range(number):
                    started, used = time.perf_counter(), time.process_time()
                    await deployment.post(n, QUERIES[0])
                    cpu.append(time.process_time() - used)
                    times.append(time.perf_counter() - started)
                await _closed(deployment)
        sample = Sample(tuple(cpu))
        report.add(
            documents=documents,
            queries=len(cpu),
            cpu_ms=ms(sample.median),
            spread=percent(sample.spread),
            worst_cpu_ms=ms(max(cpu)),
            median_ms=ms(Sample(tuple(times)).median),
            worst_ms=ms(max(times)),
        )
    report.notes.append("cpu_ms: all threads of the process, whatever else the machine does.")
    return report


async def _hot_path(rounds: int) -> Report:
    """Compare requests to the settings' environment in deployments with and without others."""
    report = Report("own_path", "a request to the settings' environment, beside others; CPU time")
    async with deployed(0) as alone, deployed(REGISTERED) as beside:
        await beside.post(0, QUERIES[0])

        def ask(deployment: Deployment) -> Callable[[], Any]:
            return lambda: deployment.post(None, QUERIES[0])

        variants = {"alone": ask(alone), "beside": ask(beside)}
        with frozen_gc():
            times = await in_turn(variants, rounds, warm=50, clock=time.process_time)
    ratio = times["beside"].median / times["alone"].median
    report.add(
        others=REGISTERED,
        alone_us=round(times["alone"].median * 1e6, 1),
        beside_us=round(times["beside"].median * 1e6, 1),
        ratio=round(ratio, 3),
        spread=percent(times["beside"].over(times["alone"]).spread),
    )
    return report


async def _neighbour(seconds: float) -> Report:
    """Compare latencies of one environment while another one is idle, and while it is loaded beyond its limits."""
    report = Report(
        "neighbour", f"an environment beside a loaded one; {LATENCY * 1000:.0f} ms upstream"
    )
    quiet: list[float] = []
    noisy: list[float] = []
    async with deployed(2) as deployment:
        for n in (0, 1):
            await deployment.post(n, QUERIES[0])
        deployment.upstream.latency = LATENCY
        with frozen_gc():
            for _ in range(TURNS):
                await _ask_for(deployment, 1, OTHERS, seconds / TURNS / 2, quiet)
                load: list[float] = []
                loaded = asyncio.create_task(
                    _ask_for(deployment, 0, NEIGHBOURS, seconds / TURNS / 2 + 0.5, load)
                )
                await asyncio.sleep(0.5)
                await _ask_for(deployment, 1, OTHERS, seconds / TURNS / 2, noisy)
                await loaded
    before, beside = Sample(tuple(quiet)), Sample(tuple(noisy))
    report.add(
        requests=len(noisy),
        load=NEIGHBOURS,
        load_rps=round(len(load) / (seconds / TURNS / 2 + 0.5)),
        p50_ms=ms(before.median),
        p50_beside_ms=ms(beside.median),
        p95_ms=ms(before.at(0.95)),
        p95_beside_ms=ms(beside.at(0.95)),
        ratio=round(beside.at(0.95) / before.at(0.95), 3),
    )
    return report


async def _ask_for(
    deployment: Deployment, number: int, clients: int, seconds: float, times: list[float]
) -> None:
    """Let so many clients ask one after the other for so long; add how long each answer took."""
    ends = time.perf_counter() + seconds

    async def ask(client: int) -> None:
        count = 0
        while (started := time.perf_counter()) < ends:
            # Not shared with other clients' reads under way.
            await deployment.post(number, QUERY % f"{client}-{count}")
            times.append(time.perf_counter() - started)
            count += 1

    await asyncio.gather(*map(ask, range(clients)))
