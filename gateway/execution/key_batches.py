"""Loads the rows of many keys, in as few requests as the URL's length allows.

One ``aiodataloader`` an operation. What is loaded is not a key but a :class:`BatchRequest`: all keys of a level at
once, so a level costs one future instead of one a row. Batches of the same tick that read the same set by the same
columns under the same filter and order (sibling fields, aliases, 50 by-key fields) are sent as one: keys united,
``$select`` united, each decoded into its own row type and cut into its own pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Hashable, Sequence
from math import inf
from typing import Any

from aiodataloader import DataLoader
from msgspec import Struct, field, structs

from gateway.errors import GatewayError
from gateway.odata.batch import FEW_CHUNKS, LONGER, MANY_CHUNKS
from gateway.odata.key_filters import key_filter
from gateway.odata.query import KeyPart, Literal, Query, Value
from gateway.operations.expectations import ListLengths
from gateway.operations.pages import Failure, Page
from gateway.planning.filters import all_of
from gateway.planning.page_window import OrderTerm, Window, cursor_filter, order_by
from gateway.planning.plan import Key, ReadPlan
from schema.catalog.records import Field

from .addresses import with_room_for_keys
from .connections import read_connection
from .fetcher import Fetcher
from .field_attribution import current_fields, set_fields
from .key_chunks import (
    UNFINISHED,
    KeyChunk,
    RowsByKey,
    columns_of,
    read_chunks,
    split_keys,
    types_of,
)
from .key_matching import are_distinct, normal_forms
from .null_order import prove_null_order
from .page_cutter import Cutter, cut_pages
from .read_batches import in_batches, is_batch_refusal


class BatchRequest(Struct, frozen=True, eq=False):
    """Rows of one plan for the keys of one level."""

    plan: ReadPlan
    columns: tuple[Field, ...]
    """Columns of the target that equal the key's parts."""
    keys: tuple[Key, ...]
    many: bool = False
    """Whether a key has a list of rows; else one row at the most."""
    own_pages: bool = False
    """Whether the page of each key is read by itself, in ``$batch`` requests; else lists come whole, and are cut."""
    lengths: ListLengths | None = None
    """Where the lengths of whole lists are noted; None: they are not."""
    fields: tuple[str, ...] = field(default_factory=current_fields)
    """Response fields that need the rows."""

    def template(self) -> Hashable:
        """Return what batches must share to be sent as one."""
        query, window = self.plan.query, self.plan.window
        order = None if window is None else order_by(window.order, backward=False)
        names = tuple(f.source for f in self.columns)
        bounds = None if window is None or not window.keyset else (window.after, window.before)
        kind = self.many, self.own_pages
        return (query.resource, names, kind, repr(query.where), query.expand, order, bounds)


