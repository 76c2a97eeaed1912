"""The upstream reads that several operations of one scope have in common.

    operation ─┐                          ┌─ one request for equal addresses (``Fetcher``)
    operation ─┼── ReadContext: ─────── ────┼─ one key batch for the same rows: keys united, ``$select`` united
    operation ─┘   plans side by side     └─ … or, where it fails for what one of them selects, a request for each half

Each operation is planned, bounded in time and completed by itself, so its answer is the one that it would get alone.
Operations must start in the same turn of the event loop, and must be of one caller and one company scope.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from gateway.errors import (
    GatewayError,
    RequestError,
    UpstreamForbidden,
    UpstreamMalformed,
    UpstreamRejected,
    UpstreamTruncated,
    UpstreamUnavailable,
)
from gateway.odata.query import Request
from gateway.operations.pages import Failure

from .fetcher import Fetcher
from .key_batches import BatchRequest, KeyBatchLoader, RowsByKey
from .plan_runner import KeyBatches, Runner

_SELECTION_ERRORS = (
    RequestError,
    UpstreamForbidden,
    UpstreamMalformed,
    UpstreamRejected,
    UpstreamTruncated,
)


class _Batches(KeyBatchLoader):
    """The wants of one template, whose failures stay with those who cause them."""

    async def batch_load_fn(self, wants: list[BatchRequest]) -> list[RowsByKey]:
        """Load the wants of one tick; the error of a want stands in its place."""
        loaded: list[Any] = await self._isolated(wants)
        return loaded

    async def _isolated(self, wants: list[BatchRequest]) -> list[RowsByKey | BaseException]:
        """Load wants by one request; those for which it fails are loaded again in halves, at last one by one."""
        loaded = await self._caught(wants)
        failed = [number for number, found in enumerate(loaded) if _may_be_the_selection(found)]
        if len(wants) == 1 or not failed:
            return loaded
        middle = (len(failed) + 1) // 2
        halves = [half for half in (failed[:middle], failed[middle:]) if half]
        again = await asyncio.gather(*(self._isolated([wants[n] for n in half]) for half in halves))
        for half, results in zip(halves, again, strict=True):
            for number, found in zip(half, results, strict=True):
                loaded[number] = found
        return loaded

    async def _caught(self, wants: list[BatchRequest]) -> list[RowsByKey | BaseException]:
        try:
            return list(await self._group(wants))
        except GatewayError as error:
            return [error] * len(wants)

    def _rows_key(self, want: BatchRequest) -> Hashable:
        """Rows with children are each operation's own: variables decide what is put into their slots."""
        return id(want) if want.plan.children else super()._rows_key(want)


def _may_be_the_selection(found: RowsByKey | BaseException) -> bool:
    """Return whether a read failed in a way that another ``$select`` or fewer keys may change."""
    errors = (
        [found]
        if isinstance(found, BaseException)
        else [one.error for one in found.values() if isinstance(one, Failure)]
    )
    return any(
        isinstance(error, _SELECTION_ERRORS)
        # A property that is computed may fail, which F&O answers with 500; 502 to 504 are of what stands before it.
        or (isinstance(error, UpstreamUnavailable) and error.upstream_status == 500)
        for error in errors
    )


class SharedKeyBatchLoader:
    """The key batches of several operations: those of one template do not wait for those of another."""

    def __init__(self, fetcher: Fetcher, max_url_length: int) -> None:
        self._fetcher = fetcher
        self._limit = max_url_length
        self._by_template: dict[Hashable, _Batches] = {}

    def load(self, want: BatchRequest) -> asyncio.Future[RowsByKey]:
        """Return the future rows of a want."""
        template = want.template()
        batches = self._by_template.get(template)
        if batches is None:
            batches = self._by_template[template] = _Batches(self._fetcher, self._limit)
        return batches.load(want)


@dataclass
class ReadContext:
    """The upstream reads of one operation, or of several that run side by side."""

    fetcher: Fetcher
    batches: KeyBatches
    until: float
    """When the last of the operations ends, by the event loop's clock: no shared request gives up before."""
    _running: int = 0
    _requests: int = 0
    _rows: int = 0

    def runner(self) -> Runner:
        """Return what runs the plan of one operation."""
        return Runner(self.fetcher, self.batches)

    def enter(self) -> None:
        """Note that an operation begins."""
        self._running += 1

    async def leave(self) -> None:
        """Note that an operation has ended. The last one cancels what is still under way."""
        self._running -= 1
        if not self._running:
            await self.fetcher.close()

    def spent(self) -> tuple[tuple[Request, ...], int]:
        """Return the requests and rows that no answer has counted yet: each is counted once in the log."""
        sent = self.fetcher.requests.sent[self._requests :]
        rows = self.fetcher.pages.rows_read - self._rows
        self._requests += len(sent)
        self._rows += rows
        return tuple(sent), rows
