"""One metric and its values: counters, histograms and gauges that cost a fraction of a microsecond to change.

The values of a metric are cells, one for each combination of labels. Whoever counts holds on to its cell, so that a
request looks up no labels. prometheus-client, which writes the text that Prometheus reads, has such objects, too; they
take a lock for each change, and its histogram compares with one bound after the other: ten times the time of these.

Cells are changed in the thread of one event loop. A change in another thread at the same moment may be lost, which no
rate shows; that thread only counts what is rare.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterator, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

OTHER = "other"
"""Value of an open label beyond the limit of its metric."""
NAMES = frozenset({"graphql_operation_name", "entity_set"})
"""Labels with many values, which become ``other`` first."""
OPEN = frozenset({"environment", "reason", "code", "format"})
"""Labels with some values, which become ``other`` if that does not help."""
Kind: TypeAlias = Literal["counter", "gauge", "histogram"]


class Metric(Struct, frozen=True, kw_only=True):
    """What is measured."""

    name: str
    kind: Kind
    help: str
    """What it says, in one sentence."""
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets."""


class Value:
    """The cell of a counter or gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1.0) -> None:
        """Add an amount."""
        self.value += amount


class Distribution:
    """The cell of a histogram."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """Number of values in each bucket; those of the last one are above all bounds."""
        self.total = 0.0
        """Sum of all values."""

    def add(self, value: float) -> None:
        """Add a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def cumulative(self) -> tuple[tuple[str, float], ...]:
        """Return the buckets as Prometheus counts them: each with what is in those below it."""
        count, buckets = 0, []
        bounds = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        for bound, number in zip(bounds, tuple(self.counts), strict=True):
            count += number
            buckets.append((bound, float(count)))
        return tuple(buckets)


class Family:
    """The cells of one metric, by the values of their labels."""

    def __init__(self, metric: Metric, most: int) -> None:
        """``most``: combinations of labels that have cells of their own."""
        self.metric = metric
        self._most = most
        self._values: dict[tuple[str, ...], Value] = {}
        self._distributions: dict[tuple[str, ...], Distribution] = {}

    def value(self, *labels: str) -> Value:
        """Return the cell of a counter or gauge with these labels."""
        labels = self._bounded(labels, self._values, len(self._values))
        cell = self._values.get(labels)
        if cell is None:
            cell = self._values[labels] = Value()
        return cell

    def distribution(self, *labels: str) -> Distribution:
        """Return the cell of a histogram with these labels."""
        labels = self._bounded(labels, self._distributions, len(self._distributions))
        cell = self._distributions.get(labels)
        if cell is None:
            cell = self._distributions[labels] = Distribution(self.metric.bounds)
        return cell

    def drop(self, label: str, value: str) -> None:
        """Forget all cells with this value of a label."""
        place = self.metric.labels.index(label)
        cells: tuple[dict[tuple[str, ...], Value], dict[tuple[str, ...], Distribution]] = (
            self._values,
            self._distributions,
        )
        for table in cells:
            for labels in [labels for labels in tuple(table) if labels[place] == value]:
                del table[labels]

    def values(self) -> Iterator[tuple[tuple[str, ...], Value]]:
        """Yield the cells of a counter or gauge. Any thread may call it."""
        yield from tuple(self._values.items())

    def distributions(self) -> Iterator[tuple[tuple[str, ...], Distribution]]:
        """Yield the cells of a histogram. Any thread may call it."""
        yield from tuple(self._distributions.items())

    def _bounded(
        self, labels: tuple[str, ...], table: Container[tuple[str, ...]], size: int
    ) -> tuple[str, ...]:
        """Return labels under which there are cells, or may still be."""
        if labels in table or size < self._most:
            return labels
        labels = self._overflow(labels, NAMES)
        if labels in table or size < 2 * self._most:
            return labels
        return self._overflow(labels, OPEN)

    def _overflow(self, labels: tuple[str, ...], names: frozenset[str]) -> tuple[str, ...]:
        own = self.metric.labels
        return tuple(
            OTHER if name in names else label for name, label in zip(own, labels, strict=True)
        )
