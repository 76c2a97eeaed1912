"""Key batches: the rows that belong to many keys, in as few requests as the URL's length allows.

One ``aiodataloader`` an operation. What is loaded is not a key but a :class:`Want`: all keys of a level at
once, so a level costs one future instead of one a row. Wants of the same tick that read the same set by the
same columns under the same filter and order (sibling fields, aliases, 50 by-key fields) are sent as one: keys
united, ``$select`` united, each decoded into its own row type and cut into its own pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from typing import Any

from aiodataloader import DataLoader
from msgspec import Struct, field, structs

from gateway.errors import GatewayError, UpstreamMalformed
from gateway.odata.key_filters import Column, key_filter, key_requests, split_by_length
from gateway.odata.query import KeyPart, Literal, Query, Request, Value
from gateway.operations.pages import Failure, Page
from gateway.operations.row_types import RowType
from gateway.planning.filters import all_of
from gateway.planning.page_window import (
    OrderTerm,
    Window,
    bounded,
    bounds_of,
    empty_page,
    fills_pages,
    keyset_page,
    orders,
)
from gateway.planning.plan import Key, ReadPlan
from schema.catalog.records import Field

from .addresses import narrowed, room_for_keys
from .fetcher import Fetcher
from .field_attribution import ask_for, asking
from .filtering import matching_rows
from .key_matching import ManyIndex, OneIndex, are_distinct, normal_forms
from .long_lists import count_of, rows_of
from .null_order import needs_proof, prove_null_order
from .page_cutter import Cutter
from .page_reader import Rows
from .unkeyed import unkeyed_page


class BatchRequest(Struct, frozen=True, eq=False):
    """Rows of one plan for the keys of one level."""

    plan: ReadPlan
    columns: tuple[Field, ...]
    """Columns of the target that equal the key's parts."""
    keys: tuple[Key, ...]
    many: bool = False
    """Whether a key has a list of rows; else one row at the most."""
    fields: tuple[str, ...] = field(default_factory=asking)
    """For which it is wanted."""

    def template(self) -> Hashable:
        """Return what wants must share to be sent as one."""
        query, window = self.plan.query, self.plan.window
        order = None if window is None else orders(window.order, backward=False)
        names = tuple(f.source for f in self.columns)
        bounds = None if window is None or not window.keyset else (window.after, window.before)
        return (query.resource, names, self.many, repr(query.where), query.expand, order, bounds)


RowsByKey = dict[Any, Any]
"""Key → row, page, None or Failure."""
_RUNS_A_TURN, _LISTS_A_TURN = 10, 1_000
"""Answers of key batches, and lists of children, after which others have a turn: some 5 ms."""


