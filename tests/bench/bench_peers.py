"""Beside a peer of the same run: Strawberry with plain resolvers over rows in memory."""

from __future__ import annotations

import sys
from dataclasses import replace

import httpx
import orjson

from tests.bench.measure import GC_FROZEN, PLAIN, Report, Sample, ms, percent
from tests.bench.processes import environment, running
from tests.bench.recording import Case, leaves
from tests.bench.serving import HUNDRED, THOUSAND, Loaded, Serving, loaded, serving

CONNECTIONS = 16
GATEWAY, STRAWBERRY = "this gateway, one upstream call each", "stock Strawberry, no upstream"


async def peers(quick: bool) -> list[Report]:
    """Send the same operation to both in turn; both answer the same JSON values."""
    report = Report(
        "peers", f"one process each, {CONNECTIONS} connections, {GC_FROZEN} on both sides"
    )
    rounds, seconds = (3, 0.6) if quick else (5, 3.0)
    command = [sys.executable, "-m", "tests.bench.stock_strawberry"]
    async with serving(HUNDRED, THOUSAND) as ours:
        with running(command, environment()) as program:
            address = f"http://127.0.0.1:{program.line_with('')}/graphql"
            theirs = replace(ours, program=program, address=address)
            for name in (HUNDRED,) if quick else (HUNDRED, THOUSAND):
                await _compare(report, ours, theirs, ours.cases[name], (rounds, seconds))
    report.notes.append(
        "per_cpu_s: requests that one core could answer; to_peer: the ratio of both."
    )
    return [report]


async def _compare(
    report: Report, ours: Serving, theirs: Serving, case: Case, often: tuple[int, float]
) -> None:
    rounds, seconds = often
    # Strawberry writes blanks into its JSON, so the same answer is longer.
    length = await _length(theirs, case)
    taken: dict[str, list[Loaded]] = {GATEWAY: [], STRAWBERRY: []}
    await loaded(theirs, replace(case, length=length), 2, 0.5)
    for _ in range(rounds):
        taken[GATEWAY].append(await loaded(ours, case, CONNECTIONS, seconds))
        other = await loaded(theirs, replace(case, length=length), CONNECTIONS, seconds)
        taken[STRAWBERRY].append(other)
    cpu = {name: Sample(tuple(run.cpu for run in runs)) for name, runs in taken.items()}
    for name, runs in taken.items():
        per_cpu = 1 / cpu[name].median
        is_ours = name == GATEWAY
        report.add(
            what=name,
            case=case.name,
            errors=sum(run.load.errors for run in runs),
            per_s=round(Sample(tuple(run.load.per_second for run in runs)).median),
            p95_ms=ms(Sample(tuple(run.load.p95 for run in runs)).median),
            cpu_ms=ms(cpu[name].median),
            spread=percent(cpu[name].spread),
            per_cpu_s=round(per_cpu, 1),
            to_peer=round(per_cpu * cpu[STRAWBERRY].median, 1) if is_ours else None,
        )


async def _length(theirs: Serving, case: Case) -> int:
    """Ask the peer once; raises where its answer is not ours."""
    async with httpx.AsyncClient(timeout=60, headers=PLAIN) as client:
        said = await client.post(theirs.address, json={"query": case.query})
    body = orjson.loads(said.content)
    if said.status_code != 200 or leaves(body["data"]) != case.leaves or body.get("errors"):
        raise RuntimeError(f"the peer answered {said.status_code} {said.text[:300]}")
    return len(said.content)
