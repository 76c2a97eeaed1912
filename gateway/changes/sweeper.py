"""Sweeps a list: reads the keys and etags of all its rows, and finds out what has happened to those that are gone.

A row is gone because it was deleted, because it no longer passes ``where``, because its caller may not see it any more,
or because its company has left the scope of the account. Only the first is a deletion, and the second is told as what
it is. For the others nobody knows what else the caller lost: what was found so far counts no more, and all who follow
the list read it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from graphql import OperationDefinitionNode, parse
from msgspec import Struct
from msgspec.structs import replace

from gateway.admission.work import Lane
from gateway.config.change_models import ChangeOptions
from gateway.errors import BudgetExceeded
from gateway.operations.global_ids import parse_id
from gateway.request import GraphQLRequest
from gateway.store.sweep_rows import SweepHead
from schema.catalog import Catalog
from schema.catalog.records import FieldKind

from .reading import Ask, RowReader, Rows
from .selection import RowSelection
from .stamps import StampedRow
from .sweep_book import SweepBook
from .sweeps import Entry, State, SweepLog, changed, digest_of, has_lost_a_company

_VALUES = "values"
_PAUSE = 0.25
_ROWS = 900
"""Rows that are looked up at a time."""


class _NoEtags(Exception):
    """The rows of the list have no etags."""


class Sweeper(Struct, kw_only=True):
    """Sweeps one list for what one caller sees."""

    reader: RowReader
    feed: str
    book: SweepBook
    options: ChangeOptions
    catalog: Catalog
    ask: Ask
    """Answers an operation, however long the first caller waits."""
    page: int
    """Rows of a page of keys."""
    by_values: bool
    """Whether the settings say that etags do not tell changes."""
    exists: Callable[[Sequence[str]], Awaitable[bool]] | None
    """Tells whether one of some rows exists; None: every caller sees all rows."""
    now: Callable[[], float]

    async def head(self) -> SweepHead:
        """Return the last sweep, after one more if that is due. Raises ReadFailed, BudgetExceeded, StoreUnavailable."""
        while True:
            head = await self.last()
            if not self._is_due(head):
                return head
            await self.book.sweep(self.feed, self.now(), self._sweep)
            head = await self.last()
            # Without a number another process is still at the first one.
            if head.number:
                return head
            await asyncio.sleep(_PAUSE)

    def _is_due(self, head: SweepHead) -> bool:
        # A clock that was wrong must not stop sweeps for long.
        age = abs(self.now() - head.swept_at)
        options, last = self.options, self.book.wakes.last(self.reader.query.entity_set)
        least = options.sweep_interval
        if last >= head.swept_at:
            least = min(least, options.woken_interval)
        return not head.number or age >= least

    async def last(self) -> SweepHead:
        """Return the last sweep, however old. Raises StoreUnavailable."""
        return await self.book.head(self.feed, self.now())

    def first_request(self) -> GraphQLRequest:
        """Return the operation that reads the first page of a sweep."""
        reader = self._sweeping(by_values=self.by_values)
        return reader.page_request(reader.page_size, None, reader.where)[0]

    async def _sweep(self) -> None:
        began, head = self.now(), await self.last()
        if not self._is_due(head):  # another process was faster
            return
        before = await self.book.state(self.feed) if head.number else None
        by_values = self.by_values or head.by_values
        try:
            state, etags = await self._read(by_values=by_values)
        except _NoEtags:
            by_values = True
            state, etags = await self._read(by_values=by_values)
        log = None
        # What etags were compared with is no state of values.
        if before is not None and by_values == (head.by_values or self.by_values):
            log = await self._log(head, before, state, etags)
        number = max(head.number + 1, int(began * 1000))
        await self.book.finish(self.feed, number, began, state, log, by_values=by_values)

    async def _read(self, *, by_values: bool) -> tuple[State, dict[str, str | None]]:
        """Return the state of the list, and the etags of its rows."""
        state: State = {}
        etags: dict[str, str | None] = {}
        reader = self._sweeping(by_values=by_values)
        after: str | None = None
        while True:
            rows = await reader.page(reader.page_size, after, {})
            for number, row in enumerate(rows.present):
                state[row.id] = _digest(rows, number, row, by_values=by_values)
                etags[row.id] = row.etag
            if len(state) > self.options.max_swept_rows:
                raise BudgetExceeded(
                    f"{reader.query.name} has more than {self.options.max_swept_rows:,} rows, and no time of their"
                    " last change.",
                    hint="Narrow where or companies, or raise changes.max_swept_rows.",
                )
            if not rows.has_more:
                return state, etags
            after = rows.end

    def _sweeping(self, *, by_values: bool) -> RowReader:
        """Return what reads the pages of a sweep."""
        page = min(self.page, self.reader.page_size) if by_values else self.page
        request = replace(
            self.reader.request,
            lane=Lane.SUBSCRIPTION,
            is_charged=False,  # it is for all who follow the list
            max_page=page,
            timeout=None,
            trace=False,
            cost=None,
        )
        rows = (self._values(),) if by_values else ()
        selection = replace(self.reader.selection, rows=rows)
        return replace(
            self.reader, request=request, selection=selection, page_size=page, ask=self.ask
        )

    def _values(self) -> RowSelection:
        """Return the selection of all values of a row."""
        csdl = self.catalog.roots[self.reader.query.name].csdl
        fields = self.catalog.object(csdl).fields.values()
        names = " ".join(f.name for f in fields if f.kind is FieldKind.VALUE)
        (operation,) = parse(f"{{ {names} }}", no_location=True).definitions
        assert isinstance(operation, OperationDefinitionNode)
        return RowSelection(_VALUES, tuple(operation.selection_set.selections))

    async def _log(
        self,
        head: SweepHead,
        before: State,
        state: State,
        etags: dict[str, str | None],
    ) -> SweepLog | None:
        """Return what has changed; None if rows are gone that were perhaps not deleted. May add rows to ``state``."""
        gone = [row for row in before if row not in state]
        entries = changed(before, state, etags)
        if gone:
            if has_lost_a_company(before, state, self._company_of):
                return None
            shown = await self._shown(gone)
            if self.reader.where:
                entries += [Entry(row, "F") for row in gone if row in shown]
            else:
                # Created again while the sweep went on: the next one compares it.
                state.update({row: before[row] for row in gone if row in shown})
            hidden = [row for row in gone if row not in shown]
            if hidden and self.exists is not None and await self.exists(hidden):
                return None
            entries += [Entry(row, "D") for row in hidden]
        return SweepLog(head.number, tuple(entries))

    async def _shown(self, gone: Sequence[str]) -> set[str]:
        """Return the rows that the caller still sees, whether or not they pass the filter."""
        if not self.reader.where and self.exists is None:
            return set()
        reader = self._sweeping(by_values=False)
        shown: set[str] = set()
        for start in range(0, len(gone), _ROWS):
            rows = await reader.by_ids(gone[start : start + _ROWS])
            shown.update(row.id for row in rows.present)
        return shown

    def _company_of(self, row: str) -> str:
        company = self.catalog.abilities.company_property
        csdl = self.catalog.roots[self.reader.query.name].csdl
        names = [field.source for field in self.catalog.object(csdl).key]
        if company not in names:
            return ""
        _, key = parse_id(row, self.catalog.tag)
        return str(key[names.index(company)]).casefold()


def _digest(rows: Rows, number: int, row: StampedRow, *, by_values: bool) -> bytes:
    """Return the digest of a row. Raises _NoEtags."""
    if by_values:
        return digest_of(bytes(rows.nodes[_VALUES][number]))
    if row.etag is None:
        raise _NoEtags
    return digest_of(row.etag.encode())
