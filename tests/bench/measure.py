"""Timing in rounds, what the operating system says of a process, and tables of it all.

Ratios inside one run are what counts: variants take turns, so a busy machine slows all of them alike.
"""

from __future__ import annotations

import gc
import inspect
import math
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Variant = Callable[[], Awaitable[object] | object]
PLAIN = {"Accept-Encoding": "identity"}
"""Headers of a client that wants no compressed answers: compressing is not what is measured."""
GC_NORMAL = "gc as CPython starts it"
GC_FROZEN = "gc frozen"


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds of equal runs."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, as a part of the median."""
        if len(self.values) < 3:
            return 0.0
        low, _, high = statistics.quantiles(self.values, n=4)
        return (high - low) / 2 / self.median

    @property
    def quartiles(self) -> tuple[float, float]:
        """Return the first and the third."""
        return self.at(0.25), self.at(0.75)

    def over(self, base: Sample) -> Sample:
        """Return the ratios to another sample, round by round."""
        return Sample(tuple(a / b for a, b in zip(self.values, base.values, strict=True)))

    def at(self, part: float) -> float:
        """Return a percentile: ``at(0.95)``."""
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


async def in_turn(
    variants: Mapping[str, Variant],
    rounds: int,
    *,
    warm: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Sample]:
    """Run the variants one after another, ``rounds`` times; the first ``warm`` rounds do not count.

    With ``clock=time.process_time`` what counts is this process's CPU, whatever else the machine does.
    """
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(-warm, rounds):
        for name, run in variants.items():
            started = clock()
            found = run()
            if inspect.isawaitable(found):
                await found
            if number >= 0:
                times[name].append(clock() - started)
    return {name: Sample(tuple(taken)) for name, taken in times.items()}


@contextmanager
def frozen_gc() -> Iterator[None]:
    """What is alive now is not collected, and collections are rare: as a tuned server runs."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the exponent of growth: 0 constant, 1 linear, 2 quadratic (least squares over both logarithms)."""
    x, y = [math.log(s) for s in sizes], [math.log(v) for v in values]
    return statistics.linear_regression(x, y).slope


def line(sizes: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return the straight line through the figures, each weighing alike in relation to itself: constant part, each."""
    weights = [1 / (v * v) for v in values]
    total = sum(weights)
    x = sum(w * s for w, s in zip(weights, sizes, strict=True)) / total
    y = sum(w * v for w, v in zip(weights, values, strict=True)) / total
    pairs = list(zip(weights, sizes, values, strict=True))
    each = sum(w * (s - x) * (v - y) for w, s, v in pairs) / sum(
        w * (s - x) ** 2 for w, s, _ in pairs
    )
    return y - each * x, each


# Processes


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process has used, all threads."""
    text = Path(f"/proc/{pid}/stat").read_text()
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def cpu_of_machine() -> float:
    """Return the seconds of CPU that all processes have used, and what the host took away."""
    user, nice, system, _idle, _wait, *rest = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """Return a process and all below it: a supervisor and its workers."""
    found = [pid]
    for known in found:
        children = Path(f"/proc/{known}/task/{known}/children").read_text().split()
        found += map(int, children)
    return found


def peak_memory(pid: int) -> float:
    """Return the peak resident memory of a process in MiB."""
    return _status(pid, "VmHWM")


def memory(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    return _status(pid, "VmRSS")


def own_memory(pid: int) -> float:
    """Return the resident memory of a process that no other process shares, in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def forget_peak(pid: int) -> None:
    """Let the peak of a process's memory count from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(name)


# Tables


@dataclass(slots=True)
class Report:
    """What one benchmark found: rows of equal columns."""

    name: str
    title: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, **row: Any) -> None:
        self.rows.append(row)

    def find(self, **columns: Any) -> list[dict[str, Any]]:
        """Return the rows with these values."""
        return [row for row in self.rows if columns.items() <= row.items()]

    @property
    def failed(self) -> int:
        """How many requests failed, where that is a column."""
        return sum(row.get("errors", 0) for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def show(report: Report, console: Console) -> None:
    """Print a report as a table."""
    table = Table(title=f"{report.name}: {report.title}", title_justify="left")
    names = list(dict.fromkeys(name for row in report.rows for name in row))
    for name in names:
        numeric = all(isinstance(row.get(name), int | float | None) for row in report.rows)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in report.rows:
        table.add_row(*(shown(row.get(name)) for name in names))
    console.print(table)
    for note in report.notes:
        console.print(f"  {note}")
    console.print()


def shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def ms(seconds: float) -> float:
    """Seconds to milliseconds, to four figures."""
    return float(f"{seconds * 1000:.4g}")


def percent(part: float) -> str:
    return f"±{part:.0%}"
