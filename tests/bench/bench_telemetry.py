"""What metrics and traces cost: two applications in one process, which answer in turn.

One has all metrics and 1 % of its requests traced, the other one none. Two processes differ by several per cent for no
reason, and so does one from minute to minute on a busy machine; blocks of some milliseconds in turn do not.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from operator import sub

import httpx
from starlette.applications import Starlette
from starlette.types import Message

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.config.telemetry_models import TracingOptions
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
from tests.bench.measure import GC_FROZEN, Report, frozen_gc
from tests.bench.repetition import Interval, in_fresh_processes
from tests.bench.serving import HUNDRED, ONE, ROOT, loaded, queries, recorded_answer, serving
from tests.support.trace_collector import collecting

CONNECTIONS = 4
BLOCK = 10
"""Requests that one application answers before the other one does."""
WARM = 5
"""Rounds that do not count."""
CALLS = 5_000
RATIO = 0.01


async def telemetry(quick: bool) -> list[Report]:
    """Measure the CPU of requests with and without telemetry."""
    report = Report(
        "telemetry",
        f"CPU that metrics and {RATIO:.0%} traces add to a request, to that of a request; {GC_FROZEN}",
    )
    processes, rounds = (3, 60) if quick else (7, 200)
    async with serving(ONE, HUNDRED, D365_METRICS__ENABLED="false") as without:
        for name in (ONE, HUNDRED):
            runs = [await loaded(without, without.cases[name], CONNECTIONS, 0.6) for _ in range(3)]
            bare = statistics.median(run.cpu for run in runs)
            with collecting() as collector:
                arguments = [name, rounds, collector.endpoint]
                target = f"{__name__}:difference"
                added = await in_fresh_processes(target, arguments, processes)
            spans = len(collector.spans)
            ratio = Interval.of([1 + usual / bare for usual, _ in added])
            report.add(
                case=name,
                ratio=round(ratio.median, 3),
                spread=f"{ratio.low:.3f} to {ratio.high:.3f}",
                errors=sum(run.load.errors for run in runs),
                without_us=round(bare * 1e6, 1),
                telemetry_us=round(statistics.median(usual for usual, _ in added) * 1e6, 1),
                traced_us=round(statistics.median(traced for _, traced in added) * 1e6, 1),
                spans=spans,
            )
    report.notes += [
        "without_us: of a process that serves without telemetry, over HTTP.",
        f"telemetry_us: by applications of one process, which answer {BLOCK} requests in turn, without HTTP.",
        f"traced_us: what a traced request takes more, until it is sent; {RATIO:.0%} of it is in telemetry_us.",
        f"ratio: both together to the first; median over {processes} processes with the interval that holds it.",
    ]
    return [report, _sinks()]


async def difference(name: str, rounds: int, collector: str) -> tuple[float, float]:
    """Return the seconds of CPU that telemetry adds to a request, and those of one that is traced, in this process."""
    query = queries()[name]
    answers: dict[str, httpx.Response] = {}

    def upstream(request: httpx.Request) -> httpx.Response:
        known = answers.setdefault(str(request.url), recorded_answer(request))
        return httpx.Response(known.status_code, headers=known.headers, content=known.content)

    async with AsyncExitStack() as stack:
        calls = {}
        for kind, ratio in (("without", None), ("full", RATIO), ("traced", 1.0)):
            tracing = (
                TracingOptions()
                if ratio is None
                else TracingOptions(endpoint=collector, ratio=ratio)
            )
            settings = Settings(
                url=ROOT, auth="none", cache_dir=None, data_dir=None, tracing=tracing
            )
            app = create_app(
                settings,
                transport=httpx.MockTransport(upstream),
                observe=lambda _: None,
                measurements=None if ratio is None else Measurements(),
            )
            await stack.enter_async_context(app.router.lifespan_context(app))
            calls[kind] = partial(_calls, app, json.dumps({"query": query}).encode())
        with frozen_gc():
            spent = await _in_turn(calls, rounds)
    # A median has neither moments in which something else happened, nor the few requests that are traced.
    usual = statistics.median(map(sub, spent["full"], spent["without"])) / BLOCK
    traced = (sum(spent["traced"]) - sum(spent["full"])) / (rounds * BLOCK)
    return usual + RATIO * traced, traced


async def _in_turn(
    calls: Mapping[str, Callable[[], Awaitable[None]]], rounds: int
) -> dict[str, list[float]]:
    """Return the seconds of CPU of each block, in an order that turns round by round."""
    names = list(calls)
    spent: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-WARM, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            started = time.process_time()
            await calls[name]()
            if number >= 0:
                spent[name].append(time.process_time() - started)
    return spent


async def _calls(app: Starlette, body: bytes) -> None:
    """Let an application answer some requests as a server would. Raises RuntimeError if one fails."""
    headers = [
        (b"host", b"127.0.0.1"),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    for _ in range(BLOCK):
        await app(dict(scope), receive, send)
    if statuses != [200] * BLOCK:
        raise RuntimeError(f"{statuses}")


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
