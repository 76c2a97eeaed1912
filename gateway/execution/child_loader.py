"""Loads the children of rows, and puts them into their slots.

    EXPAND   came inside the parents' answer; lists that the server cut off are continued
    KEYS     one key batch for all parents: foreign key → child rows
    PATH     one request for each parent, along its navigation property

A child that cannot be loaded leaves a :class:`Failure` in its slot, and its siblings go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Protocol

from msgspec import UNSET, structs

from gateway.errors import GatewayError, UpstreamMalformed
from gateway.odata.query import KeyPart, Literal, Query, Resource
from gateway.odata.render import render
from gateway.operations.lenient_rows import parse_count
from gateway.operations.pages import Failure, Page
from gateway.operations.row_types import RowType
from gateway.planning.page_window import Window, empty_page, keyset_page
from gateway.planning.plan import ChildPlan, Join, Key, ReadPlan, Via

from .answer_checks import check_expanded
from .connections import read_connection
from .failure_tracker import FailureTracker
from .fetcher import Fetcher
from .field_attribution import descend
from .key_batches import BatchRequest
from .key_chunks import RowsByKey, types_of
from .key_matching import hashable, keys_of, mistyped_keys, referring_keys
from .page_cutter import Cutter, cut_pages

CHECKED_IN_DECODING = frozenset({"Edm.String", "Edm.Int32", "Edm.Int64"})
"""Types whose values a typed page cannot hold in a wrong form."""


class KeyBatches(Protocol):
    """Loads the rows of keys."""

    def load(self, batch: BatchRequest, /) -> asyncio.Future[RowsByKey]:
        """Return the future rows of a batch."""
        ...


class ChildLoader:
    """Loads the children of one operation's rows."""

    def __init__(
        self,
        fetcher: Fetcher,
        batches: KeyBatches,
        failures: FailureTracker,
        *,
        learns: bool = False,
    ) -> None:
        self._learns = learns
        self._fetcher = fetcher
        self._dialect = fetcher.dialect
        self._batches = batches
        self._failures = failures

    async def load(self, batch: BatchRequest) -> RowsByKey:
        """Return the rows of a key batch, a Failure for each key whose request failed. Raises GatewayError."""
        # Shielded: several fields may wait for the same batch, and one of them may be cancelled.
        rows_by_key = await asyncio.shield(self._batches.load(batch))
        self._failures.inspect(rows_by_key.values())
        return rows_by_key

    async def attach(self, rows: Sequence[Any], plan: ReadPlan) -> None:
        """Load everything below these rows and put it into their slots; values that are no rows are passed over."""
        if not plan.children:
            return
        struct = plan.row_type.struct
        rows = [row for row in rows if type(row) is struct]
        if not rows:
            return
        await asyncio.gather(*(self._load_child(rows, plan, child) for child in plan.children))

    async def _load_child(self, rows: Sequence[Any], plan: ReadPlan, child: ChildPlan) -> None:
        if child.owners is not None:
            rows = [row for row in rows if plan.row_type.csdl_of(row) in child.owners]
        if not rows:
            return
        descend(child.child.key)
        try:
            match child.via:
                case Via.EXPAND:
                    await self._by_expand(rows, plan, child)
                case Via.KEYS:
                    await self._by_keys(rows, plan, child)
                case Via.PATH:
                    await self._by_path(rows, plan, child)
        except GatewayError as error:
            await self._settle(rows, child, [self._failures.failure(error)] * len(rows))

    async def _by_expand(self, rows: Sequence[Any], plan: ReadPlan, child: ChildPlan) -> None:
        values: list[Any] = list(map(attrgetter(child.child.slot), rows))
        if child.plan.window is not None:
            if not _are_whole(rows, values, child):
                loads = (self._failures.catch(self._expanded_rows(r, plan, child)) for r in rows)
                values = [await load for load in loads]
            values = await self._expanded_pages(rows, values, child, child.plan.window)
            unproven = [row for row, value in zip(rows, values, strict=True) if value is None]
            if unproven:
                # Only the upstream knows the order of these lists: they are read once more, in order.
                assert child.in_order is not None
                await self._load_child(unproven, plan, child.in_order)
                rows = [row for row, value in zip(rows, values, strict=True) if value is not None]
                values = [value for value in values if value is not None]
        await self._settle(rows, child, values)

    async def _expanded_rows(self, row: Any, plan: ReadPlan, child: ChildPlan) -> list[Any]:
        """Return the expanded rows of a row, with the rest of a list that the server cut off."""
        field = child.child.field
        rows, link = getattr(row, child.child.slot), getattr(row, f"n{child.child.index}")
        if rows is UNSET or not isinstance(rows, list | None):
            raise UpstreamMalformed(f"The upstream did not send the rows of {field.source}.")
        if not isinstance(link, str | None):
            raise UpstreamMalformed(f"The link to more rows of {field.source} is no text.")
        if link is None:
            return rows or []
        request = render(plan.query, options=self._dialect.options)
        rest = await self._fetcher.pages.linked_rows(link, request, child.plan.row_type)
        return [*(rows or []), *rest]

    async def _expanded_pages(
        self, rows: Sequence[Any], values: list[Any], child: ChildPlan, window: Window
    ) -> list[Any]:
        """Return the page of each list, None if only the upstream knows its order; a failure stays one."""
        row_type = child.plan.row_type
        lists = [value if isinstance(value, list) else [] for value in values]
        if self._learns and not child.paged:
            child.child.lengths.learn(len(lists), sum(map(len, lists)))
        pages: list[Any]
        if child.paged:
            totals = map(parse_count, map(attrgetter(f"k{child.child.index}"), rows))
            pages = [
                _expanded_page(own, window, row_type, total)
                for own, total in zip(lists, totals, strict=True)
            ]
        else:
            cutter = Cutter(
                window,
                row_type,
                self._dialect,
                same=() if child.join is None else child.join.target,
                ordered=self._dialect.expand_options,
                proves=child.in_order is not None,
            )
            pages = await cut_pages(cutter, lists)
        self._failures.inspect(pages)
        return [
            value if isinstance(value, Failure) else page
            for value, page in zip(values, pages, strict=True)
        ]

    async def _by_keys(self, rows: Sequence[Any], plan: ReadPlan, child: ChildPlan) -> None:
        assert child.join is not None
        keys = keys_of(rows, [plan.row_type.attribute(f) for f in child.join.parent])
        # Untyped rows may hold lists or objects in the place of key parts.
        if self._fetcher.decoder.has_mismatch:
            keys = list(map(hashable, keys))
        parts = child.join.parent
        free = [i for i, f in enumerate(parts) if f.source != self._dialect.company_property]
        distinct = list(dict.fromkeys(keys))
        referring = referring_keys(distinct, free, has_nulls=self._dialect.has_nulls)
        if self._learns:
            child.child.keys.learn(len(keys), len(referring))
        rows_by_key = await self._rows_by_key(referring, child.join, child)
        await self._settle(rows, child, list(map(rows_by_key.get, keys)))

    async def _rows_by_key(self, keys: list[Key], join: Join, child: ChildPlan) -> RowsByKey:
        """Return the child rows of each key that refers to one."""
        types = types_of(join.parent)
        refused: RowsByKey = {}
        if self._fetcher.decoder.has_mismatch or not CHECKED_IN_DECODING.issuperset(types):
            mistyped = mistyped_keys(types, keys)
            refused = {key: self._failures.failure(error) for key, error in mistyped.items()}
        valid = tuple(key for key in keys if key not in refused) if refused else tuple(keys)
        if not valid:
            return refused
        many = child.child.connection is not None
        try:
            return {
                **await self.load(
                    BatchRequest(
                        child.plan,
                        join.target,
                        valid,
                        many,
                        own_pages=child.own_pages,
                        lengths=child.child.lengths if self._learns and many else None,
                    )
                ),
                **refused,
            }
        except GatewayError as error:
            return {**dict.fromkeys(valid, self._failures.failure(error)), **refused}

    async def _by_path(self, rows: Sequence[Any], plan: ReadPlan, child: ChildPlan) -> None:
        attributes = [plan.row_type.attribute(f) for f in plan.level.info.key]
        loads = (self._load_path(row, attributes, plan, child) for row in rows)
        values = await asyncio.gather(*map(self._failures.catch, loads))
        await self._settle(rows, child, values)

    async def _load_path(
        self, row: Any, attributes: list[str], plan: ReadPlan, child: ChildPlan
    ) -> Any:
        parts = tuple(
            KeyPart(f.source, Literal(getattr(row, a), f.value.edm, f.value.is_enum))
            for f, a in zip(plan.level.info.key, attributes, strict=True)
            if f.value is not None
        )
        resource = Resource(plan.entity_set or "", parts, child.name)
        query: Query = structs.replace(child.plan.query, resource=resource)
        if child.plan.window is not None:
            return await read_connection(self._fetcher, query, child.plan)
        return await self._fetcher.row(query, child.plan.row_type)

    async def _settle(self, rows: Sequence[Any], child: ChildPlan, values: Sequence[Any]) -> None:
        """Put the children into their slots, then load what is below them, for each row once."""
        slot, window = child.child.slot, child.plan.window
        empty: Any = None
        if window is not None:
            empty = Cutter(window, child.plan.row_type, self._dialect).page([])
        for row, value in zip(rows, values, strict=True):
            setattr(row, slot, empty if value is None else value)
        if child.plan.children:
            below = unique_rows(values)
            if self._learns:
                most = 1 if window is None else window.size
                # Several rows may refer to the same one, which is no reason to expect that others refer to none.
                come = len(below) if window is not None else len(values) - values.count(None)
                child.child.rows.learn(most, come / len(rows))
            await self.attach(below, child.plan)


def _are_whole(rows: Sequence[Any], values: Sequence[Any], child: ChildPlan) -> bool:
    """Return whether each row came with a list that the server did not cut off."""
    links = map(attrgetter(f"n{child.child.index}"), rows)
    return set(map(type, values)) == {list} and set(map(type, links)) == {type(None)}


def _expanded_page(
    rows: list[Any], window: Window, row_type: RowType, total: int | None
) -> Page | Failure:
    """Return the page of the rows that ``$expand`` brought for one parent."""
    try:
        check_expanded(rows, window)
        if window.count_only:
            return empty_page(window, total)
        return keyset_page(rows, window, row_type, total)
    except UpstreamMalformed as error:
        return Failure(error)


def unique_rows(values: Sequence[Any]) -> list[Any]:
    """Return the rows among children and in their pages, each once."""
    rows: list[Any] = []
    for value in values:
        if isinstance(value, Page):
            rows += value.rows
        elif value is not None:
            rows.append(value)
    return list(dict(zip(map(id, rows), rows, strict=True)).values())
