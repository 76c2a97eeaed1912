"""Key batches: the rows that belong to many keys, in as few requests as the URL's length allows.

One ``aiodataloader`` an operation. What is loaded is not a key but a :class:`Want`: all keys of a level at
once, so a level costs one future instead of one a row. Wants of the same tick that read the same set by the
same columns under the same filter (sibling fields, aliases, 50 by-key fields) are sent as one: keys united,
``$select`` united, each decoded into its own row type.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiodataloader import DataLoader
from msgspec import UNSET

from schema.fields import Field

from .cut import Cutter
from .errors import UpstreamMalformed
from .fetch import Fetcher
from .odata.local import comparable
from .odata.query import KeyPart, Literal, Query, Value
from .odata.render import key_filter, split_by_length
from .pages import Failure, Page
from .plan import Key, ReadPlan
from .where import all_of
from .window import (
    OrderTerm,
    Window,
    bounded,
    empty_page,
    keyset_page,
    offset_cursors,
    orders,
    span,
)


@dataclass(frozen=True, slots=True, eq=False)
class Want:
    """Rows of one plan for the keys of one level."""

    plan: ReadPlan
    columns: tuple[Field, ...]
    """Columns of the target that equal the key's parts."""
    keys: tuple[Key, ...]
    many: bool = False
    """Whether a key has a list of rows; else one row at the most."""

    def template(self) -> Hashable:
        """Give what wants must share to be sent as one."""
        query, window = self.plan.query, self.plan.window
        paging = (
            None
            if window is None
            else (window.binding, window.size, window.backward, window.after, window.before)
        )
        needs = None if window is None else repr(window.needs)
        names = tuple(f.source for f in self.columns)
        return (query.resource, names, self.many, repr(query.where), query.expand, paging, needs)


Found = dict[Any, Any]
"""Normal key → row, or page, or Failure."""


class Batches(DataLoader[Want, Found]):
    """The key batches of one operation."""

    cache = False

    def __init__(self, fetcher: Fetcher, max_url_length: int) -> None:
        super().__init__()
        self._fetcher = fetcher
        self._dialect = fetcher.dialect
        self._limit = max_url_length

    async def batch_load_fn(self, wants: list[Want]) -> list[Found]:
        """Load the wants of one tick; a group that fails fails for its own wants only."""
        groups: dict[Hashable, list[Want]] = {}
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

    def normal(self, columns: Sequence[Field], key: Sequence[Value]) -> tuple[Any, ...]:
        """Give what two keys share when the upstream takes them as equal (reference 1.2: case, trailing blanks)."""
        insensitive = self._dialect.case_insensitive
        return tuple(
            comparable(f.value.edm if f.value else "", v, case_insensitive=insensitive)
            for f, v in zip(columns, key, strict=True)
        )

    async def _group(self, group: list[Want]) -> list[Found]:
        first = group[0]
        keys: dict[tuple[Any, ...], Key] = {}
        for want in group:
            for key in want.keys:
                keys.setdefault(self.normal(first.columns, key), key)
        query = first.plan.query
        if len(group) > 1:
            united = tuple(dict.fromkeys(name for want in group for name in want.plan.query.select))
            everything = any(not want.plan.query.select for want in group)
            query = replace(query, select=() if everything else united)
        if len(keys) == 1:
            ((normal, key),) = keys.items()
            return [{normal: await self._single(want, query, key)} for want in group]
        return await self._many(group, query, list(keys.values()))

    # One key

    async def _single(self, want: Want, query: Query, key: Key) -> Any:
        if not want.many and want.columns == want.plan.level.info.key and query.where is None:
            parts = tuple(
                KeyPart(f.source, _literal(f, v)) for f, v in zip(want.columns, key, strict=True)
            )
            keyed = replace(query, resource=replace(query.resource, key=parts))
            return await self._fetcher.one(keyed, want.plan.row_type)
        query = replace(query, where=all_of(query.where, key_filter(_columns(want.columns), [key])))
        if want.many:
            assert want.plan.window is not None
            return await connection(self._fetcher, query, want.plan)
        rows = (await self._fetcher.rows(query, want.plan.row_type)).rows
        return rows[0] if rows else None

    # Many keys

    async def _many(self, group: list[Want], query: Query, keys: list[Key]) -> list[Found]:
        columns = _columns(group[0].columns)
        window = group[0].plan.window
        if window is not None:
            terms = _with_columns(group[0], window)
            query = replace(query, order=orders(terms, backward=False))

        def build(run: Sequence[Key]) -> Query:
            return replace(query, where=all_of(query.where, key_filter(columns, run)))

        def lowered(run: Sequence[Key]) -> Query:
            return self._dialect.lower(build(run)).query

        runs = split_by_length(lowered, keys, limit=self._limit, options=self._dialect.options)
        queries = [build(run) for run in runs]
        # Aliases of one selection have one row type: their answer is decoded once for all of them.
        by_type = {id(want.plan.row_type): want for want in group}
        spread = await asyncio.gather(*(self._spread(want, queries) for want in by_type.values()))
        found = dict(zip(by_type, spread, strict=True))
        return [found[id(want.plan.row_type)] for want in group]

    async def _spread(self, want: Want, queries: list[Query]) -> Found:
        """Read all runs into one want's row type, and give each key what is its."""
        row_type = want.plan.row_type
        answers = await asyncio.gather(*(self._fetcher.rows(q, row_type) for q in queries))
        attributes = [row_type.attribute(f) for f in want.columns]
        found: Found = {}
        try:
            for answer in answers:
                for row in answer.rows:
                    key = self.normal(want.columns, [getattr(row, a, None) for a in attributes])
                    if want.many:
                        found.setdefault(key, []).append(row)
                    else:
                        found.setdefault(key, row)
        except (TypeError, ValueError) as error:
            raise _unreadable() from error
        if any(part is None or part is UNSET for key in found for part in key):
            raise _unreadable()
        if want.plan.window is not None:
            cutter = Cutter(want.plan.window, row_type, self._dialect)
            found = {key: cutter.page(rows) for key, rows in found.items()}
        return found


