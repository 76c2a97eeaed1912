"""Running a plan: level by level, all parents at once, roots side by side.

Gives loaded rows with their children in place; nothing is completed here. A child that fails leaves a
:class:`Failure` in its slot and the rest goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Protocol, assert_never

from msgspec import UNSET, structs

from gateway.errors import GatewayError, UpstreamMalformed
from gateway.odata.literals import parse_value
from gateway.odata.query import KeyPart, Literal, Query, Resource
from gateway.odata.render import render
from gateway.operations.pages import Failure, Page
from gateway.operations.row_types import RowType, counted
from gateway.planning.page_window import Window, empty_page, keyset_page
from gateway.planning.plan import (
    BoundRoot,
    CallRoot,
    ChildPlan,
    FailedRoot,
    Join,
    Key,
    KeysRoot,
    ListRoot,
    ReadPlan,
    Via,
)
from schema.catalog.records import Field

from .answer_checks import check_expanded
from .expanded_children import is_raw
from .fetcher import Fetcher
from .field_attribution import ask_below, ask_for
from .key_batches import BatchRequest, RowsByKey, connection, cut_pages
from .key_matching import hashable, keys_of, referring
from .page_cutter import Cutter
from .read_batches import in_batches

_CHECKED_IN_DECODING = frozenset({"Edm.String", "Edm.Int32", "Edm.Int64"})
"""Types whose values a typed page cannot hold in a wrong form."""


@dataclass
class Loaded:
    """The value of one generated root field: a page, a row, rows, a plain value, None, or a Failure."""

    bound: BoundRoot
    value: Any
    row_plans: tuple[ReadPlan | None, ...] = ()
    raw: bool = False
    """Whether nothing is done yet about the rows of the page: they may be JSON text."""


class KeyBatches(Protocol):
    """What loads the rows of keys."""

    def load(self, want: BatchRequest, /) -> asyncio.Future[RowsByKey]:
        """Return the future rows of a want."""
        ...


class Runner:
    """Runs the plans of one operation."""

    def __init__(self, fetcher: Fetcher, batches: KeyBatches) -> None:
        self._fetcher = fetcher
        self._batches = batches
        self.failed = False

    @property
    def has_mismatch(self) -> bool:
        """Whether some answer did not fit its types."""
        return self._fetcher.decoder.has_mismatch

    async def run(self, roots: Sequence[BoundRoot], *, raw: bool = False) -> list[Loaded]:
        """Load every root field; ``raw``: pages that come whole in one answer are left as they came."""
        return list(await asyncio.gather(*(self._root(root, raw=raw) for root in roots)))

    async def decoded(self, loaded: Sequence[Loaded]) -> list[Loaded]:
        """Load again what was left raw, from the answers that have come, and do to its rows what must be done."""
        again = iter(await self.run([item.bound for item in loaded if item.raw]))
        return [next(again) if item.raw else item for item in loaded]

    async def _root(self, root: BoundRoot, *, raw: bool) -> Loaded:
        ask_for((root.shape.key,))
        try:
            match root:
                case ListRoot() if root.plan.window is None:
                    return Loaded(root, await self._singleton(root.plan))
                case ListRoot():
                    return await self._list(root, raw=raw and is_raw(root.plan))
                case KeysRoot():
                    return await self._keys(root)
                case CallRoot():
                    return Loaded(root, await self._call(root))
                case FailedRoot():
                    raise root.error
                case _:
                    assert_never(root)
        except GatewayError as error:
            self.failed = True
            return Loaded(root, Failure(error))

    async def _singleton(self, plan: ReadPlan) -> Any:
        row = await self._fetcher.row(plan.query, plan.row_type)
        await self.attach([] if row is None else [row], plan)
        return row

    async def _list(self, root: ListRoot, *, raw: bool) -> Loaded:
        plan = root.plan
        if root.key is not None:
            found = await self._loaded(
                BatchRequest(plan, plan.level.info.key, (root.key,), many=True)
            )
            page = found[root.key]
            if isinstance(page, Failure):
                return Loaded(root, page)
        else:
            with in_batches(root.together):
                page = await connection(self._fetcher, plan.query, plan, raw=raw)
        if raw and not isinstance(page.rows, list):
            return Loaded(root, page, raw=True)
        await self.attach(page.rows, plan)
        return Loaded(root, page)

    async def _keys(self, root: KeysRoot) -> Loaded:
        items = root.items
        by_plan: dict[int, tuple[ReadPlan, list[Key]]] = {}
        for item in items:
            if item is not None:
                by_plan.setdefault(id(item[0]), (item[0], []))[1].append(item[1])
        results = await asyncio.gather(
            *(self._caught(self._by_key(plan, keys)) for plan, keys in by_plan.values())
        )
        found = dict(zip(by_plan, results, strict=True))
        values: list[Any] = []
        for number, item in enumerate(items):
            if item is None:
                values.append(self._failure(root.errors[number]))
                continue
            plan, key = item
            rows = found[id(plan)]
            value = rows if isinstance(rows, Failure) else rows[key]
            values.append(_of_type(value, plan, root.types[number]) if root.types else value)
        plans = tuple(None if item is None else item[0] for item in items)
        return Loaded(root, values if root.many else values[0], plans)

    async def _by_key(self, plan: ReadPlan, keys: list[Key]) -> RowsByKey:
        found = await self._loaded(
            BatchRequest(plan, plan.level.info.key, tuple(dict.fromkeys(keys)))
        )
        await self.attach(list(found.values()), plan)
        return found

    async def _loaded(self, want: BatchRequest) -> RowsByKey:
        found = await asyncio.shield(self._batches.load(want))
        self.failed |= Failure in map(type, found.values())
        return found

    async def _call(self, root: CallRoot) -> Any:
        if root.plan is None:
            return await self._fetcher.value(root.query)
        if root.many:
            rows = (await self._fetcher.rows(root.query, root.plan.row_type)).rows
            await self.attach(rows, root.plan)
            return rows
        row = await self._fetcher.row(root.query, root.plan.row_type)
        await self.attach([] if row is None else [row], root.plan)
        return row

    # Children

    async def attach(self, rows: Sequence[Any], plan: ReadPlan) -> None:
        """Load everything below these rows and put it into their slots; what is no row is passed over."""
        if not plan.children:
            return
        rows = [row for row in rows if type(row) is plan.row_type.struct]
        if not rows:
            return
        await asyncio.gather(*(self._child(rows, plan, child) for child in plan.children))

    async def _child(self, rows: Sequence[Any], plan: ReadPlan, child: ChildPlan) -> None:
        if child.owners is not None:
            rows = [row for row in rows if plan.row_type.csdl_of(row) in child.owners]
        if not rows:
            return
        ask_below(child.child.key)
        try:
            match child.via:
                case Via.EXPAND:
                    await self._expanded(rows, plan, child)
                case Via.KEYS:
                    await self._by_keys(rows, plan, child)
                case Via.PATH:
                    await self._by_path(rows, plan, child)
        except GatewayError as error:
            await self._settle(rows, child, [self._failure(error)] * len(rows))

    def _failure(self, error: GatewayError) -> Failure:
        self.failed = True
        return Failure(error)

    async def _caught(self, loading: Awaitable[Any]) -> Any:
        """Return what is loaded for one row, or its failure."""
        try:
            return await loading
        except GatewayError as error:
            return self._failure(error)

    async def _expanded(self, rows: Sequence[Any], plan: ReadPlan, child: ChildPlan) -> None:
        values: list[Any] = list(map(attrgetter(child.child.slot), rows))
        if child.plan.window is not None:
            if not self._are_whole(rows, values, child):
                loading = (self._caught(self._expanded_rows(row, plan, child)) for row in rows)
                values = [await one for one in loading]
            values = await self._expanded_pages(rows, values, child, child.plan.window)
            unsure = [row for row, value in zip(rows, values, strict=True) if value is None]
            if unsure:
                assert child.in_order is not None
                await self._child(unsure, plan, child.in_order)
                rows = [row for row, value in zip(rows, values, strict=True) if value is not None]
                values = [value for value in values if value is not None]
        await self._settle(rows, child, values)

    def _are_whole(self, rows: Sequence[Any], values: Sequence[Any], child: ChildPlan) -> bool:
        """Return whether each row came with a list that the server did not cut off."""
        links = map(attrgetter(f"n{child.child.index}"), rows)
        return set(map(type, values)) == {list} and set(map(type, links)) == {type(None)}

    async def _expanded_rows(self, row: Any, plan: ReadPlan, child: ChildPlan) -> list[Any]:
        """Return the expanded rows of a row; a server that cut them off is asked for the rest."""
        field = child.child.field
        found, link = getattr(row, child.child.slot), getattr(row, f"n{child.child.index}")
        if found is UNSET or not isinstance(found, list | None):
            raise UpstreamMalformed(f"The upstream did not send the rows of {field.source}.")
        if not isinstance(link, str | None):
            raise UpstreamMalformed(f"The link to more rows of {field.source} is no text.")
        if link is None:
            return found or []
        request = render(plan.query, options=self._fetcher.dialect.options)
        rest = await self._fetcher.pages.linked_rows(link, request, child.plan.row_type)
        return [*(found or []), *rest]

    async def _expanded_pages(
        self, rows: Sequence[Any], values: list[Any], child: ChildPlan, window: Window
    ) -> list[Any]:
        """Return the page of each list, None where only the upstream knows its order; a failure stays one."""
        row_type = child.plan.row_type
        found = [value if isinstance(value, list) else [] for value in values]
        pages: list[Any]
        if child.paged:
            totals = map(counted, map(attrgetter(f"k{child.child.index}"), rows))
            pages = [
                _page_of(whole, window, row_type, total)
                for whole, total in zip(found, totals, strict=True)
            ]
        else:
            same = () if child.join is None else child.join.target
            cutter = Cutter(
                window,
                row_type,
                self._fetcher.dialect,
                same=same,
                ordered=self._fetcher.dialect.expand_options,
                proves=child.in_order is not None,
            )
            pages = await cut_pages(cutter, found)
        self.failed |= Failure in map(type, pages)
        return [
            value if isinstance(value, Failure) else page
            for value, page in zip(values, pages, strict=True)
        ]

    async def _by_keys(self, rows: Sequence[Any], plan: ReadPlan, child: ChildPlan) -> None:
        assert child.join is not None
        keys = keys_of(rows, [plan.row_type.attribute(f) for f in child.join.parent])
        if self._fetcher.decoder.has_mismatch:
            keys = list(map(hashable, keys))
        found = await self._of_keys(list(dict.fromkeys(keys)), child.join, child)
        await self._settle(rows, child, list(map(found.get, keys)))

    async def _of_keys(self, keys: list[Key], join: Join, child: ChildPlan) -> RowsByKey:
        """Return what belongs to each key; nothing for those that refer to no row."""
        dialect = self._fetcher.dialect
        free = [i for i, f in enumerate(join.parent) if f.source != dialect.company_property]
        keys = referring(keys, free, has_nulls=dialect.has_nulls)
        refused = self._unsound(keys, join.parent)
        asked = tuple(key for key in keys if key not in refused) if refused else tuple(keys)
        if not asked:
            return refused
        want = BatchRequest(child.plan, join.target, asked, child.child.connection is not None)
        try:
            return {**await self._loaded(want), **refused}
        except GatewayError as error:
            return {**dict.fromkeys(asked, self._failure(error)), **refused}

    def _unsound(self, keys: Sequence[Key], fields: Sequence[Field]) -> RowsByKey:
        """Find the keys that hold something else than values of their types, which no filter can name."""
        types = [f.value.edm for f in fields if f.value is not None]
        if not self._fetcher.decoder.has_mismatch and _CHECKED_IN_DECODING.issuperset(types):
            return {}
        found: RowsByKey = {}
        for key in keys:
            try:
                for edm, part in zip(types, key, strict=False):
                    parse_value(edm, part)
            except ValueError as error:
                found[key] = self._failure(
                    UpstreamMalformed(
                        "The upstream sent a reference that is not of its type.", detail=str(error)
                    )
                )
        return found

    async def _by_path(self, rows: Sequence[Any], plan: ReadPlan, child: ChildPlan) -> None:
        key = plan.level.info.key
        attributes = [plan.row_type.attribute(f) for f in key]
        values = await asyncio.gather(
            *(self._caught(self._path(row, attributes, plan, child)) for row in rows)
        )
        await self._settle(rows, child, values)

    async def _path(self, row: Any, attributes: list[str], plan: ReadPlan, child: ChildPlan) -> Any:
        parts = tuple(
            KeyPart(f.source, Literal(getattr(row, a), f.value.edm, f.value.is_enum))
            for f, a in zip(plan.level.info.key, attributes, strict=True)
            if f.value is not None
        )
        resource = Resource(plan.entity_set or "", parts, child.name)
        query: Query = structs.replace(child.plan.query, resource=resource)
        if child.plan.window is not None:
            return await connection(self._fetcher, query, child.plan)
        return await self._fetcher.row(query, child.plan.row_type)

    async def _settle(self, rows: Sequence[Any], child: ChildPlan, values: Sequence[Any]) -> None:
        """Put the children in their slots, then load what is below them, each row once."""
        slot, window = child.child.slot, child.plan.window
        nothing: Any = None
        if window is not None:
            nothing = Cutter(window, child.plan.row_type, self._fetcher.dialect).page([])
        for row, value in zip(rows, values, strict=True):
            setattr(row, slot, nothing if value is None else value)
        if child.plan.children:
            await self.attach(_unique_rows(values), child.plan)


def _page_of(
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


def _of_type(value: Any, plan: ReadPlan, csdl: str) -> Any:
    """Return a row; null where it is one of another type than was named."""
    if not plan.level.needs_type or type(value) is not plan.row_type.struct:
        return value
    told = plan.row_type.csdl_of(value)
    return None if told != csdl and told in plan.level.possible else value


def _unique_rows(values: Sequence[Any]) -> list[Any]:
    """Return what stands in the slots, and in their pages, each once."""
    found: dict[int, Any] = {}
    for value in values:
        if isinstance(value, Page):
            found.update((id(row), row) for row in value.rows)
        elif value is not None:
            found[id(value)] = value
    return list(found.values())
