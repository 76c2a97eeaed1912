"""Two workers against one: the same load in turn on both, and what each process takes of the cores."""

from __future__ import annotations

import os

from tests.bench.measure import Report, Sample, cpu_of, ms, percent
from tests.bench.serving import HUNDRED, Loaded, Serving, idle, loaded, serving

CONNECTIONS = 32
QUIET = 0.25
"""Cores that others may use; with more, what would be possible is a guess, and is not told."""


async def workers(quick: bool) -> list[Report]:
    """Measure 100 x 10 values with one and with two workers."""
    cores = len(os.sched_getaffinity(0))
    report = Report(
        "workers", f"{HUNDRED} values, {CONNECTIONS} connections, {cores} cores for all"
    )
    rounds, seconds = (3, 1.0) if quick else (7, 3.0)
    taken: dict[int, list[Loaded]] = {1: [], 2: []}
    busiest: dict[int, list[float]] = {1: [], 2: []}
    async with serving(HUNDRED) as one, serving(HUNDRED, workers=2) as two:
        for _ in range(rounds):
            for number, found in ((1, one), (2, two)):
                await idle(found)
                before = _workers(found)
                taken[number].append(
                    await loaded(found, found.cases[HUNDRED], CONNECTIONS, seconds)
                )
                used = [now - then for now, then in zip(_workers(found), before, strict=True)]
                busiest[number].append(max(used) / (sum(used) or 1))
    rates = {number: _median([r.load.per_second for r in runs]) for number, runs in taken.items()}
    costs = {number: _median([r.cpu for r in runs]) for number, runs in taken.items()}
    for number, runs in taken.items():
        rate, cost = rates[number], costs[number]
        shares = [(r.gateway, r.load.cpu, r.upstream) for r in runs]
        whole = _median([sum(s) / r.load.requests for s, r in zip(shares, runs, strict=True)])
        others = _median([r.others for r in runs])
        possible = min(number / cost, (cores - others) / whole)
        report.add(
            workers=number,
            errors=sum(r.load.errors for r in runs),
            per_s=round(rate),
            spread=percent(Sample(tuple(r.cpu for r in runs)).spread),
            p95_ms=ms(_median([r.load.p95 for r in runs])),
            cpu_ms=ms(cost),
            cores=round(_median([r.gateway / r.load.seconds for r in runs]), 2),
            generator=percent_of(_median([r.load.cpu / r.load.seconds for r in runs])),
            upstream=percent_of(_median([r.upstream / r.load.seconds for r in runs])),
            others=round(others, 2),
            busiest=percent_of(_median(busiest[number])),
            to_one=round(rate / rates[1], 2),
            of_possible=round(rate / possible, 2) if others <= QUIET else None,
            capacity=round(number * costs[1] / cost, 2),
        )
    report.notes += [
        "cores, others: what the gateway and unknown processes used of them; generator, upstream: of one core.",
        "busiest: one worker's part of the work; of_possible: of what the cores can answer with the others on them,",
        f"empty where those use more than {QUIET} cores.",
        "capacity: how much more the workers could answer with a core each, by the CPU of a request.",
    ]
    return [report]


def _workers(found: Serving) -> list[float]:
    return [cpu_of(pid) for pid in found.workers()]


def _median(values: list[float]) -> float:
    return Sample(tuple(values)).median


def percent_of(part: float) -> str:
    return f"{part:.0%}"