def _unreadable() -> UpstreamMalformed:
    return UpstreamMalformed(
        "The upstream sent rows without the values by which they were asked for."
    )


def _columns(fields: Sequence[Field]) -> tuple[tuple[str, str, bool], ...]:
    return tuple((f.source, f.value.edm, f.value.is_enum) for f in fields if f.value is not None)


def _literal(field: Field, value: Value) -> Literal:
    assert field.value is not None
    return Literal(value, field.value.edm, field.value.is_enum)


def _with_columns(want: Want, window: Window) -> tuple[OrderTerm, ...]:
    """Order by the window's terms; a keyless target at least by its join columns, so that server pages are stable."""
    return window.order or tuple(OrderTerm(f) for f in want.columns)


async def connection(fetcher: Fetcher, query: Query, plan: ReadPlan) -> Page:
    """Read the page of a connection from one list."""
    window, row_type = plan.window, plan.row_type
    assert window is not None
    if window.count_only:
        total = await fetcher.count(query, row_type) if window.needs.total else None
        return empty_page(window, total)
    if not window.keyset:
        return await _offset_page(fetcher, query, plan, window)
    asked = bounded(query, window, fetcher.dialect)
    counting = window.needs.total and not asked.count
    found, total = await asyncio.gather(
        fetcher.rows(asked, row_type), fetcher.count(query, row_type) if counting else _nothing()
    )
    return keyset_page(found.rows, window, row_type, total if counting else found.total)


async def _offset_page(fetcher: Fetcher, query: Query, plan: ReadPlan, window: Window) -> Page:
    row_type = plan.row_type
    total = None
    if window.backward and window.before is None:
        total = await fetcher.count(query, row_type)
    place = span(window, total)
    more = int(window.needs.next and not window.backward and window.before is None)
    asked = replace(
        query,
        order=orders(window.order, backward=False),
        skip=place.start or None,
        top=place.end - place.start + more,
        count=window.needs.total and total is None,
    )
    found = await fetcher.rows(asked, row_type)
    length = place.end - place.start
    has_next = place.has_next or len(found.rows) > length
    rows = found.rows[:length]
    cursor = offset_cursors(window, place.start)
    return Page(rows, has_next, place.has_previous, found.total if total is None else total, cursor)


async def _nothing() -> None:
    return None


__all__ = ["Batches", "Failure", "Found", "Want", "connection"]
