"""How long the last of many wait: the gateway and the two floors, in turn, in one run."""

from __future__ import annotations

from contextlib import ExitStack

from tests.bench.bench_peers import ALONE, BYTES, GATEWAY, JSON
from tests.bench.measure import Report, Sample, ms
from tests.bench.serving import HUNDRED, ONE, Loaded, Serving, floor, loaded, serving

CONNECTIONS = 64


async def tails(quick: bool) -> Report:
    """Measure the slowest of 100 answers beside the usual one; all connections are new in each round."""
    rounds, seconds = (3, 0.6) if quick else (9, 2.0)
    report = Report(
        "tails",
        f"{CONNECTIONS} connections, one process each, {rounds} rounds in turn, from the first connection on",
    )
    async with (
        serving(ONE, HUNDRED) as ours,
        serving(ONE, HUNDRED, D365_CACHE__COALESCE="false") as alone,
    ):
        with ExitStack() as stack:
            contestants = {
                GATEWAY: ours,
                ALONE: alone,
                BYTES: stack.enter_context(floor(ours, as_it_is=True)),
                JSON: stack.enter_context(floor(ours)),
            }
            for name in (ONE, HUNDRED):
                await _add(report, name, contestants, rounds, seconds)
    report.notes.append(
        "p99_to_p50, slowest_to_p50: medians of the rounds. Other programs lengthen all alike: compare with the floors."
    )
    return report


async def _add(
    report: Report, name: str, contestants: dict[str, Serving], rounds: int, seconds: float
) -> None:
    taken: dict[str, list[Loaded]] = {who: [] for who in contestants}
    for _ in range(rounds):
        for who, each in contestants.items():
            taken[who].append(await loaded(each, each.cases[name], CONNECTIONS, seconds))
    for who, runs in taken.items():
        loads = [run.load for run in runs]
        report.add(
            what=who,
            case=name,
            requests=sum(load.requests for load in loads),
            errors=sum(load.errors for load in loads),
            p50_ms=ms(Sample(tuple(load.p50 for load in loads)).median),
            p99_ms=ms(Sample(tuple(load.p99 for load in loads)).median),
            p99_to_p50=round(Sample(tuple(load.p99 / load.p50 for load in loads)).median, 2),
            slowest_to_p50=round(
                Sample(tuple(load.slowest / load.p50 for load in loads)).median, 2
            ),
        )
