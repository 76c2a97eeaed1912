"""Runs a plan: level by level, all parents of a level at once, root fields side by side.

Returns loaded rows with their children in place; nothing is completed here. A child that fails leaves a
:class:`Failure` in its slot and the rest goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from gateway.dimensions.formats import EnvironmentFormats
from gateway.errors import AnswerTooLarge, GatewayError
from gateway.operations.pages import Failure
from gateway.planning.plan import (
    AggregateRoot,
    BoundRoot,
    CallRoot,
    FailedRoot,
    Key,
    KeysRoot,
    ListRoot,
    ReadPlan,
    Via,
)

from .aggregates import read_aggregate
from .child_loader import ChildLoader, KeyBatches
from .connections import read_connection
from .expanded_children import is_raw
from .failure_tracker import FailureTracker
from .fetcher import Fetcher
from .field_attribution import current_fields, set_fields
from .format_reads import load_formats
from .key_batches import BatchRequest
from .key_chunks import RowsByKey
from .read_batches import in_batches, is_batching


@dataclass
class Loaded:
    """The value of one generated root field: a page, a row, rows, a plain value, None, or a Failure."""

    bound: BoundRoot
    value: Any
    row_plans: tuple[ReadPlan | None, ...] = ()
    """The plan of each row, if rows of several plans were requested by key."""
    raw: bool = False
    """Whether the rows of the page are still as they came: they may be JSON text, and have no children yet."""
    learns: bool = False
    """Whether what comes is what later operations of the structure may expect."""


class PlanRunner:
    """Runs the plans of one operation."""

    def __init__(self, fetcher: Fetcher, batches: KeyBatches, *, learns: bool = False) -> None:
        """``learns``: what comes is what later operations of the structure may expect."""
        self._fetcher = fetcher
        self._failures = FailureTracker()
        self.learns = learns
        self._children = ChildLoader(fetcher, batches, self._failures, learns=learns)

    @property
    def fetcher(self) -> Fetcher:
        """What reads for the operation."""
        return self._fetcher

    @property
    def failed(self) -> bool:
        """Whether some value is a failure."""
        return self._failures.failed

    @property
    def has_mismatch(self) -> bool:
        """Whether some answer did not fit its types."""
        return self._fetcher.decoder.has_mismatch

    async def run(self, roots: Sequence[BoundRoot], *, raw: bool = False) -> list[Loaded]:
        """Load every root field; ``raw``: pages that come whole in one answer are left as they came."""
        if len(roots) == 1:
            # A task of its own would cost as much as planning a page; only its context is needed.
            fields = current_fields()
            try:
                return [await self._root(roots[0], raw=raw, is_alone=True)]
            finally:
                set_fields(fields)
        return list(await asyncio.gather(*(self._root(root, raw=raw) for root in roots)))

    async def load_formats(self, formats: EnvironmentFormats, *, again: bool = False) -> None:
        """Read the formats of display values, beside the rows that have some."""
        await load_formats(self._fetcher, formats, again=again)

    async def decode_raw(self, loaded: Sequence[Loaded]) -> list[Loaded]:
        """Return the root fields with those decoded and completed that were left raw.

        They are run again, from the answers that the fetcher has already.
        """
        decoded = iter(await self.run([item.bound for item in loaded if item.raw]))
        return [next(decoded) if item.raw else item for item in loaded]

    async def attach(self, rows: Sequence[Any], plan: ReadPlan) -> None:
        """Load all children of these rows and put them into their slots."""
        await self._children.attach(rows, plan)

    async def _root(self, root: BoundRoot, *, raw: bool, is_alone: bool = False) -> Loaded:
        # A context variable: each root runs in a task of its own, and what that task sends is attributed to its field.
        set_fields((root.shape.key,))
        try:
            match root:
                case ListRoot() if root.plan.window is None:
                    return Loaded(root, await self._singleton(root.plan))
                case ListRoot():
                    return await self._list(root, raw=raw and is_raw(root.plan), is_alone=is_alone)
                case KeysRoot():
                    with in_batches(root.together or is_batching()):
                        return await self._keys(root)
                case AggregateRoot():
                    return Loaded(root, await self._aggregate(root))
                case CallRoot():
                    return Loaded(root, await self._call(root))
                case FailedRoot():
                    raise root.error
                case _:
                    assert_never(root)
        except GatewayError as error:
            return Loaded(root, self._failures.failure(error))

    async def _singleton(self, plan: ReadPlan) -> Any:
        row = await self._fetcher.row(plan.query, plan.row_type)
        await self.attach([] if row is None else [row], plan)
        return row

    async def _list(self, root: ListRoot, *, raw: bool, is_alone: bool) -> Loaded:
        plan = root.plan
        if root.key is not None:
            rows_by_key = await self._children.load(
                BatchRequest(plan, plan.level.info.key, (root.key,), many=True)
            )
            page = rows_by_key[root.key]
            if isinstance(page, Failure):
                return Loaded(root, page)
        else:
            try:
                if root.together:
                    with in_batches(True):
                        page = await read_connection(self._fetcher, plan.query, plan, raw=raw)
                else:
                    page = await read_connection(
                        self._fetcher, plan.query, plan, raw=raw, is_alone=is_alone
                    )
            except AnswerTooLarge:
                self._note_long_lists(plan)
                raise
            if self.learns and plan.window is not None and not plan.window.count_only:
                root.shape.rows.learn(plan.window.size, len(page.rows))
        if raw and not isinstance(page.rows, list):
            return Loaded(root, page, raw=True, learns=self.learns)
        await self.attach(page.rows, plan)
        return Loaded(root, page)

    async def _aggregate(self, root: AggregateRoot) -> dict[str, Any]:
        before = self._fetcher.pages.rows_read
        answer = await read_aggregate(self._fetcher, root)
        if self.learns:
            rows = self._fetcher.pages.rows_read - before
            root.shape.rows.learn(root.aggregation.max_rows, rows)
        return answer

    def _note_long_lists(self, plan: ReadPlan) -> None:
        """Note that the lists in an answer that was too large are too long: next time their pages are read."""
        for child in plan.children if self.learns else ():
            if child.via is Via.EXPAND and child.plan.window is not None and not child.paged:
                child.child.lengths.are_too_long()

    async def _keys(self, root: KeysRoot) -> Loaded:
        """Load rows by key: those of one plan together, each in the place of its key."""
        by_plan: dict[int, tuple[ReadPlan, list[Key]]] = {}
        for item in root.items:
            if item is not None:
                # By identity: comparing plans would compare their whole trees.
                by_plan.setdefault(id(item[0]), (item[0], []))[1].append(item[1])
        results = await asyncio.gather(
            *(self._failures.catch(self._by_key(plan, keys)) for plan, keys in by_plan.values())
        )
        rows_by_plan = dict(zip(by_plan, results, strict=True))
        values: list[Any] = []
        for number, item in enumerate(root.items):
            if item is None:
                values.append(self._failures.failure(root.errors[number]))
                continue
            plan, key = item
            rows = rows_by_plan[id(plan)]
            value = rows if isinstance(rows, Failure) else rows[key]
            values.append(_of_type(value, plan, root.types[number]) if root.types else value)
        plans = tuple(None if item is None else item[0] for item in root.items)
        return Loaded(root, values if root.many else values[0], plans)

    async def _by_key(self, plan: ReadPlan, keys: list[Key]) -> RowsByKey:
        # ``nodes`` may name a row twice: it stands twice in the answer, and once in the request.
        unique = tuple(dict.fromkeys(keys))
        rows_by_key = await self._children.load(BatchRequest(plan, plan.level.info.key, unique))
        await self.attach(list(rows_by_key.values()), plan)
        return rows_by_key

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


def _of_type(value: Any, plan: ReadPlan, csdl: str) -> Any:
    """Return a row; None if the upstream says that it is of another type than the caller named."""
    if not plan.level.needs_type or type(value) is not plan.row_type.struct:
        return value
    actual = plan.row_type.csdl_of(value)
    return None if actual != csdl and actual in plan.level.possible else value
