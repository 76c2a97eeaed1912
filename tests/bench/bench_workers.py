"""Two workers against one: the same load in turn on both, and what each process takes of the cores."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.measure import Report, Sample, cpu_of, ms, percent
from tests.bench.serving import HUNDRED, Loaded, Serving, idle, loaded, serving

CONNECTIONS = 32
QUIET = 0.25
"""Cores that others may use. Where they use more, one worker waits longer for a core than two do (each of them is given
a share), and two look like three: such a round says nothing of the ratio and is left out of it."""
ENOUGH = 2
"""Quiet rounds from which there is a ratio."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One load on so many workers."""

    found: Loaded
    busiest: float
    """The part of one worker in what all of them used."""

    @property
    def rate(self) -> float:
        return self.found.load.per_second

    @property
    def whole(self) -> float:
        """Return the CPU of all three, gateway, generator and upstream, for one request."""
        used = self.found.gateway + self.found.load.cpu + self.found.upstream
        return used / max(1, self.found.load.requests)


async def workers(quick: bool) -> list[Report]:
    """Measure 100 x 10 values with one and with two workers, in pairs: in turn, and each first every other time."""
    cores = len(os.sched_getaffinity(0))
    report = Report(
        "workers", f"{HUNDRED} values, {CONNECTIONS} connections, {cores} cores for all"
    )
    rounds, seconds = (4, 0.6) if quick else (12, 2.0)
    pairs: list[dict[int, _Run]] = []
    async with serving(HUNDRED) as one, serving(HUNDRED, workers=2) as two:
        for turn in range(rounds):
            both = ((1, one), (2, two))
            made = {n: await _run(found, seconds) for n, found in both[:: 1 - 2 * (turn % 2)]}
            pairs.append(made)
    quiet = [p for p in pairs if all(run.found.others <= QUIET for run in p.values())]
    counted = quiet if len(quiet) >= ENOUGH else pairs
    for number in (1, 2):
        report.add(**_row(number, counted, cores, sound=len(quiet) >= ENOUGH))
    report.notes += [
        f"{len(quiet)} of {rounds} rounds were quiet: others used no more than {QUIET} cores. The figures are theirs",
        f"where they are {ENOUGH} or more; else those of all rounds, without a ratio.",
        "to_one, capacity: medians of single rounds' ratios. spread: of to_one; for one worker, of cpu_ms.",
        "cores, others: what the gateway and unknown processes used of them; generator, upstream: of one core.",
        "busiest: one worker's part of the work; of_possible: of what the cores can answer with the others on them.",
        "capacity: how much more the workers could answer with a core each, by the CPU of a request.",
    ]
    return [report]


async def _run(found: Serving, seconds: float) -> _Run:
    await idle(found)
    before = _workers(found)
    taken = await loaded(found, found.cases[HUNDRED], CONNECTIONS, seconds)
    used = [now - then for now, then in zip(_workers(found), before, strict=True)]
    return _Run(taken, max(used) / (sum(used) or 1))


def _row(
    number: int, pairs: Sequence[Mapping[int, _Run]], cores: int, *, sound: bool
) -> dict[str, Any]:
    runs = [pair[number] for pair in pairs]
    loads = [run.found for run in runs]
    ratios = Sample(tuple(pair[number].rate / pair[1].rate for pair in pairs))
    capacities = [number * pair[1].found.cpu / pair[number].found.cpu for pair in pairs]
    possible = [
        run.rate / min(number / run.found.cpu, (cores - run.found.others) / run.whole)
        for run in runs
    ]
    costs = Sample(tuple(load.cpu for load in loads))
    return {
        "workers": number,
        "errors": sum(load.load.errors for load in loads),
        "per_s": round(_median([run.rate for run in runs])),
        "spread": percent((costs if number == 1 else ratios).spread),
        "p95_ms": ms(_median([load.load.p95 for load in loads])),
        "cpu_ms": ms(costs.median),
        "cores": round(_median([load.gateway / load.load.seconds for load in loads]), 2),
        "generator": percent_of(_median([load.load.cpu / load.load.seconds for load in loads])),
        "upstream": percent_of(_median([load.upstream / load.load.seconds for load in loads])),
        "others": round(_median([load.others for load in loads]), 2),
        "busiest": percent_of(_median([run.busiest for run in runs])),
        "to_one": round(ratios.median, 2) if sound else None,
        "of_possible": round(_median(possible), 2) if sound else None,
        "capacity": round(_median(capacities), 2) if sound else None,
    }


def _workers(found: Serving) -> list[float]:
    return [cpu_of(pid) for pid in found.workers()]


def _median(values: list[float]) -> float:
    return Sample(tuple(values)).median


def percent_of(part: float) -> str:
    return f"{part:.0%}"