class KeyBatchLoader(DataLoader[BatchRequest, RowsByKey]):
    """The key batches of one operation; ``max_url_length`` is in characters."""

    cache = False

    def __init__(self, fetcher: Fetcher, max_url_length: int) -> None:
        super().__init__()
        self._fetcher = fetcher
        self._dialect = fetcher.dialect
        self._limit = max_url_length
        self._most_chunks = MANY_CHUNKS
        """Requests of one read that go side by side; more of them share batches."""

    async def batch_load_fn(self, batches: list[BatchRequest]) -> list[RowsByKey]:
        """Load the batches of one tick; a group that fails fails for its own batches only."""
        groups: dict[Hashable, list[BatchRequest]] = {}
        for batch in batches:
            groups.setdefault(batch.template(), []).append(batch)
        loaded = await asyncio.gather(
            *(self._load_group(g) for g in groups.values()), return_exceptions=True
        )
        results: dict[int, Any] = {}
        for group, result in zip(groups.values(), loaded, strict=True):
            for i, batch in enumerate(group):
                # An exception in the place of a result is raised by the future of that batch alone.
                results[id(batch)] = result if isinstance(result, BaseException) else result[i]
        return [results[id(batch)] for batch in batches]

    async def _load_group(self, group: list[BatchRequest]) -> list[RowsByKey]:
        """Load batches of one template; keys that the upstream takes as equal are requested once."""
        set_fields(name for batch in group for name in batch.fields)
        types, insensitive = types_of(group[0].columns), self._dialect.case_insensitive
        if len(group) == 1 and are_distinct(types, group[0].keys, case_insensitive=insensitive):
            return await self._load(group, group[0].keys)
        forms = [normal_forms(types, b.keys, case_insensitive=insensitive) for b in group]
        by_form: dict[tuple[Any, ...], Key] = {}
        for batch, own_forms in zip(group, forms, strict=True):
            for form, key in zip(own_forms, batch.keys, strict=True):
                by_form.setdefault(form, key)
        loaded = await self._load(group, tuple(by_form.values()))
        return [
            dict(zip(batch.keys, map(rows.get, map(by_form.__getitem__, own_forms)), strict=True))
            for batch, own_forms, rows in zip(group, forms, loaded, strict=True)
        ]

    async def _load(self, group: list[BatchRequest], keys: Sequence[Key]) -> list[RowsByKey]:
        query = group[0].plan.query
        if len(group) > 1:
            select = tuple(dict.fromkeys(name for b in group for name in b.plan.query.select))
            # No $select means every column, so one such batch decides for all.
            selects_all = any(not b.plan.query.select for b in group)
            query = structs.replace(query, select=() if selects_all else select)
        if len(keys) == 1 and len(group) == 1:
            return [{keys[0]: await self._load_one_key(group[0], query, keys[0])}]
        if len(keys) == 1:
            each = await asyncio.gather(*(self._load_one_key(b, query, keys[0]) for b in group))
            return [{keys[0]: result} for result in each]
        if group[0].own_pages:
            pages = await self._load_own_pages(group, query, keys)
            if not _refuses_batches(group, pages):
                return pages
        return await self._load_many_keys(group, query, keys)

    async def _load_own_pages(
        self, group: list[BatchRequest], query: Query, keys: Sequence[Key]
    ) -> list[RowsByKey]:
        """Return the page of each key, a Failure for one that cannot be read. They share ``$batch`` requests."""
        with in_batches(True):
            loads = [self._load_one_key(batch, query, key) for batch in group for key in keys]
            # Each is a task that begins in this turn of the event loop, so that they join the same batches.
            pages = iter(await asyncio.gather(*loads, return_exceptions=True))
        loaded = [{key: _page_or_failure(next(pages)) for key in keys} for _ in group]
        for batch, own in zip(group, loaded, strict=True):
            _note_lengths(batch, own.values())
        return loaded

    async def _load_one_key(self, batch: BatchRequest, query: Query, key: Key) -> Any:
        if not batch.many and batch.columns == batch.plan.level.info.key and query.where is None:
            parts = tuple(
                KeyPart(f.source, _literal(f, v)) for f, v in zip(batch.columns, key, strict=True)
            )
            keyed = structs.replace(query, resource=structs.replace(query.resource, key=parts))
            return await self._fetcher.row(keyed, batch.plan.row_type)
        query = structs.replace(
            query, where=all_of(query.where, key_filter(columns_of(batch.columns), [key]))
        )
        if batch.many:
            return await read_connection(self._fetcher, query, batch.plan)
        rows = (await self._fetcher.rows(query, batch.plan.row_type)).rows
        return rows[0] if rows else None

    async def _load_many_keys(
        self, group: list[BatchRequest], query: Query, keys: Sequence[Key]
    ) -> list[RowsByKey]:
        window = group[0].plan.window
        if window is not None:
            query = structs.replace(
                query, order=order_by(_order_of(group[0], window), backward=False)
            )
        row_types = [batch.plan.row_type for batch in group]
        query = with_room_for_keys(query, row_types, self._dialect, self._limit)
        places = [self._rows_key(batch) for batch in group]
        if window is None or not (window.keyset and window.has_cursor):
            rows = await self._read(group, query, keys, longest=self._longest(group))
            lists = [rows[place] for place in places]
            if window is not None:
                lists = await self._with_own_pages(group, query, lists)
            return [await self._cut(batch, own) for batch, own in zip(group, lists, strict=True)]
        # What stands behind a cursor only the upstream knows: text compares by the database's collation.
        if window.null_order == "unknown":
            await prove_null_order(self._fetcher, query, group[0].plan)
        where = all_of(query.where, cursor_filter(window, self._dialect))
        counted = [batch for batch in group if batch.plan.window and batch.plan.window.needs.total]
        rows, whole = await asyncio.gather(
            self._read(group, structs.replace(query, where=where), keys),
            self._read(counted, query, keys),
        )
        return [
            await self._cut(batch, rows[place], whole.get(place))
            for batch, place in zip(group, places, strict=True)
        ]

    def _longest(self, group: list[BatchRequest]) -> float:
        """Return the rows of a key beyond which its page is read by itself, if they came with a next link."""
        windows = [batch.plan.window for batch in group]
        pages = [w.rows_read for w in windows if w is not None and w.keyset]
        may_batch = all(batch.lengths is None or batch.lengths.may_batch for batch in group)
        if len(pages) < len(group) or not (self._dialect.batches_reads and may_batch):
            return inf
        return max(pages) + self._fetcher.long_list_rows

    async def _with_own_pages(
        self, group: list[BatchRequest], query: Query, lists: list[RowsByKey]
    ) -> list[RowsByKey]:
        """Return the lists, with pages in the place of those that were too long to be read whole."""
        unfinished = [key for key, rows in lists[0].items() if rows is UNFINISHED]
        if not unfinished:
            return lists
        pages = await self._load_own_pages(group, query, unfinished)
        if not _refuses_batches(group, pages):
            return [{**whole, **own} for whole, own in zip(lists, pages, strict=True)]
        rest = await self._read(group, query, unfinished)
        return [
            {**whole, **rest[self._rows_key(batch)]}
            for batch, whole in zip(group, lists, strict=True)
        ]

    async def _read(
        self,
        group: list[BatchRequest],
        query: Query,
        keys: Sequence[Key],
        longest: float = inf,
    ) -> dict[Hashable, RowsByKey]:
        """Read all keys of a query once for each row type: aliases of one selection share theirs.

        Lists of more than ``longest`` rows may be left UNFINISHED.
        """
        if not group:
            return {}
        columns = columns_of(group[0].columns)
        by_type = {self._rows_key(batch): batch for batch in group}

        async def read(chunks: Sequence[KeyChunk]) -> dict[Hashable, RowsByKey]:
            reads = (
                read_chunks(
                    self._fetcher,
                    chunks,
                    batch.plan.row_type,
                    batch.columns,
                    keys,
                    many=batch.plan.window is not None,
                    longest=longest,
                )
                for batch in by_type.values()
            )
            return dict(zip(by_type, await asyncio.gather(*reads), strict=True))

        chunks = split_keys(self._fetcher, query, columns, keys, self._limit)
        if len(chunks) <= self._most_chunks or not self._dialect.batches_reads:
            return await read(chunks)
        self._most_chunks = FEW_CHUNKS
        # So many requests side by side would be throttled. A $batch is one, and no server limits the addresses in it.
        longer = split_keys(self._fetcher, query, columns, keys, LONGER * self._limit)
        with in_batches(True):
            loaded = await read(longer)
        return await read(chunks) if _refuses_batches(group, list(loaded.values())) else loaded

    def _rows_key(self, batch: BatchRequest) -> Hashable:
        """Return what batches share that may have the same rows in memory."""
        return id(batch.plan.row_type)

    async def _cut(
        self, batch: BatchRequest, rows_by_key: RowsByKey, whole: RowsByKey | None = None
    ) -> RowsByKey:
        """Return the pages of lists that came in order.

        Lists of windows with cursors hold only the rows between these; ``whole`` are the lists with all of their rows,
        if those are to be counted.
        """
        window = batch.plan.window
        if window is None:
            return rows_by_key
        if whole is not None:
            failures = {k: f for k, f in whole.items() if isinstance(f, Failure)}
            rows_by_key = {**rows_by_key, **failures}
        cutter = Cutter(
            window,
            batch.plan.row_type,
            self._dialect,
            same=batch.columns,
            ordered=True,
            bounded=_is_bounded(window),
        )
        # A page was read by itself.
        cut = (Failure, Page)
        lists = rows_by_key
        if not set(map(type, rows_by_key.values())) <= {list}:
            lists = {key: rows for key, rows in rows_by_key.items() if not isinstance(rows, cut)}
        if batch.lengths is not None and not _is_bounded(window):
            others = len(rows_by_key) - len(lists)
            # Of lists that were not read whole it is only certain that they are longer.
            rows = sum(map(len, lists.values())) + (
                others * self._longest([batch]) if others else 0
            )
            batch.lengths.learn(len(rows_by_key), rows)
        totals = None if whole is None else [len(whole[key]) for key in lists]
        pages = await cut_pages(cutter, list(lists.values()), totals)
        made = dict(zip(lists, pages, strict=True))
        return made if lists is rows_by_key else {**rows_by_key, **made}


