"""Reads an aggregate: counted or computed by the service if it can do that exactly, else row by row.

    only the number of rows      Set/$count
    Dialect.apply                Set?$apply=filter(…)/groupby((…),aggregate(…))
    else                         Set?$select=…, page after page; no page is held once it has been taken in

An aggregate is of all rows or an error. Only a caller who selects ``complete`` gets one of a part.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any

from msgspec import Struct

from gateway.errors import BudgetExceeded, UpstreamMalformed
from gateway.odata.lower import Lowered
from gateway.odata.query import Apply, Query, Request
from gateway.odata.response_check import malformed_answer
from gateway.planning.aggregation import Aggregation
from gateway.planning.plan import AggregateRoot, ReadPlan

from .aggregate_answers import answer_of
from .fetcher import Fetcher
from .group_states import Group, Grouping, Reader, number
from .long_lists import count_of
from .page_decoder import decode_untyped
from .page_reader import MAX_EMPTY_PAGES
from .passing import passing_rows

_ROWS_A_TURN = 500
"""Rows after which other tasks have their turn: some 5 ms."""


class Aggregated(Struct):
    """What was read for an aggregate."""

    grouping: Grouping
    rows_read: int = 0
    complete: bool = True


async def read_aggregate(fetcher: Fetcher, root: AggregateRoot) -> dict[str, Any]:
    """Return the answer of an aggregate, by response key. Raises GatewayError."""
    plan, aggregation = root.plan, root.aggregation
    read = Aggregated(Grouping(aggregation, fetcher.dialect))
    if aggregation.counts_only:
        read.grouping.group(()).rows = await count_of(fetcher, plan.query, plan.row_type)
    elif aggregation.apply is not None:
        await _apply(fetcher, aggregation.apply, read.grouping)
    else:
        await _RowReader(fetcher, plan, aggregation, read).read()
    return answer_of(read.grouping, rows_read=read.rows_read, complete=read.complete)


class _RowReader:
    """Takes the rows of a list in, page after page."""

    def __init__(
        self, fetcher: Fetcher, plan: ReadPlan, aggregation: Aggregation, result: Aggregated
    ) -> None:
        self._fetcher = fetcher
        self._plan = plan
        self._aggregation = aggregation
        self._result = result
        row_type = plan.row_type
        self._reader = Reader(
            [attrgetter(row_type.attribute(key)) for key in aggregation.keys],
            [attrgetter(row_type.attribute(f.field)) for f in aggregation.fields],
        )
        self._read = 0
        """Rows that have come, those among them that the service could not filter out."""

    async def read(self) -> None:
        """Take in all rows, or as many as may be read. Raises GatewayError."""
        fetcher, plan = self._fetcher, self._plan
        lowered = fetcher.dialect.lower(plan.query)
        if lowered.empty:
            return
        request = fetcher.requests.to_request(lowered, plan.row_type)
        empty = 0
        while True:
            page = await fetcher.pages.page(request, plan.row_type)
            # The answer to each page would stay until the end of the operation.
            fetcher.requests.forget(request)
            fetcher.pages.count(request, len(page.value))
            self._check_size(page.count)
            following = page.next and fetcher.requests.next_page(request, page.next)
            is_last = self._read + len(page.value) >= self._aggregation.max_rows
            if following and not is_last:
                # The service works on the next page while this one is taken in.
                fetcher.requests.start(following)
            await self._take(page.value, lowered)
            if not following:
                return
            if is_last:
                self._end_early()
                return
            empty = 0 if page.value else empty + 1
            if empty > MAX_EMPTY_PAGES:
                raise UpstreamMalformed(
                    f"The upstream sent {empty} empty pages in a row, each with a link to a next one."
                )
            request = following

    def _check_size(self, count: int | None) -> None:
        """Raise BudgetExceeded if there are too many rows, as far as the service has said how many."""
        if count is not None and count > self._aggregation.max_rows:
            self._end_early()

    async def _take(self, rows: Sequence[Any], lowered: Lowered) -> None:
        most = self._aggregation.max_rows - self._read
        if len(rows) > most:
            self._end_early()
            rows = rows[:most]
        self._read += len(rows)
        for start in range(0, len(rows), _ROWS_A_TURN):
            some: Sequence[Any] = rows[start : start + _ROWS_A_TURN]
            if lowered.residual is not None:
                some = passing_rows(
                    some, lowered.residual, self._plan.row_type, self._fetcher.dialect
                )
            self._result.grouping.add(some, self._reader)
            self._result.rows_read += len(some)
            await asyncio.sleep(0)

    def _end_early(self) -> None:
        """Note that rows are left out. Raises BudgetExceeded if the caller would not learn it."""
        if not self._aggregation.takes_part:
            raise BudgetExceeded(
                f"The aggregate is over more than the {self._aggregation.max_rows:,} rows that may be read for it.",
                hint="Filter more narrowly, select complete to get a part, or raise D365_AGGREGATES__MAX_ROWS.",
            )
        self._result.complete = False


async def _apply(fetcher: Fetcher, query: Query, grouping: Grouping) -> None:
    """Take in the groups that the service has made. Raises GatewayError."""
    assert query.apply is not None
    lowered = fetcher.dialect.lower(query)
    if lowered.empty:
        return
    request: Request | None = fetcher.requests.to_request(lowered)
    while request is not None:
        response = await fetcher.requests.send(request)
        answer = decode_untyped(response)
        rows = answer.get("value") if isinstance(answer, dict) else None
        if not isinstance(answer, dict) or not isinstance(rows, list):
            raise malformed_answer(
                response, "groups were requested, but the answer is something else"
            )
        fetcher.pages.count(request, len(rows))
        for row in rows:
            if not isinstance(row, dict):
                raise malformed_answer(response, "a group is no object")
            _take_group(row, query.apply, grouping)
        link = answer.get("@odata.nextLink")
        request = fetcher.requests.next_page(request, link) if isinstance(link, str) else None


def _take_group(row: dict[str, Any], apply: Apply, grouping: Grouping) -> None:
    """Take in one group of the service. Raises BudgetExceeded, UpstreamMalformed."""
    try:
        group = grouping.group([row[key] for key in apply.keys])
        values = iter(apply.totals)
        rows = row[next(values).alias]
        if not isinstance(rows, int | Decimal) or isinstance(rows, bool):
            raise TypeError
        further = Group(group.keys, group.places, len(grouping.columns))
        further.rows = int(rows)
        for total in values:
            index = next(
                n
                for n, f in enumerate(grouping.aggregation.fields)
                if f.field.source == total.source
            )
            _take_total(further, index, total.method, row[total.alias], grouping)
        for aggregated, state in zip(grouping.aggregation.fields, further.states, strict=True):
            assert aggregated.field.prop is not None
            if not aggregated.field.prop.nullable:
                state.count = further.rows
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise UpstreamMalformed(
            "The upstream sent groups without the values that were requested."
        ) from error
    # Two groups of the service may be one here: text that differs in case.
    group.merge(further)


def _take_total(group: Group, index: int, method: str, raw: object, grouping: Grouping) -> None:
    state, column = group.states[index], grouping.columns[index]
    if raw is None:
        return
    match method:
        case "sum":
            state.count, state.total = 1, number(raw)
        case "countdistinct":
            state.distinct = int(number(raw))
        case _:
            value = column.value(raw)
            state.extend((column.place(raw, value), value))