class KeyBatchLoader(DataLoader[BatchRequest, RowsByKey]):
    """The key batches of one operation."""

    cache = False

    def __init__(self, fetcher: Fetcher, max_url_length: int) -> None:
        super().__init__()
        self._fetcher = fetcher
        self._dialect = fetcher.dialect
        self._limit = max_url_length

    async def batch_load_fn(self, wants: list[BatchRequest]) -> list[RowsByKey]:
        """Load the wants of one tick; a group that fails fails for its own wants only."""
        groups: dict[Hashable, list[BatchRequest]] = {}
        for want in wants:
            groups.setdefault(want.template(), []).append(want)
        loaded = await asyncio.gather(
            *(self._group(g) for g in groups.values()), return_exceptions=True
        )
        answers: dict[int, Any] = {}
        for group, found in zip(groups.values(), loaded, strict=True):
            for i, want in enumerate(group):
                answers[id(want)] = found if isinstance(found, BaseException) else found[i]
        return [answers[id(want)] for want in wants]

    async def _group(self, group: list[BatchRequest]) -> list[RowsByKey]:
        """Load wants of one template; keys that the upstream takes as equal are asked for once."""
        ask_for(name for want in group for name in want.fields)
        types, insensitive = _types(group[0].columns), self._dialect.case_insensitive
        if len(group) == 1 and are_distinct(types, group[0].keys, case_insensitive=insensitive):
            return await self._load(group, group[0].keys)
        forms = [normal_forms(types, w.keys, case_insensitive=insensitive) for w in group]
        asked: dict[tuple[Any, ...], Key] = {}
        for want, normal in zip(group, forms, strict=True):
            for form, key in zip(normal, want.keys, strict=True):
                asked.setdefault(form, key)
        loaded = await self._load(group, tuple(asked.values()))
        return [
            dict(zip(want.keys, map(found.get, map(asked.__getitem__, normal)), strict=True))
            for want, normal, found in zip(group, forms, loaded, strict=True)
        ]

    async def _load(self, group: list[BatchRequest], keys: Sequence[Key]) -> list[RowsByKey]:
        query = group[0].plan.query
        if len(group) > 1:
            united = tuple(dict.fromkeys(name for want in group for name in want.plan.query.select))
            everything = any(not want.plan.query.select for want in group)
            query = structs.replace(query, select=() if everything else united)
        if len(keys) == 1 and len(group) == 1:
            return [{keys[0]: await self._single(group[0], query, keys[0])}]
        if len(keys) == 1:
            each = await asyncio.gather(*(self._single(want, query, keys[0]) for want in group))
            return [{keys[0]: found} for found in each]
        return await self._many(group, query, keys)

    # One key

    async def _single(self, want: BatchRequest, query: Query, key: Key) -> Any:
        if not want.many and want.columns == want.plan.level.info.key and query.where is None:
            parts = tuple(
                KeyPart(f.source, _literal(f, v)) for f, v in zip(want.columns, key, strict=True)
            )
            keyed = structs.replace(query, resource=structs.replace(query.resource, key=parts))
            return await self._fetcher.row(keyed, want.plan.row_type)
        query = structs.replace(
            query, where=all_of(query.where, key_filter(_columns(want.columns), [key]))
        )
        if want.many:
            assert want.plan.window is not None
            return await connection(self._fetcher, query, want.plan)
        rows = (await self._fetcher.rows(query, want.plan.row_type)).rows
        return rows[0] if rows else None

    # Many keys

    async def _many(
        self, group: list[BatchRequest], query: Query, keys: Sequence[Key]
    ) -> list[RowsByKey]:
        window = group[0].plan.window
        if window is not None:
            terms = _with_columns(group[0], window)
            query = structs.replace(query, order=orders(terms, backward=False))
        row_types = [want.plan.row_type for want in group]
        query = narrowed(query, row_types, self._dialect, self._limit)
        if window is None or not (window.keyset and window.has_cursor):
            found = await self._found(group, query, keys)
            return [await self._cut(want, found[self._rows_key(want)]) for want in group]
        # What stands behind a cursor only the upstream knows: text compares by the database's collation.
        if window.null_order == "unknown":
            await prove_null_order(self._fetcher, query, group[0].plan)
        where = all_of(query.where, bounds_of(window, self._dialect))
        counted = [want for want in group if want.plan.window and want.plan.window.needs.total]
        found, whole = await asyncio.gather(
            self._found(group, structs.replace(query, where=where), keys),
            self._found(counted, query, keys),
        )
        places = [self._rows_key(want) for want in group]
        return [
            await self._cut(want, found[place], whole.get(place))
            for want, place in zip(group, places, strict=True)
        ]

    async def _found(
        self, group: list[BatchRequest], query: Query, keys: Sequence[Key]
    ) -> RowsByKey:
        """Read all keys of a query once for each row type: aliases of one selection share theirs."""
        if not group:
            return {}
        runs = self._runs(query, _columns(group[0].columns), keys)
        by_type = {self._rows_key(want): want for want in group}
        spread = await asyncio.gather(*(self._spread(w, keys, runs) for w in by_type.values()))
        return dict(zip(by_type, spread, strict=True))

    def _rows_key(self, want: BatchRequest) -> Hashable:
        """Return what wants share that may have the same rows in memory."""
        return id(want.plan.row_type)

    def _runs(self, query: Query, columns: Sequence[Column], keys: Sequence[Key]) -> list[_Run]:
        """Cut the keys into requests; those that the product cannot be asked for as they stand go a longer way."""
        lowered = self._dialect.lower(query)
        limit = room_for_keys(lowered.query, self._dialect, self._limit)
        made = None
        if not lowered.empty and lowered.residual is None:
            made = key_requests(self._dialect, lowered.query, columns, keys, limit=limit)
        if made is None:
            return self._lowered_runs(query, columns, keys, limit)
        return [_Run(request, run) for request, run in made]

    def _lowered_runs(
        self, query: Query, columns: Sequence[Column], keys: Sequence[Key], limit: int
    ) -> list[_Run]:
        def build(run: Sequence[Key]) -> Query:
            return structs.replace(query, where=all_of(query.where, key_filter(columns, run)))

        def lowered(run: Sequence[Key]) -> Query:
            return self._dialect.lower(build(run)).query

        runs = split_by_length(lowered, keys, limit=limit, options=self._dialect.options)
        return [_Run(build(run), run) for run in runs]

    async def _spread(self, want: BatchRequest, keys: Sequence[Key], runs: list[_Run]) -> RowsByKey:
        """Read all runs into one want's row type, and give each key its rows; a run fails for its own keys."""
        row_type = want.plan.row_type
        attributes = [row_type.attribute(f) for f in want.columns]
        kind = OneIndex if want.plan.window is None else ManyIndex
        insensitive = self._dialect.case_insensitive
        places = kind(_types(want.columns), keys, case_insensitive=insensitive)
        failed: RowsByKey = {}
        answers = await self._read(runs, row_type)
        for number, (run, answer) in enumerate(zip(runs, answers, strict=True), 1):
            if number % _RUNS_A_TURN == 0:
                await asyncio.sleep(0)
            try:
                if isinstance(answer, BaseException):
                    raise answer
                places.add(answer.rows, attributes)
            except GatewayError as error:
                failed.update(dict.fromkeys(run.keys, Failure(error)))
            except (AttributeError, TypeError, ValueError) as error:
                failed.update(dict.fromkeys(run.keys, Failure(_unreadable(error))))
        found = places.all()
        found.update(failed)
        return found

    async def _cut(
        self, want: BatchRequest, found: RowsByKey, whole: RowsByKey | None = None
    ) -> RowsByKey:
        """Return the pages of lists that came in order, those of windows with cursors without the rows around them.

        ``whole``: the lists with all of their rows, where those are to be counted.
        """
        window = want.plan.window
        if window is None:
            return found
        if whole is not None:
            found = {**found, **{k: f for k, f in whole.items() if isinstance(f, Failure)}}
        bounded = window.keyset and window.has_cursor
        cutter = Cutter(
            window,
            want.plan.row_type,
            self._dialect,
            same=want.columns,
            ordered=True,
            bounded=bounded,
        )
        lists = {key: rows for key, rows in found.items() if not isinstance(rows, Failure)}
        totals = None if whole is None else [len(whole[key]) for key in lists]
        pages = await cut_pages(cutter, list(lists.values()), totals)
        return {**found, **dict(zip(lists, pages, strict=True))}

    async def _read(self, runs: list[_Run], row_type: RowType) -> list[Rows | BaseException]:
        requests = [run.asked for run in runs if isinstance(run.asked, Request)]
        if len(requests) == len(runs):
            return await self._fetcher.rows_of_each(requests, row_type)
        queries = [run.asked for run in runs if isinstance(run.asked, Query)]
        reading = (self._fetcher.rows(query, row_type) for query in queries)
        return await asyncio.gather(*reading, return_exceptions=True)


