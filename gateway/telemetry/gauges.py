"""What has a size at any moment: read from the parts of the application whenever metrics are read.

Metrics are read by another thread, so that a busy event loop does not delay them. What is read here are numbers, which
are right or a moment old. The gauges of an environment are in ``environments.gauges``.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Protocol

from gateway.config.version import gateway_version
from gateway.process.memory_limit import memory_limit

from . import catalog as m
from .event_counters import begin_at_zero
from .measurements import Measurements
from .metric import Metric

LAG_EVERY = 0.5
"""Seconds between two measurements of the event loop's lag."""


@contextmanager
def showing(
    measurements: Measurements, sizes: Mapping[Metric, Callable[[], float]]
) -> Iterator[None]:
    """Show sizes as gauges until the end of the block."""

    def read(all_: Measurements) -> None:
        for metric, size in sizes.items():
            all_.set(metric, size())

    end = measurements.before_reading(read)
    try:
        yield
    finally:
        end()


class WebhookCounts(Protocol):
    """How many webhooks, and dead letters, a deployment has."""

    @property
    def by_state(self) -> Mapping[str, int]:
        """Webhooks by their state."""
        ...

    @property
    def dead_letters(self) -> int:
        """Those that were given up."""
        ...


@contextmanager
def showing_webhooks(
    measurements: Measurements | None, counts: Callable[[], WebhookCounts]
) -> Iterator[None]:
    """Show the webhooks of the deployment until the end of the block, if anything is measured."""
    if measurements is None:
        yield
        return
    begin_at_zero(measurements, m.WEBHOOKS)

    def read(all_: Measurements) -> None:
        current = counts()
        all_.set(m.DEAD_LETTERS, current.dead_letters)
        for state, number in current.by_state.items():
            all_.set(m.WEBHOOK_RECEIVERS, number, state)

    end = measurements.before_reading(read)
    try:
        yield
    finally:
        end()


@asynccontextmanager
async def measuring_process(
    measurements: Measurements, sizes: Mapping[Metric, Callable[[], float]]
) -> AsyncIterator[None]:
    """Show what the process is and its sizes, and measure the event loop's lag, until the end of the block."""
    measurements.set(m.INFO, 1, gateway_version(), platform.python_version())
    measurements.set(m.WORKER_UP, 1)
    measurements.set(m.MEMORY_LIMIT, memory_limit())
    lag = _LoopLag(measurements)
    with ExitStack() as stack:
        stack.enter_context(showing(measurements, sizes))
        stack.callback(lag.stop)
        yield


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
