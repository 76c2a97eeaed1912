"""The values of all metrics of one process, and what adds to them when they are read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from .catalog import METRICS
from .metric import Family, Metric

MOST = 500
"""Combinations of labels of one metric."""


class Measurements:
    """The values of all metrics."""

    def __init__(self, most: int = MOST) -> None:
        """``most``: combinations of labels of each metric that are counted by themselves."""
        self._families = {metric.name: Family(metric, most) for metric in METRICS}
        self._gauges: list[Callable[[Measurements], None]] = []
        self._beat = time.monotonic()

    def beat(self) -> None:
        """Note that the event loop runs."""
        self._beat = time.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since the event loop ran last. Any thread may read it."""
        return time.monotonic() - self._beat

    def of(self, metric: Metric) -> Family:
        """Return the values of a metric."""
        return self._families[metric.name]

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Set a gauge."""
        self.of(metric).value(*labels).value = value

    def before_reading(self, update: Callable[[Measurements], None]) -> Callable[[], None]:
        """Call ``update`` before the values are read, in the thread that does. Return what ends that."""
        self._gauges.append(update)
        return lambda: self._gauges.remove(update)

    def drop_environment(self, name: str) -> None:
        """Forget the values of an environment."""
        for family in self._families.values():
            if "environment" in family.metric.labels:
                family.drop("environment", name)

    def read(self) -> Iterator[Family]:
        """Yield the values of each metric, by name. Any thread may call it."""
        for update in tuple(self._gauges):
            update(self)
        yield from self._families.values()
