"""Growth: how the cost follows rows, fields and aliases, in this process's CPU time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from gateway.engine import Engine
from gateway.request import GraphQLRequest
from tests.bench.bench_execute import runner
from tests.bench.measure import GC_FROZEN, Report, Sample, frozen_gc, in_turn, line, ms, slope
from tests.bench.workload import Service, alias_query, engine_over, nested_query, wide_query

NOTES = (
    "slope: exponent over all sizes (0 constant, 1 linear, 2 quadratic); last: over the last step alone.",
    "fixed_ms + us_each x size: the straight line through them.",
)


@dataclass(frozen=True, slots=True)
class Series:
    """Operations of one kind that become larger."""

    name: str
    sizes: tuple[int, ...]
    query: Callable[[int], str]


SERIES = (
    Series("rows of 50 values", (10, 100, 1_000, 10_000), lambda n: nested_query(rows=n)),
    Series("fields, 100 rows", (5, 20, 75, 300), wide_query),
    Series("aliases by key", (1, 10, 50, 200), alias_query),
)


async def growth(quick: bool) -> list[Report]:
    """Measure execution (cached document) and preparation (new document) over rows, fields and aliases."""
    report = Report("growth", f"cached and new documents; CPU time, {GC_FROZEN}")
    for series in SERIES:
        engine = engine_over(Service())
        texts = {n: series.query(n) for n in series.sizes}
        answers = [await engine.execute(GraphQLRequest(query=t)) for t in texts.values()]
        with frozen_gc():
            ran = await _medians(
                {n: runner(engine, text) for n, text in texts.items()}, 3 if quick else 15
            )
            made = await _medians(
                {n: preparing(engine, text) for n, text in texts.items()}, 3 if quick else 15
            )
        requests = " → ".join(str(len(answer.requests)) for answer in answers)
        _add(report, series, "execute", ran, requests)
        _add(report, series, "new document", made, None)
    report.notes += NOTES
    return [report]


async def _medians(variants: dict[int, Callable[[], object]], rounds: int) -> list[Sample]:
    named = {str(size): run for size, run in variants.items()}
    results = await in_turn(named, rounds, warm=1, clock=time.process_time)
    return [results[str(size)] for size in variants]


_ROOT = re.compile(r"\{ (?:\w+: )?(\w+)\(")
_numbers = count()


def preparing(engine: Engine, text: str) -> Callable[[], None]:
    """Return what prepares the text as one that was never seen: an alias makes it so."""

    def prepare() -> None:
        new = _ROOT.sub(rf"{{ z{next(_numbers)}: \1(", text, count=1)
        engine.plan(engine.read(GraphQLRequest(query=new)))

    return prepare


def _add(
    report: Report, series: Series, what: str, samples: Sequence[Sample], requests: str | None
) -> None:
    seconds = [sample.median for sample in samples]
    report.add(series=series.name, what=what, **grown(series.sizes, seconds), requests=requests)


def grown(sizes: Sequence[int], seconds: Sequence[float]) -> dict[str, object]:
    """Return the columns of a curve."""
    fixed, each = line(sizes, seconds)
    return {
        "sizes": " → ".join(f"{n:,}" for n in sizes),
        "ms": " → ".join(f"{ms(s):.3g}" for s in seconds),
        "slope": round(slope(sizes, seconds), 2),
        "last": round(slope(sizes[-2:], seconds[-2:]), 2),
        "fixed_ms": ms(fixed),
        "us_each": float(f"{each * 1e6:.3g}"),
    }