async def cut_pages(
    cutter: Cutter, lists: Sequence[list[Any]], totals: Sequence[int] | None = None
) -> list[Page | Failure | None]:
    """Return the pages of many lists, None for those whose order is not proven, with breaks for others."""
    pages: list[Page | Failure | None] = []
    for start in range(0, len(lists), _LISTS_A_TURN):
        if start:
            await asyncio.sleep(0)
        end = start + _LISTS_A_TURN
        pages.extend(cutter.pages(lists[start:end], None if totals is None else totals[start:end]))
    return pages


class _Run(Struct):
    """Keys of one request."""

    asked: Request | Query
    keys: Sequence[Key]


def _unreadable(error: Exception) -> UpstreamMalformed:
    return UpstreamMalformed(
        "The upstream sent rows without the values by which they were asked for.", detail=str(error)
    )


def _columns(fields: Sequence[Field]) -> tuple[Column, ...]:
    return tuple((f.source, f.value.edm, f.value.is_enum) for f in fields if f.value is not None)


def _types(fields: Sequence[Field]) -> list[str]:
    return [f.value.edm for f in fields if f.value is not None]


def _literal(field: Field, value: Value) -> Literal:
    assert field.value is not None
    return Literal(value, field.value.edm, field.value.is_enum)


def _with_columns(want: BatchRequest, window: Window) -> tuple[OrderTerm, ...]:
    """Order by the window's terms; a keyless target at least by its join columns, so that server pages are stable."""
    return window.order or tuple(OrderTerm(f) for f in want.columns)


async def connection(fetcher: Fetcher, query: Query, plan: ReadPlan, *, raw: bool = False) -> Page:
    """Read the page of a connection from one list; ``raw``: rows may stay JSON text."""
    window, row_type = plan.window, plan.row_type
    assert window is not None
    if window.count_only:
        total = await count_of(fetcher, query, row_type) if window.needs.total else None
        return empty_page(window, total)
    if not window.keyset:
        return await unkeyed_page(fetcher, query, plan, raw=raw)
    if fetcher.dialect.lower(query).residual is not None and not window.needs.total:
        return keyset_page(await matching_rows(fetcher, query, plan), window, row_type, None)
    asked = bounded(query, window, fetcher.dialect)
    full = fills_pages(window, fetcher.dialect)
    if full:
        # One row more would be a request more: the next link, or none, tells as much.
        asked = structs.replace(asked, top=None)
    counting = window.needs.total and not asked.count
    found, total = await asyncio.gather(
        rows_of(fetcher, asked, plan, raw=raw, most=window.size if full else None),
        count_of(fetcher, query, row_type) if counting else _nothing(),
    )
    if needs_proof(window, len(found.rows)):
        await prove_null_order(fetcher, query, plan)
    total = total if counting else found.total
    page = keyset_page(found.rows, window, row_type, total, more=full and found.more)
    if page.total is None and window.needs.total:
        page.total = await count_of(fetcher, query, row_type)
    return page


async def _nothing() -> None:
    return None


__all__ = ["BatchRequest", "Failure", "KeyBatchLoader", "RowsByKey", "connection"]