def _is_bounded(window: Window) -> bool:
    """Return whether lists hold the rows between the cursors of a window only."""
    return window.keyset and window.has_cursor


def _refuses_batches(group: Sequence[BatchRequest], loaded: Sequence[RowsByKey]) -> bool:
    """Return whether the service takes no ``$batch``, and note it: each read failed in the way that says so."""
    pages = [page for rows in loaded for page in rows.values()]
    if not all(isinstance(page, Failure) and is_batch_refusal(page.error) for page in pages):
        return False
    for batch in group:
        if batch.lengths is not None:
            batch.lengths.may_batch = False
    return True


def _note_lengths(batch: BatchRequest, pages: Collection[Any]) -> None:
    """Note how long lists are whose pages were read, if all of them have ended or were counted."""
    window = batch.plan.window
    if batch.lengths is None or window is None or _is_bounded(window):
        return
    lengths = [_length(page, window) for page in pages if isinstance(page, Page)]
    known = [length for length in lengths if length is not None]
    if len(known) == len(pages):
        batch.lengths.learn(len(known), sum(known))


def _length(page: Page, window: Window) -> int | None:
    """Return the length of a list of which this is the first page; None if it has more."""
    if page.total is not None:
        return page.total
    return len(page.rows) if len(page.rows) < window.size else None


