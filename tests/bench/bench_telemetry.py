"""What metrics and traces cost: two gateways in turn, with all metrics and 1 % of requests traced, and with none."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from gateway.events import Address, CostSettled, OperationServed, RequestSent
from gateway.events.requests import RequestServed
from gateway.telemetry.event_counters import EventCounters
from gateway.telemetry.measurements import Measurements
from gateway.telemetry.operation_scope import operation_scope
from gateway.telemetry.request_context import (
    RequestContext,
    Sampling,
    current_request,
    in_request,
    new_span_id,
)
from tests.bench.measure import GC_FROZEN, Report, percent
from tests.bench.serving import HUNDRED, ONE, Serving, loaded, serving
from tests.support.trace_collector import collecting

CONNECTIONS = 4
CALLS = 5_000
RATIO = 0.01


async def telemetry(quick: bool) -> list[Report]:
    """Measure the CPU of requests with and without telemetry."""
    report = Report(
        "telemetry",
        f"CPU of a request with metrics and {RATIO:.0%} traces, and without; {GC_FROZEN}",
    )
    with collecting() as collector:
        async with (
            serving(ONE, HUNDRED, D365_METRICS__ENABLED="false") as without,
            serving(
                ONE,
                HUNDRED,
                D365_TRACING__ENDPOINT=collector.endpoint,
                D365_TRACING__RATIO=str(RATIO),
            ) as full,
        ):
            for name in (ONE, HUNDRED):
                await _compare(report, name, without, full, quick)
        report.notes.append(f"{len(collector.spans):,} spans arrived at the collector.")
    return [report, _sinks()]


def _sinks() -> Report:
    """Measure in this process what telemetry does for one request, without all that surrounds it."""
    report = Report("telemetry_parts", "CPU of telemetry itself, for one request")
    counters = EventCounters(Measurements(), lambda: "")
    events = (
        RequestSent(
            method="GET",
            url=Address("https://x.example/data/CustomersV3"),
            status=200,
            seconds=0.05,
            size=900,
            attempt=1,
            target="CustomersV3",
            dialect="finops",
        ),
        CostSettled(estimated_requests=1, requests=1, estimated_points=3.0, points=2.0),
        OperationServed(
            name=None, seconds=0.06, requests=1, rows=1, errors=0, type="query", own=0.01, size=900
        ),
        RequestServed(method="POST", route="/graphql", status=200, seconds=0.06),
    )
    sampling = Sampling(ratio=RATIO, is_on=True)

    def count() -> None:
        for event in events:
            counters.observe(event)

    def place() -> None:
        with in_request(RequestContext(None, None, sampling)):
            context = current_request()
            assert context is not None
            context.traceparent(new_span_id())

    def scope() -> None:
        with operation_scope() as scope:
            scope.begin_wait()
            scope.end_wait()

    for part, run in (("metrics", count), ("ids, traceparent", place), ("own time", scope)):
        report.add(part=part, cpu_us=round(_least(run) * 1e6, 2))
    report.add(part="all", cpu_us=round(sum(row["cpu_us"] for row in report.rows), 2))
    report.notes.append("cpu_us: the least of 20 rounds, which other programs do not lengthen.")
    return report


def _least(run: Callable[[], None]) -> float:
    """Return the seconds of CPU that a call takes at the least."""
    rounds = list[float]()
    for _ in range(20):
        began = time.process_time()
        for _ in range(CALLS):
            run()
        rounds.append((time.process_time() - began) / CALLS)
    return min(rounds)


async def _compare(report: Report, name: str, without: Serving, full: Serving, quick: bool) -> None:
    """Load both in turn, so that what else the machine does slows both."""
    bare, measured, ratios = list[float](), list[float](), list[float]()
    for _ in range(5 if quick else 15):
        first = await loaded(without, without.cases[name], CONNECTIONS, 1.0)
        second = await loaded(full, full.cases[name], CONNECTIONS, 1.0)
        bare.append(first.cpu)
        measured.append(second.cpu)
        ratios.append(second.cpu / first.cpu)
    ratio = statistics.median(ratios)
    report.add(
        case=name,
        ratio=round(ratio, 3),
        spread=percent((max(ratios) - min(ratios)) / ratio),
        without_us=round(statistics.median(bare) * 1e6, 1),
        full_us=round(statistics.median(measured) * 1e6, 1),
        telemetry_us=round((statistics.median(measured) - statistics.median(bare)) * 1e6, 1),
    )
