"""`/metrics` and the probes of orchestrators: `/livez`, `/readyz`, `/startupz`. They say nothing but how it is.

The probes answer everybody, whatever the address: orchestrators have no key. Live means that a process answers whose
event loop runs; ready, that one of them takes requests. That the environment is away changes neither: a restart would
not bring it back, and all replicas would leave the load balancer at the same moment. ``/health/upstream`` says that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.telemetry import catalog
from gateway.telemetry.event_counters import EventCounters
from gateway.telemetry.measurements import Measurements

PROBES = frozenset({"/livez", "/readyz", "/startupz"})
METRICS = "/metrics"
ADMIN = "admin"
"""Label ``worker`` of what the listener itself counts."""
LONGEST_SILENCE = 20.0
"""Seconds for which an event loop may do something else before the process counts as dead."""
_NO_STORE = {"Cache-Control": "no-store"}


class ServingProcess(Protocol):
    """One process that serves, as the listener knows it."""

    @property
    def state(self) -> str:
        """``ready``, ``stopping``, or anything else."""
        ...


class MetricsSource(Struct, frozen=True, kw_only=True):
    """Where the metrics of all processes come from."""

    texts: Callable[[], Mapping[str, str | None]]
    """Returns the text of each worker; None for one that does not answer. It may block."""
    is_apart: bool
    """Whether the listener is in a process of its own, which serves nothing."""
    silence: Callable[[], float] = lambda: 0.0
    """Returns for how many seconds the event loop of the process that serves has not run."""


class OwnMetrics:
    """What the listener itself counts: its refusals, and the processes."""

    def __init__(self) -> None:
        self.measurements = Measurements()
        self.counters = EventCounters(self.measurements, lambda: "")

    def note(self, workers: Sequence[ServingProcess]) -> None:
        """Note which processes there are."""
        for state in ("starting", "ready", "stopping"):
            count = sum(worker.state == state for worker in workers)
            self.measurements.set(catalog.WORKERS, count, state)


def probe_routes(
    workers: Callable[[], Sequence[ServingProcess]], source: MetricsSource | None
) -> Iterable[BaseRoute]:
    """Yield the routes of the probes."""
    has_started = False

    def is_any(state: str) -> bool:
        return any(worker.state == state for worker in workers())

    async def live(_: Request) -> Response:
        silence = 0.0 if source is None else source.silence()
        return _status(silence < LONGEST_SILENCE, "ok", "stuck")

    async def ready(_: Request) -> Response:
        return _status(is_any("ready"), "ready", "stopping" if is_any("stopping") else "starting")

    async def startup(_: Request) -> Response:
        nonlocal has_started
        has_started = has_started or is_any("ready")
        return _status(has_started, "started", "starting")

    yield Route("/livez", live)
    yield Route("/readyz", ready)
    yield Route("/startupz", startup)


def _status(is_good: bool, good: str, bad: str) -> Response:
    status = good if is_good else bad
    return JSONResponse({"status": status}, 200 if is_good else 503, headers=_NO_STORE)


def metrics_routes(
    own: OwnMetrics, workers: Callable[[], Sequence[ServingProcess]], source: MetricsSource
) -> Iterable[BaseRoute]:
    """Yield the route of the metrics."""

    def page() -> str:
        # prometheus-client takes 70 ms to import, which a gateway that nobody measures is spared.
        from gateway.telemetry.exposition import DOWN, join, render  # noqa: PLC0415 - see above

        own.note(workers())
        texts = {name: text or DOWN for name, text in source.texts().items()}
        texts[ADMIN] = render(own.measurements, of_process=source.is_apart)
        return join(texts)

    async def metrics(_: Request) -> Response:
        text = await asyncio.to_thread(page)
        media = "text/plain; version=0.0.4; charset=utf-8"
        return Response(text, headers={**_NO_STORE, "Content-Type": media})

    yield Route(METRICS, metrics)
