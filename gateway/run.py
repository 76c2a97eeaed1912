"""Running a plan: level by level, all parents at once, roots side by side.

Gives loaded rows with their children in place; nothing is completed here. A child that fails leaves a
:class:`Failure` in its slot and the rest goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never

from msgspec import UNSET

from .errors import GatewayError, UpstreamMalformed
from .fetch import Fetcher
from .loaders import Batches, Want, connection
from .odata.query import KeyPart, Literal, Query, Resource, Value
from .odata.render import render
from .pages import Failure, Page
from .plan import BoundRoot, CallRoot, ChildPlan, FailedRoot, Key, KeysRoot, ListRoot, ReadPlan, Via
from .window import empty_page, keyset_page, local_page


@dataclass
class Loaded:
    """The value of one generated root field: a page, a row, rows, a plain value, None, or a Failure."""

    bound: BoundRoot
    value: Any
    row_plans: tuple[ReadPlan | None, ...] = ()


class Runner:
    """Runs the plans of one operation."""

    def __init__(self, fetcher: Fetcher, max_url_length: int) -> None:
        self._fetcher = fetcher
        self._batches = Batches(fetcher, max_url_length)
        self.failed = False

    async def run(self, roots: Sequence[BoundRoot]) -> list[Loaded]:
        """Load every root field."""
        return list(await asyncio.gather(*(self._root(root) for root in roots)))

    async def _root(self, root: BoundRoot) -> Loaded:
        try:
            match root:
                case ListRoot():
                    return Loaded(root, await self._list(root.plan))
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

    async def _list(self, plan: ReadPlan) -> Any:
        if plan.window is None:
            row = await self._fetcher.one(plan.query, plan.row_type)
            await self.attach([] if row is None else [row], plan)
            return row
        page = await connection(self._fetcher, plan.query, plan)
        await self.attach(page.rows, plan)
        return page

    async def _keys(self, root: KeysRoot) -> Loaded:
        items = root.items
        by_plan: dict[int, tuple[ReadPlan, list[Key]]] = {}
        for item in items:
            if item is not None:
                by_plan.setdefault(id(item[0]), (item[0], []))[1].append(item[1])
        results = await asyncio.gather(
            *(self._by_key(plan, keys) for plan, keys in by_plan.values())
        )
        found = dict(zip(by_plan, results, strict=True))
        values: list[Any] = []
        for number, item in enumerate(items):
            if item is None:
                self.failed = True
                values.append(root.errors[number])
                continue
            plan, key = item
            values.append(found[id(plan)].get(self._batches.normal(plan.level.info.key, key)))
        plans = tuple(None if item is None else item[0] for item in items)
        return Loaded(root, values if root.many else values[0], plans)

    async def _by_key(self, plan: ReadPlan, keys: list[Key]) -> dict[Any, Any]:
        want = Want(plan, plan.level.info.key, tuple(keys))
        found = await asyncio.shield(self._batches.load(want))
        await self.attach([row for row in found.values() if row is not None], plan)
        return found

    async def _call(self, root: CallRoot) -> Any:
        if root.plan is None:
            answer = await self._fetcher.value(root.query)
            return answer.get("value") if isinstance(answer, dict) else None
        if root.many:
            rows = (await self._fetcher.rows(root.query, root.plan.row_type)).rows
            await self.attach(rows, root.plan)
            return rows
        row = await self._fetcher.one(root.query, root.plan.row_type)
        await self.attach([] if row is None else [row], root.plan)
        return row

    # Children

    async def attach(self, rows: Sequence[Any], plan: ReadPlan) -> None:
        """Load everything below these rows and put it into their slots."""
        if not rows or not plan.children:
            return
        rows = [row for row in rows if type(row) is plan.row_type.struct]
        await asyncio.gather(*(self._child(rows, plan, child) for child in plan.children))

    async def _child(self, rows: Sequence[Any], plan: ReadPlan, child: ChildPlan) -> None:
        try:
            match child.via:
                case Via.EXPAND:
                    await self._expanded(rows, plan, child)
                case Via.KEYS:
                    await self._by_keys(rows, plan, child)
                case Via.PATH:
                    await self._by_path(rows, plan, child)
        except GatewayError as error:
            self._fail(rows, child, error)

    def _fail(self, rows: Iterable[Any], child: ChildPlan, error: GatewayError) -> None:
        self.failed = True
        failure = Failure(error)
        for row in rows:
            setattr(row, child.child.slot, failure)

    async def _expanded(self, rows: Sequence[Any], plan: ReadPlan, child: ChildPlan) -> None:
        slot = child.child.slot
        if child.plan.window is None:
            await self.attach(
                [found for row in rows if (found := getattr(row, slot)) is not None], child.plan
            )
            return
        below: list[Any] = []
        for row in rows:
            page = await self._expanded_page(row, plan, child)
            setattr(row, slot, page)
            below.extend(page.rows)
        await self.attach(below, child.plan)

    async def _expanded_page(self, row: Any, plan: ReadPlan, child: ChildPlan) -> Page:
        """Make the page of expanded rows; a server that cut them off is asked for the rest."""
        window, row_type = child.plan.window, child.plan.row_type
        assert window is not None
        index = child.child.index
        found = getattr(row, child.child.slot)
        if found is UNSET or not isinstance(found, list | None):
            raise UpstreamMalformed(
                f"The upstream did not send the rows of {child.child.field.source}."
            )
        rows: list[Any] = found or []
        link, total = getattr(row, f"n{index}"), getattr(row, f"k{index}")
        if isinstance(link, str):
            request = render(plan.query, options=self._fetcher.dialect.options)
            rows = rows + await self._fetcher.continued(link, request, row_type)
        if child.paged:
            if window.count_only:
                return empty_page(window, total)
            return keyset_page(rows, window, row_type, total if isinstance(total, int) else None)
        return local_page(rows, window, row_type, self._fetcher.dialect)

    async def _by_keys(self, rows: Sequence[Any], plan: ReadPlan, child: ChildPlan) -> None:
        join = child.join
        assert join is not None
        attributes = [plan.row_type.attribute(f) for f in join.parent]
        keys = [_key_of(row, attributes) for row in rows]
        company = self._fetcher.dialect.company_property
        free = [i for i, f in enumerate(join.parent) if f.source != company]
        has_nulls = self._fetcher.dialect.has_nulls
        wanted = [k if _refers(k, free, has_nulls=has_nulls) else None for k in keys]
        many = child.child.connection is not None
        asked = tuple(dict.fromkeys(k for k in wanted if k is not None))
        found: dict[Any, Any] = {}
        if asked:
            want = Want(child.plan, join.target, asked, many)
            found = await asyncio.shield(self._batches.load(want))
        normal = self._batches.normal
        values = [None if k is None else found.get(normal(join.target, k)) for k in wanted]
        await self._settle(rows, child, values)

    async def _by_path(self, rows: Sequence[Any], plan: ReadPlan, child: ChildPlan) -> None:
        key = plan.level.info.key
        attributes = [plan.row_type.attribute(f) for f in key]
        values = await asyncio.gather(*(self._path(row, attributes, plan, child) for row in rows))
        await self._settle(rows, child, values)

    async def _path(self, row: Any, attributes: list[str], plan: ReadPlan, child: ChildPlan) -> Any:
        parts = tuple(
            KeyPart(f.source, Literal(getattr(row, a), f.value.edm, f.value.is_enum))
            for f, a in zip(plan.level.info.key, attributes, strict=True)
            if f.value is not None
        )
        resource = Resource(plan.entity_set or "", parts, child.child.field.source)
        query: Query = replace(child.plan.query, resource=resource)
        if child.plan.window is not None:
            return await connection(self._fetcher, query, child.plan)
        return await self._fetcher.one(query, child.plan.row_type)

    async def _settle(self, rows: Sequence[Any], child: ChildPlan, values: Sequence[Any]) -> None:
        """Put the children in their slots, then load what is below them, each row once."""
        slot, dialect = child.child.slot, self._fetcher.dialect
        window, row_type = child.plan.window, child.plan.row_type
        below: dict[int, Any] = {}
        for row, value in zip(rows, values, strict=True):
            if window is not None:
                page = local_page([], window, row_type, dialect) if value is None else value
                setattr(row, slot, page)
                below.update((id(r), r) for r in page.rows)
            else:
                setattr(row, slot, value)
                if value is not None:
                    below[id(value)] = value
        await self.attach(list(below.values()), child.plan)


def _key_of(row: Any, attributes: list[str]) -> Key:
    values: list[Value] = []
    for attribute in attributes:
        value = getattr(row, attribute)
        values.append(None if value is UNSET else value)
    return tuple(values)


def _refers(key: Key, free: list[int], *, has_nulls: bool) -> bool:
    """Whether a key names a row: no part is null; where absent text is empty, not all parts beside the company are."""
    if any(part is None for part in key):
        return False
    return has_nulls or not free or any(key[i] != "" for i in free)