def _page_or_failure(loaded: Any) -> Any:
    """Return a page, or what stands in its place if it could not be read. Raises what is no error of the upstream."""
    if isinstance(loaded, GatewayError):
        return Failure(loaded)
    if isinstance(loaded, BaseException):
        raise loaded
    return loaded


def _literal(field: Field, value: Value) -> Literal:
    assert field.value is not None
    return Literal(value, field.value.edm, field.value.is_enum)


def _order_of(batch: BatchRequest, window: Window) -> tuple[OrderTerm, ...]:
    """Return the window's order; for a keyless target at least its join columns, so that server pages are stable."""
    return window.order or tuple(OrderTerm(f) for f in batch.columns)


class KeyBatchesOnDemand:
    """The key batches of one operation, whose loader is made for the first of them: most operations have none."""

    __slots__ = ("_fetcher", "_limit", "_loader")

    def __init__(self, fetcher: Fetcher, max_url_length: int) -> None:
        self._fetcher = fetcher
        self._limit = max_url_length
        self._loader: KeyBatchLoader | None = None

    def load(self, batch: BatchRequest) -> asyncio.Future[RowsByKey]:
        """Return the future rows of a batch."""
        if self._loader is None:
            self._loader = KeyBatchLoader(self._fetcher, self._limit)
        return self._loader.load(batch)
