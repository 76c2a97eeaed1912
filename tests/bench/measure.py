"""Timing in rounds, what the operating system says of a process, and tables of it all.

Ratios inside one run are what counts: variants take turns, so a busy machine slows all of them alike.
"""

from __future__ import annotations

import gc
import inspect
import math
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Variant = Callable[[], Awaitable[object] | object]
LIBRARIES = (
    "graphql-core",
    "strawberry-graphql",
    "msgspec",
    "orjson",
    "httpx",
    "uvicorn",
    "uvloop",
)
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
        if len(self.values) < 4:
            return 0.0
        low, _, high = statistics.quantiles(self.values, n=4)
        return (high - low) / 2 / self.median

    def at(self, part: float) -> float:
        """Give a percentile: ``at(0.95)``."""
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


async def in_turn(
    variants: Mapping[str, Variant], rounds: int, *, warm: int = 2
) -> dict[str, Sample]:
    """Run the variants one after another, ``rounds`` times; the first ``warm`` rounds do not count."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(-warm, rounds):
        for name, run in variants.items():
            started = time.perf_counter()
            found = run()
            if inspect.isawaitable(found):
                await found
            if number >= 0:
                times[name].append(time.perf_counter() - started)
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
    """Give the exponent of growth: 0 constant, 1 linear, 2 quadratic (least squares over both logarithms)."""
    x, y = [math.log(s) for s in sizes], [math.log(v) for v in values]
    return statistics.linear_regression(x, y).slope


# Processes


def cpu_of(pid: int) -> float:
    """Give the seconds of CPU that a process has used, all threads."""
    text = Path(f"/proc/{pid}/stat").read_text()
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: int) -> float:
    """Give the peak resident memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError("VmHWM")


def machine() -> dict[str, Any]:
    """Describe what the figures were measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": [round(v, 2) for v in os.getloadavg()],
        "libraries": {name: version(name) for name in LIBRARIES},
    }


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

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def show(report: Report, console: Console) -> None:
    """Print a report as a table."""
    table = Table(title=f"{report.name}: {report.title}", title_justify="left")
    names = list(dict.fromkeys(name for row in report.rows for name in row))
    for name in names:
        numeric = all(isinstance(row.get(name), int | float | None) for row in report.rows)
        table.add_column(name, justify="right" if numeric else "left")
    for row in report.rows:
        table.add_row(*(_shown(row.get(name)) for name in names))
    console.print(table)
    for note in report.notes:
        console.print(f"  {note}")
    console.print()


def _shown(value: object) -> str:
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
