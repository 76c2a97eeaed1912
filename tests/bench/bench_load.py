"""The gateway under load, one process: what a request costs it, how many it answers, how long they wait."""

from __future__ import annotations

from itertools import product

from tests.bench.load import HINT, generator
from tests.bench.measure import GC_FROZEN, Report, Sample, ms, percent
from tests.bench.recording import Case
from tests.bench.repetition import Interval
from tests.bench.serving import HUNDRED, ONE, THOUSAND, Loaded, floor, loaded, serving
from tests.bench.tails import tails

CONNECTIONS = (1, 16, 64)
JUDGED = 16
"""At so many the CPU of a request is held against the bars."""


async def under_load(quick: bool) -> list[Report]:
    """Measure 1 row, 100 x 10 and 1,000 x 50 values at 1, 16 and 64 connections; one upstream call each.

    Each round is a fresh process of the gateway and one of the floor, which take turns.
    """
    rounds, seconds = (3, 0.6) if quick else (5, 2.0)
    report = Report(
        "load",
        f"one worker, {GC_FROZEN}; the upstream replays recorded bytes on loopback; {rounds} fresh processes",
    )
    taken: dict[tuple[str, int], list[Loaded]] = {}
    least: dict[str, list[float]] = {}
    for number in range(rounds):
        async with serving(ONE, HUNDRED, THOUSAND) as ours:
            cases = ours.cases
            with floor(ours) as theirs:
                for name, connections in product(cases, CONNECTIONS):
                    if quick and _is_left_out(name, number, connections):
                        continue
                    run = await loaded(ours, cases[name], connections, seconds)
                    taken.setdefault((name, connections), []).append(run)
                    if connections == JUDGED:
                        other = await loaded(theirs, theirs.cases[name], connections, seconds)
                        least.setdefault(name, []).append(other.cpu)
    for (name, connections), runs in taken.items():
        floors = least[name] if connections == JUDGED else None
        _add(report, name, connections, runs, floors, cases[name])
    report.notes += [
        "cpu_ms: of the gateway's process per request; per_cpu_s: requests that one core of it could answer.",
        "floor_ms: a handler written by hand, same server and client; to_floor: median of the ratios.",
        "waiting: half the distance between the quartiles of the latency; interval: that of to_floor over processes.",
        "generator, upstream, others (unknown processes): their share of one core.",
    ]
    if generator() != "wrk":
        report.notes.append(HINT)
    return [report, await tails(quick)]


def _is_left_out(name: str, number: int, connections: int) -> bool:
    """A quick run measures what is not judged once, and 64 large answers at a time not at all."""
    return connections != JUDGED and (number > 0 or (name == THOUSAND and connections > JUDGED))


def _add(
    report: Report,
    name: str,
    connections: int,
    runs: list[Loaded],
    floors: list[float] | None,
    case: Case,
) -> None:
    loads = [run.load for run in runs]
    cpu = Sample(tuple(run.cpu for run in runs))
    ratio = Interval.of(cpu.over(Sample(tuple(floors))).values) if floors else None
    middle = sorted(runs, key=lambda run: run.cpu)[len(runs) // 2]
    report.add(
        case=name,
        connections=connections,
        requests=sum(load.requests for load in loads),
        errors=sum(load.errors for load in loads),
        per_s=round(Sample(tuple(load.per_second for load in loads)).median),
        p50_ms=_median_ms([load.p50 for load in loads]),
        p95_ms=_median_ms([load.p95 for load in loads]),
        p99_ms=_median_ms([load.p99 for load in loads]),
        p99_to_p50=round(Sample(tuple(load.p99 / load.p50 for load in loads)).median, 2),
        waiting=percent(middle.load.spread),
        cpu_ms=ms(cpu.median),
        spread=percent(cpu.spread) if len(runs) > 2 else "",
        floor_ms=ms(Sample(tuple(floors)).median) if floors else None,
        to_floor=round(ratio.median, 2) if ratio else None,
        interval=str(ratio) if ratio else "",
        per_cpu_s=round(1 / cpu.median),
        generator=f"{generator(case.length)} {middle.share(middle.load.cpu)}",
        upstream=middle.share(middle.upstream),
        others=f"{middle.others:.0%}",
    )


def _median_ms(values: list[float]) -> float:
    return ms(Sample(tuple(values)).median)
