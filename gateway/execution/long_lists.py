"""Splits lists whose filter names too many values for one address: ``where: { x: { in: [… 300 values] } }``.

The values are cut into runs, each a list of its own with an address that fits; their rows are merged by the list's
total order. A row is in one run only, so counts add up, and the first rows of the list are among the first of the runs.

The runs are in the order of the upstream, which for text is that of its database's collation and is not known here. A
merge is therefore used only if each place in it is certain (``collation``); else the whole list is one request, as part
of a ``$batch``, whose address no web server inspects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from heapq import merge
from itertools import pairwise
from operator import attrgetter
from typing import Any

from msgspec import Struct, structs

from gateway.errors import UnsupportedQuery, UpstreamMalformed
from gateway.odata.collation import certain_order, fold_text
from gateway.odata.key_filters import long_list, split_by_length
from gateway.odata.local_filter import comparable, order_key
from gateway.odata.query import Literal, Query
from gateway.odata.render import render
from gateway.operations.row_types import RowType
from gateway.planning.page_window import Window
from gateway.planning.plan import ReadPlan

from .addresses import count_query
from .fetcher import Fetcher
from .page_reader import Rows


def split_list(fetcher: Fetcher, query: Query) -> list[Query] | None:
    """Return queries whose rows together are those of ``query``; None if its address fits, or no list can be cut."""
    filtered = long_list(query.where)
    if filtered is None or not fetcher.requests.is_too_long(query):
        return None
    values = _distinct(filtered.values.values, fetcher)
    if _may_be_equal(values):
        return None

    def build(part: Sequence[Literal]) -> Query:
        return structs.replace(query, where=filtered.with_values(part))

    def lowered(part: Sequence[Literal]) -> Query:
        return fetcher.dialect.lower(build(part)).query

    options = fetcher.dialect.options
    if len(render(lowered(values[:1]), options=options).url) > fetcher.requests.max_url_length // 2:
        return None
    runs = split_by_length(lowered, values, limit=fetcher.requests.max_url_length, options=options)
    return [build(run) for run in runs]


def _distinct(values: Sequence[Literal], fetcher: Fetcher) -> list[Literal]:
    """Return values no two of which are equal for the upstream, so that no row is in two runs."""
    insensitive = fetcher.dialect.case_insensitive
    distinct: dict[Any, Literal] = {}
    for literal in values:
        place = comparable(literal.type, literal.value, case_insensitive=insensitive)
        distinct.setdefault(place, literal)
    return list(distinct.values())


def _may_be_equal(values: Sequence[Literal]) -> bool:
    """Return whether a service may take two of the values as equal, so that two runs would return the same rows."""
    texts = [str(literal.value) for literal in values if literal.type == "Edm.String"]
    return len(set(map(fold_text, texts))) < len(texts)


async def count_of(fetcher: Fetcher, query: Query, row_type: RowType) -> int:
    """Return the number of rows of a query, whose filter may be long. Raises GatewayError."""
    cut = split_list(fetcher, count_query(query))
    if cut is None:
        return await fetcher.count(query, row_type)
    counts = await asyncio.gather(*(fetcher.count(piece, row_type) for piece in cut))
    return sum(counts)


async def rows_of(
    fetcher: Fetcher, query: Query, plan: ReadPlan, *, raw: bool, most: int | None
) -> Rows:
    """Return the rows of a keyset window's query, whose filter may be long. Raises GatewayError.

    ``raw`` and ``most`` are those of :meth:`Fetcher.rows`.
    """
    row_type, window = plan.row_type, plan.window
    assert window is not None
    derived, is_answer = plan.derived, raw and not window.needs.cursors
    is_page = derived.page is not None and derived.page.query is query
    if is_page and derived.request is not None:
        top = query.top if most is None else most
        return await fetcher.rows_of_request(
            derived.request, query, row_type, top, raw=raw, is_answer=is_answer
        )
    cut = split_list(fetcher, query)
    if cut is None:
        return await fetcher.rows(
            query,
            row_type,
            raw=raw,
            is_answer=is_answer,
            most=most,
            derived=derived if is_page else None,
        )
    if window.skip:
        raise UnsupportedQuery("Rows of a list that is read in several requests cannot be skipped.")
    merging = RunMerger(window, row_type, fetcher)
    cut = [structs.replace(piece, top=merging.top) for piece in cut]
    for number, piece in enumerate(cut, 1):
        fetcher.requests.note_query(
            piece, row_type, f"run {number} of {len(cut)} of a long list of values"
        )
    runs = await asyncio.gather(*(fetcher.rows(piece, row_type) for piece in cut))
    merged = merging.merge([run.rows for run in runs])
    if merged is None:
        return await fetcher.rows(query, row_type, most=most)
    totals = [run.total for run in runs]
    return Rows(merged, None if None in totals else sum(t for t in totals if t is not None))


class _Placed(Struct, frozen=True):
    """A row of a run."""

    key: Any
    run: int
    row: Any


class RunMerger:
    """Merges the runs of a list, each of which the upstream has put in order."""

    def __init__(self, window: Window, row_type: RowType, fetcher: Fetcher) -> None:
        self._attributes = [row_type.attribute(term.field) for term in window.order]
        self._types = [term.edm for term in window.order]
        self._descending = [term.descending != window.backward for term in window.order]
        self._insensitive = fetcher.dialect.case_insensitive
        self.top = window.size + window.one_more

    def merge(self, runs: Sequence[list[Any]]) -> list[Any] | None:
        """Return the first rows of all runs; None if it is not certain which they are.

        Raises UpstreamMalformed for values that cannot be put in order.
        """
        try:
            placed = [[self._placed(row, n) for row in run] for n, run in enumerate(runs)]
            ordered = list(merge(*placed, key=attrgetter("key")))
            first, rest = ordered[: self.top], ordered[self.top :]
            # The last row is certain if it stands before the next row of each run.
            next_rows = {row.run: row for row in reversed(rest)}
            pairs = [*pairwise(first), *((first[-1], row) for row in next_rows.values() if first)]
            certain = all(
                one.run == other.run or self._is_certain(one, other) for one, other in pairs
            )
        except (AttributeError, TypeError, ValueError, ArithmeticError) as error:
            raise UpstreamMalformed(
                "The upstream sent rows that cannot be put in order: a value is not of its type."
            ) from error
        return [placed.row for placed in first] if certain else None

    def _placed(self, row: Any, run: int) -> _Placed:
        values = [getattr(row, attribute) for attribute in self._attributes]
        key = order_key(values, self._types, self._descending, case_insensitive=self._insensitive)
        return _Placed(key, run, row)

    def _is_certain(self, one: _Placed, other: _Placed) -> bool:
        """Return whether the upstream, too, has ``one`` before ``other``."""
        terms = zip(self._attributes, self._types, self._descending, strict=True)
        for attribute, edm, descending in terms:
            pair = getattr(one.row, attribute), getattr(other.row, attribute)
            order = certain_order(edm, *pair, case_insensitive=self._insensitive)
            if order != 0:
                return order == (1 if descending else -1)
        return False
