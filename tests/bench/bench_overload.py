"""Under overload: how much of an environment's capacity is used, how much it refuses, and what people notice.

simulated     a service whose capacity moves, on a clock that is a number: ours, fixed limits, Gradient2
over sockets  the sandbox with such a capacity, as a program of its own; ours and fixed limits
hot path      CPU of admission for a request that need not wait
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from timeit import repeat
from typing import Any

import httpx

from gateway.admission.admission import Admission, Lanes
from gateway.admission.slots import Outcome, Sent
from gateway.admission.work import ORDINARY, Work, working
from gateway.config.settings import Settings
from gateway.errors import UpstreamError
from gateway.events import Event, RequestSent
from gateway.odata.client import ODataClient
from gateway.odata.query import Request
from gateway.odata.transport import make_transport
from tests.bench.measure import Report, Sample
from tests.bench.processes import PROGRAM, running
from tests.support.capacity import Result, Sender, World, simulate
from tests.support.senders import EXPORT, URGENT, WEIGHTS, Fixed, Gradient2, Ours

SENDERS: dict[str, Callable[[], Sender]] = {
    "fixed 4": lambda: Fixed(4),
    "fixed 16": lambda: Fixed(16),
    "Gradient2": Gradient2,
    "ours": lambda: Ours(lane=URGENT),
}
WORKERS = (8, 3, 8)
LATENCY = 0.06
ADMISSION_BAR = 20
"""Microseconds of CPU that admission may take for a request that need not wait."""
DEMAND = 60
"""Callers who want something all the time."""
READ = Request("GET", "Currencies?$top=1&$select=CurrencyCode", {})
PAGE = Request("GET", "CustomersV3?cross-company=true&$top=300", {})


async def overload(quick: bool) -> list[Report]:
    """Simulate, then measure over sockets."""
    return [
        simulated((1,) if quick else (1, 2, 3)),
        beside_exports(),
        await over_sockets(6.0 if quick else 20.0),
        hot_path(),
    ]


def simulated(seeds: tuple[int, ...]) -> Report:
    """Return what each way makes of a capacity that moves."""
    report = Report(
        "overload", "simulated: 8, 3, 8 workers, 60 s each; reads of 60 ms, pages of 600 ms"
    )
    for above in (3.0, 1.5):
        for wait in (0.0, 1.0, 5.0):
            for name, sender in SENDERS.items():
                worlds = [World(refuses_above=above, retry_after=wait, seed=seed) for seed in seeds]
                results = [simulate(world, sender()) for world in worlds]
                report.add(
                    way=name,
                    refuses_above=above,
                    retry_after=wait or None,
                    attained=round(_mean([result.share for result in results]), 3),
                    of_attainable=_attained(results) if name == "ours" else None,
                    refused=round(max(result.refusals for result in results), 4),
                )
    report.notes.append(
        "attained: work done of what the workers could do; refused: calls answered 429. of_attainable: of what a client"
        " would do that knows each capacity, and of its fall only by a first refusal, whose wait it observes."
    )
    report.notes.append(
        "Fixed limits and Gradient2 ignore Retry-After: only the refused call waits. Ours stops everybody for so long."
    )
    return report


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _attained(results: Sequence[Result]) -> float:
    return round(_mean([result.share / result.share_of_informed for result in results]), 3)


def beside_exports() -> Report:
    """Return how long people wait while an export wants all there is."""
    report = Report(
        "overload_lanes", "simulated: ten reads a second beside an export that saturates"
    )
    alone = simulate(World(saturating=0, urgent_every=0.1), Ours())
    cases: dict[str, Callable[[], Result]] = {
        "alone": lambda: alone,
        "beside an export, lanes": lambda: simulate(
            World(pages=1.0, urgent_every=0.1), Ours(lane=EXPORT)
        ),
        "beside an export, fixed 16": lambda: simulate(
            World(pages=1.0, urgent_every=0.1), Fixed(16)
        ),
    }
    for name, run in cases.items():
        result = run()
        report.add(
            what=name,
            p95_ms=round(result.percentile(0.95) * 1000),
            to_alone=round(result.percentile(0.95) / alone.percentile(0.95), 2),
            attained=round(result.share, 2),
        )
    return report


class Counter:
    """Counts the answers of the service."""

    def __init__(self) -> None:
        self.good = self.refused = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, RequestSent):
            self.note(event.status)

    def note(self, status: int) -> None:
        self.good += status == 200
        self.refused += status == 429


async def over_sockets(every: float) -> Report:
    """Return the same over sockets, each way for itself."""
    report = Report("overload_sockets", f"over sockets: 8, 3, 8 workers, {every:g} s each")
    ways: dict[str, Callable[[str, Counter, float], Awaitable[None]]] = {
        "fixed 4": partial(_fixed, 4),
        "fixed 16": partial(_fixed, 16),
        "ours": _ours,
    }
    attainable = sum(WORKERS) * every / LATENCY
    for name, way in ways.items():
        counter = Counter()
        with _sandbox(every) as origin:
            await way(origin, counter, len(WORKERS) * every)
        report.add(
            way=name,
            answers=counter.good,
            attained=round(counter.good / attainable, 3),
            refused=round(counter.refused / max(1, counter.good + counter.refused), 4),
        )
    with _sandbox(every, ms_per_kib="1") as origin:
        alone = await _people(origin, len(WORKERS) * every, exports=0)
    with _sandbox(every, ms_per_kib="1") as origin:
        beside = await _people(origin, len(WORKERS) * every, exports=DEMAND)
    report.add(way="people alone", p95_ms=round(alone.at(0.95) * 1000))
    report.add(
        way="people beside an export",
        p95_ms=round(beside.at(0.95) * 1000),
        to_alone=round(beside.at(0.95) / alone.at(0.95), 2),
    )
    report.notes.append(
        "attained: of what the workers could answer if the sandbox needed no CPU; what it needs is the same for all."
    )
    return report


@contextmanager
def _sandbox(every: float, **knobs: str) -> Iterator[str]:
    """Yield the service root of a sandbox whose capacity begins anew."""
    options = [
        *("sandbox", "--port", "0", "--latency", f"{LATENCY * 1000:g}"),
        *("--capacity", ",".join(map(str, WORKERS)), "--every", f"{every:g}"),
    ]
    for name, value in knobs.items():
        options += ["--set", f"{name}={value}"]
    with running([PROGRAM, *options], os.environ) as program:
        yield program.line_with("Sandbox: http").split()[-1]


def _settings(root: str) -> Settings:
    return Settings(
        url=root, auth="none", dialect="finops", cache_dir=None, concurrency=52, retries=20
    )


async def _fixed(limit: int, root: str, counter: Counter, seconds: float) -> None:
    """Send as much as a fixed limit allows; a refused call comes again after 50 ms."""
    async with httpx.AsyncClient(transport=make_transport(_settings(root)), timeout=30) as client:

        async def loop() -> None:
            while True:
                answer = await client.get(f"{root}/{READ.url}")
                counter.note(answer.status_code)
                if answer.status_code == 429:
                    await asyncio.sleep(0.05)

        await _for(seconds, [loop() for _ in range(limit)])


async def _ours(root: str, counter: Counter, seconds: float) -> None:
    async with ODataClient(_settings(root), observe=counter) as client:
        await _for(seconds, [_endless(client, READ) for _ in range(DEMAND)])


async def _endless(client: ODataClient, request: Request, work: Work = ORDINARY) -> None:
    with working(work):
        while True:
            with suppress(UpstreamError):
                await client.send(request)


async def _people(root: str, seconds: float, exports: int) -> Sample:
    """Return the seconds of ten reads a second, beside so many callers who read pages."""
    waits: list[float] = []
    begin = time.perf_counter() + 2.0  # what begins before, warms up
    async with ODataClient(_settings(root), observe=lambda _: None) as client:

        async def person() -> None:
            started = time.perf_counter()
            with working(URGENT), suppress(UpstreamError):
                await client.send(READ)
                if started > begin:
                    waits.append(time.perf_counter() - started)

        async def people() -> None:
            async with asyncio.TaskGroup() as group:
                while True:
                    group.create_task(person())
                    await asyncio.sleep(0.1)

        busy = [_endless(client, PAGE, EXPORT) for _ in range(exports)]
        await _for(seconds, [people(), *busy])
    return Sample(tuple(waits))


async def _for(seconds: float, work: Sequence[Coroutine[Any, Any, None]]) -> None:
    tasks = [asyncio.ensure_future(each) for each in work]
    await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def hot_path() -> Report:
    """Return the CPU of admission for a request that need not wait."""
    report = Report("overload_cpu", "admission of a request that need not wait")
    lanes = Lanes(highest=16, start=16, weights=WEIGHTS, queue=100)
    admission: Admission[str] = Admission(lanes, time.time, asyncio.sleep)
    blocker = object()

    def admit() -> None:
        admission.pauses.of(None).blocks(blocker)
        admission.begins(ORDINARY, is_write=False)
        began = admission.now()
        sent = Sent(
            work=ORDINARY,
            is_write=False,
            kind="GET Sets",
            outcome=Outcome.ANSWERED,
            seconds=admission.now() - began + 0.05,
        )
        admission.ended(sent)

    calls = 5_000
    seconds = min(repeat(admit, number=calls, repeat=5, timer=time.process_time)) / calls
    report.add(
        cpu_us=round(seconds * 1e6, 1), bar_us=ADMISSION_BAR, holds=seconds * 1e6 <= ADMISSION_BAR
    )
    return report
