"""Beside its peers in one run, in turn: two proxies written by hand, Strawberry with plain resolvers, GraphQL Mesh."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace

from tests.bench import mesh
from tests.bench.measure import GC_FROZEN, Report, Sample, ms
from tests.bench.processes import environment, running
from tests.bench.repetition import Interval
from tests.bench.serving import (
    HUNDRED,
    ONE,
    THOUSAND,
    Loaded,
    Serving,
    floor,
    loaded,
    measured,
    serving,
)

CONNECTIONS = 16
GATEWAY, BYTES, JSON = "this gateway", "bytes handed on", "JSON read and written"
ALONE = "this gateway, equal reads sent each"
STRAWBERRY, MESH = "stock Strawberry, no upstream", "GraphQL Mesh"
OURS = (GATEWAY, ALONE)


async def peers(quick: bool) -> list[Report]:
    """Send the same operations to all in turn; all but the first floor answer the same JSON values."""
    report = Report(
        "peers", f"one process each, {CONNECTIONS} connections, {GC_FROZEN} where Python runs"
    )
    ratios = Report(
        "peers_ratios", "requests of the gateway to those of its peers, for the same CPU"
    )
    rounds, seconds = (5, 0.6) if quick else (9, 2.0)
    async with _contestants(report) as contestants:
        for name in (ONE, HUNDRED, THOUSAND):
            # A second of Strawberry is one answer of this size, so that it would be all that is measured.
            taking_part = {
                who: each
                for who, each in contestants.items()
                if name in each.cases and not (quick and name == THOUSAND and who == STRAWBERRY)
            }
            taken: dict[str, list[Loaded]] = {who: [] for who in taking_part}
            for each in taking_part.values():
                await loaded(each, each.cases[name], 2, 0.3)
            for _ in range(rounds):
                for who, each in taking_part.items():
                    taken[who].append(await loaded(each, each.cases[name], CONNECTIONS, seconds))
            _add(report, name, taken)
            _compare(ratios, name, taken)
    report.notes += [
        "per_cpu_s: requests that one core of the server could answer; per_s: as measured beside the others.",
        "upstream_ms: CPU of the upstream for each answer; equal reads that run at a time are usually sent once.",
    ]
    ratios.notes.append(
        "ratio: median over the rounds, with its interval; each round has all in turn."
    )
    return [report, ratios]


@asynccontextmanager
async def _contestants(report: Report) -> AsyncIterator[Mapping[str, Serving]]:
    """Start all of them before one upstream; which are missing is a note of the report."""
    cases = (ONE, HUNDRED, THOUSAND)
    async with (
        serving(*cases, also=mesh.targets()) as ours,
        serving(*cases, D365_CACHE__COALESCE="false") as alone,
    ):
        with ExitStack() as stack:
            found = {
                GATEWAY: ours,
                ALONE: alone,
                BYTES: stack.enter_context(floor(ours, as_it_is=True)),
                JSON: stack.enter_context(floor(ours)),
                STRAWBERRY: stack.enter_context(_strawberry(ours)),
            }
            missing = mesh.missing()
            if missing is None:
                found[MESH] = stack.enter_context(mesh.mesh(ours))
            else:
                report.notes.append(f"Without GraphQL Mesh: {missing}")
            yield found


@contextmanager
def _strawberry(ours: Serving) -> Iterator[Serving]:
    command = [sys.executable, "-m", "tests.bench.stock_strawberry"]
    with running(command, environment()) as program:
        address = f"http://127.0.0.1:{program.line_with('')}/graphql"
        # It writes blanks into its JSON, so the same answer is longer.
        cases = {name: measured(address, case) for name, case in ours.cases.items()}
        yield replace(ours, program=program, address=address, cases=cases)


def _add(report: Report, name: str, taken: Mapping[str, list[Loaded]]) -> None:
    for who, runs in taken.items():
        cpu = Sample(tuple(run.cpu for run in runs))
        upstream = Sample(tuple(run.upstream / max(1, run.load.requests) for run in runs))
        report.add(
            what=who,
            case=name,
            errors=sum(run.load.errors for run in runs),
            per_s=round(Sample(tuple(run.load.per_second for run in runs)).median),
            p50_ms=ms(Sample(tuple(run.load.p50 for run in runs)).median),
            p99_ms=ms(Sample(tuple(run.load.p99 for run in runs)).median),
            cpu_ms=ms(cpu.median),
            per_cpu_s=round(1 / cpu.median),
            upstream_ms=ms(upstream.median),
        )


def _compare(ratios: Report, name: str, taken: Mapping[str, list[Loaded]]) -> None:
    cpu = {who: Sample(tuple(run.cpu for run in runs)) for who, runs in taken.items()}
    for who in OURS:
        for peer in (each for each in cpu if each not in OURS):
            ratio = Interval.of(cpu[peer].over(cpu[who]).values)
            ratios.add(
                what=who,
                peer=peer,
                case=name,
                ratio=round(ratio.median, 2),
                spread=str(ratio),
            )
