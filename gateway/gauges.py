"""What has a size at any moment: read from the parts of the application whenever metrics are read.

    environment ──▶ limit, requests under way and waiting, metadata, types, streams
    process     ──▶ operations that run, unread and cached bytes, jobs, lag of the event loop

Metrics are read by another thread, so that a busy event loop does not delay them. What is read here are numbers, which
are right or a moment old.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial

from msgspec import Struct

from gateway.cache.answer_store import AnswerStore
from gateway.config.environment_models import OWN
from gateway.config.version import gateway_version
from gateway.environments.open_environment import OpenEnvironment
from gateway.environments.opened import OpenEnvironments
from gateway.http.running_operations import RunningOperations
from gateway.http.waiting_bytes import WaitingBytes
from gateway.jobs.runner import JobRunner
from gateway.telemetry import catalog as m
from gateway.telemetry.measurements import Measurements
from gateway.telemetry.metric import Metric

LAG_EVERY = 0.5
"""Seconds between two measurements of the event loop's lag."""
OF_ENVIRONMENT: tuple[Metric, ...] = (
    *(m.UPSTREAM_LIMIT, m.UPSTREAM_ACTIVE, m.UPSTREAM_WAITING, m.UPSTREAM_PAUSE),
    *(m.METADATA_CONFIRMED, m.ENTITY_SETS, m.TYPES, m.WATCHES, m.CONNECTIONS),
)
"""Gauges of an environment, which go when it is closed."""


class ProcessParts(Struct, frozen=True, kw_only=True):
    """What a process has besides its environments."""

    answers: AnswerStore
    running: RunningOperations
    waiting: WaitingBytes


@contextmanager
def measuring_environment(
    measurements: Measurements, environment: OpenEnvironment
) -> Iterator[None]:
    """Show the gauges of an environment until the end of the block."""
    name = environment.name or OWN
    end = measurements.before_reading(partial(_read_environment, name, environment))
    try:
        yield
    finally:
        end()
        for metric in OF_ENVIRONMENT:
            measurements.of(metric).drop("environment", name)


def _read_environment(name: str, environment: OpenEnvironment, measurements: Measurements) -> None:
    gateway, put = environment.live.gateway, measurements.set
    for lane, admission in gateway.client.admissions.items():
        labels = (lane or "own", name)
        put(m.UPSTREAM_LIMIT, admission.limit, *labels)
        put(m.UPSTREAM_ACTIVE, admission.under_way, *labels)
        put(m.UPSTREAM_WAITING, admission.waiting, *labels)
        put(m.UPSTREAM_PAUSE, admission.pauses.remaining(None), *labels)
    put(m.ENTITY_SETS, len(gateway.catalog.model.entity_sets), name)
    put(m.TYPES, gateway.schema.made_types, name)
    put(m.WATCHES, environment.subscriptions.watches, name)
    put(m.CONNECTIONS, environment.subscriptions.connections, name)
    info = gateway.metadata.info
    confirmed = measurements.of(m.METADATA_CONFIRMED).value(name)
    # An event may have confirmed it since it was fetched.
    fetched = gateway.since if info is None else info.fetched_at
    confirmed.value = max(confirmed.value, fetched)


@asynccontextmanager
async def measuring_process(measurements: Measurements, parts: ProcessParts) -> AsyncIterator[None]:
    """Show the gauges of the process, and measure the event loop's lag, until the end of the block."""
    measurements.set(m.INFO, 1, gateway_version(), platform.python_version())
    measurements.set(m.WORKER_UP, 1)
    lag = _LoopLag(measurements)
    with ExitStack() as stack:
        stack.callback(measurements.before_reading(partial(_read_process, parts)))
        stack.callback(lag.stop)
        yield


def _read_process(parts: ProcessParts, measurements: Measurements) -> None:
    measurements.set(m.RUNNING, parts.running.running)
    measurements.set(m.WAITING_BYTES, parts.waiting.held)
    measurements.set(m.CACHED_ANSWERS, len(parts.answers))
    measurements.set(m.CACHED_BYTES, parts.answers.size)


@contextmanager
def measuring_jobs(measurements: Measurements, runner: JobRunner) -> Iterator[None]:
    """Show how many jobs run until the end of the block."""
    end = measurements.before_reading(lambda all_: all_.set(m.JOBS_HELD, runner.held))
    try:
        yield
    finally:
        end()


def count_environments(
    measurements: Measurements, environments: OpenEnvironments
) -> Callable[[], None]:
    """Show how many environments there are, by state; return what ends that."""

    def read(all_: Measurements) -> None:
        for state, count in environments.states().items():
            all_.set(m.ENVIRONMENTS, count, state)

    return measurements.before_reading(read)


class _LoopLag:
    """Measures how late the event loop runs a timer."""

    def __init__(self, measurements: Measurements) -> None:
        self._lag = measurements.of(m.LOOP_LAG).distribution()
        self._measurements = measurements
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._timer = self._next()

    def _next(self) -> asyncio.TimerHandle:
        self._measurements.beat()
        self._due = self._loop.time() + LAG_EVERY
        return self._loop.call_at(self._due, self._fire)

    def _fire(self) -> None:
        self._lag.add(max(0.0, self._loop.time() - self._due))
        self._timer = self._next()

    def stop(self) -> None:
        """Measure no more."""
        self._timer.cancel()
