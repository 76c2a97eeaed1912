"""Compares what was measured with what was promised, and prints both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, JustifyMethod
from rich.table import Table

from tests.bench.measure import Report, shown


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit for one figure of one report."""

    topic: str
    what: str
    limit: float
    unit: str
    report: str
    column: str
    rows: Mapping[str, Any] = field(default_factory=dict)
    """What columns of the row must be: a value, a pattern, a condition. Where several rows fit, the worst counts."""
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bar and what was measured; None where this run did not measure it."""

    topic: str
    what: str
    measured: float | None
    spread: str
    limit: float
    unit: str
    at_least: bool
    ratio: float | None
    """Measured to limit: up to 1.0 is met; the inverse where more is better."""

    @property
    def met(self) -> bool | None:
        return None if self.ratio is None else self.ratio <= 1

    def to_json(self) -> dict[str, Any]:
        names = ("topic", "what", "measured", "spread", "limit", "unit", "at_least", "ratio")
        return {**{name: getattr(self, name) for name in names}, "met": self.met}


def judged(bars: Iterable[Bar], reports: Sequence[Report]) -> list[Verdict]:
    """Return every bar its figure."""
    by_name = {report.name: report for report in reports}
    return [_verdict(bar, by_name.get(bar.report)) for bar in bars]


def _verdict(bar: Bar, report: Report | None) -> Verdict:
    rows = [] if report is None else report.rows
    rows = [row for row in rows if row.get(bar.column) is not None and _fits(row, bar.rows)]
    if not rows:
        return Verdict(bar.topic, bar.what, None, "", bar.limit, bar.unit, bar.at_least, ratio=None)
    worst = min if bar.at_least else max
    row = worst(rows, key=lambda row: row[bar.column])
    value = row[bar.column]
    ratio = _ratio(bar.limit, value) if bar.at_least else _ratio(value, bar.limit)
    return Verdict(
        bar.topic,
        bar.what,
        value,
        row.get("spread", ""),
        bar.limit,
        bar.unit,
        bar.at_least,
        round(ratio, 3),
    )


def _fits(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(_is(row.get(name), value) for name, value in wanted.items())


def _is(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, re.Pattern):
        return wanted.search(str(found)) is not None
    return bool(wanted(found)) if callable(wanted) else bool(found == wanted)


def _ratio(a: float, b: float) -> float:
    if b:
        return a / b
    return 1.0 if a == b else float("inf")


def show_bars(verdicts: Sequence[Verdict], console: Console) -> None:
    """Print the bars as a table, and how many are met."""
    table = Table(title="bars", title_justify="left")
    for name in ("topic", "what", "measured", "spread", "bar", "measured/bar", "met"):
        side: JustifyMethod = "left" if name in ("topic", "what", "met") else "right"
        table.add_column(name, justify=side, no_wrap=True)
    for v in verdicts:
        sign = "≥" if v.at_least else "≤"
        table.add_row(
            v.topic,
            v.what,
            f"{shown(v.measured)} {v.unit}".rstrip() if v.measured is not None else "",
            v.spread,
            f"{sign} {shown(v.limit)} {v.unit}".rstrip(),
            shown(v.ratio),
            {True: "yes", False: "NO", None: "not measured"}[v.met],
        )
    console.print(table)
    met = [v.met for v in verdicts]
    console.print(
        f"  {met.count(True)} met, {met.count(False)} missed, {met.count(None)} not measured in this run.\n"
    )
