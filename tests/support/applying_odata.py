"""``$apply`` over rows in memory: ``filter(…)/groupby((A,B),aggregate(X with sum as S,$count as N))``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from typing import Any

from tests.support.memory_odata import Row

Filter = Callable[[str], list[Row]]
_APPLY = re.compile(
    r"(?:filter\((?P<where>.*)\)/)?(?:groupby\(\((?P<keys>[^)]*)\),)?aggregate\((?P<totals>.*?)\)+"
)
_TOTAL = re.compile(r"(?:(\w+) with (\w+)|\$count) as (\w+)")
_METHODS: Mapping[str, Callable[[list[Any]], Any]] = {
    "sum": lambda values: _sum(values) if values else None,
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
    "countdistinct": lambda values: len(set(values)),
}


def _sum(values: list[Any]) -> Decimal:
    with localcontext(prec=200):
        return sum(values, Decimal(0))


def apply(text: str, passing: Filter) -> list[Row]:
    """Return the rows of a transformation; ``passing`` returns those that pass a filter, all for an empty one."""
    match = _APPLY.fullmatch(text)
    assert match is not None, text
    rows = passing(match["where"] or "")
    keys = [key for key in (match["keys"] or "").split(",") if key]
    groups: dict[tuple[Any, ...], list[Row]] = {} if keys else {(): []}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return [
        {**dict(zip(keys, values, strict=True)), **_totals(match["totals"], members)}
        for values, members in groups.items()
    ]


def _totals(text: str, rows: list[Row]) -> Row:
    totals: Row = {}
    for source, method, alias in _TOTAL.findall(text):
        values = [row[source] for row in rows if source and row[source] is not None]
        totals[alias] = _METHODS[method](values) if method else len(rows)
    return totals
