"""Shares upstream reads between several operations of one scope.

    operation ─┐                            ┌─ one request for equal addresses (``Fetcher``)
    operation ─┼── ReadContext: ────────────┼─ one key batch for the same rows: keys united, ``$select`` united
    operation ─┘   plans side by side       └─ … or, if it fails for what one of them selects, a request for each half

Each operation is planned, bounded in time and completed by itself, so its answer is the one that it would get alone.
Operations must start in the same turn of the event loop, and must be of one caller and one company scope.
"""

from __future__ import annotations

import asyncio
from asyncio import ensure_future
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from gateway.cache.operation_reads import OperationReads
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
from gateway.odata.response_check import Response
from gateway.odata.upstream import Upstream
from gateway.operations.pages import Failure

from .caller_upstream import CallerUpstream
from .child_loader import KeyBatches
from .fetcher import Fetcher
from .key_batches import BatchRequest, KeyBatchLoader
from .key_chunks import RowsByKey
from .plan_runner import PlanRunner

_SELECTION_ERRORS = (
    RequestError,
    UpstreamForbidden,
    UpstreamMalformed,
    UpstreamRejected,
    UpstreamTruncated,
)


class _IsolatingLoader(KeyBatchLoader):
    """The batches of one template, whose failures stay with the operations that cause them."""

    async def batch_load_fn(self, batches: list[BatchRequest]) -> list[RowsByKey]:
        """Load the batches of one tick; the error of a batch stands in its place."""
        loaded: list[Any] = await self._load_isolated(batches)
        return loaded

    async def _load_isolated(self, batches: list[BatchRequest]) -> list[RowsByKey | BaseException]:
        """Load batches by one request; those for which it fails are loaded again in halves, at last one by one."""
        loaded = await self._caught(batches)
        failed = [n for n, result in enumerate(loaded) if _may_depend_on_selection(result)]
        if len(batches) == 1 or not failed:
            return loaded
        # One bad batch among n is isolated by some 2 log n requests, instead of n.
        middle = (len(failed) + 1) // 2
        halves = [half for half in (failed[:middle], failed[middle:]) if half]
        retried = await asyncio.gather(
            *(self._load_isolated([batches[n] for n in half]) for half in halves)
        )
        for half, results in zip(halves, retried, strict=True):
            for number, result in zip(half, results, strict=True):
                loaded[number] = result
        return loaded

    async def _caught(self, batches: list[BatchRequest]) -> list[RowsByKey | BaseException]:
        try:
            return list(await self._load_group(batches))
        except GatewayError as error:
            return [error] * len(batches)

    def _rows_key(self, batch: BatchRequest) -> Hashable:
        """Return the batch itself if its rows have children: variables decide what is put into their slots."""
        return id(batch) if batch.plan.children else super()._rows_key(batch)


def _may_depend_on_selection(result: RowsByKey | BaseException) -> bool:
    """Return whether a read failed in a way that another ``$select`` or fewer keys may change."""
    errors = (
        [result]
        if isinstance(result, BaseException)
        else [value.error for value in result.values() if isinstance(value, Failure)]
    )
    return any(
        isinstance(error, _SELECTION_ERRORS)
        # A computed property may fail, which F&O answers with 500; 502 to 504 come from what stands before it.
        or (isinstance(error, UpstreamUnavailable) and error.upstream_status == 500)
        for error in errors
    )


class SharedKeyBatchLoader:
    """The key batches of several operations: those of one template do not wait for those of another."""

    def __init__(self, fetcher: Fetcher, max_url_length: int) -> None:
        self._fetcher = fetcher
        self._limit = max_url_length
        self._by_template: dict[Hashable, _IsolatingLoader] = {}

    def load(self, batch: BatchRequest) -> asyncio.Future[RowsByKey]:
        """Return the future rows of a batch."""
        template = batch.template()
        loader = self._by_template.get(template)
        if loader is None:
            loader = self._by_template[template] = _IsolatingLoader(self._fetcher, self._limit)
        return loader.load(batch)


@dataclass(slots=True)
class ReadContext:
    """The upstream reads of one operation, or of several that run side by side."""

    upstream: Upstream
    make: Callable[[list[Request]], tuple[Fetcher, KeyBatches]]
    """Makes what reads, when it is needed: the usual query is read without it (``single_read``). It appends what it
    sends to the list."""
    until: float
    """When the last of the operations ends, by the event loop's clock: no shared request gives up earlier."""
    caller: CallerUpstream | None = None
    """What notes that the caller has to sign in, if the operations have the caller's identity."""
    shared: OperationReads | None = None
    """What is read for other operations, too; None: nothing."""
    learns: bool = True
    """Whether what comes is what later operations may expect: not if callers see different rows, as the estimates of
    one would tell of another's."""
    kind: str | None = None
    """``query``, ``mutation`` or ``subscription``, once the operation has been read."""
    name: str | None = None
    """Name of the operation, likewise."""
    is_usual: bool = True
    """Whether one operation reads by itself, and its requests are not to be shown."""
    sent: list[Request] = field(default_factory=list)
    """What was really sent, in order."""
    _made: tuple[Fetcher, KeyBatches] | None = None
    _begun: tuple[Request, asyncio.Future[Response]] | None = None
    """The read that was begun without a fetcher, which takes its answer if one is needed after all."""
    _running: int = 0
    _requests: int = 0
    _rows_apart: int = 0
    _rows: int = 0

    @property
    def fetcher(self) -> Fetcher:
        """What reads for the operations."""
        return self._reading()[0]

    @property
    def may_learn(self) -> bool:
        """Whether what comes is what later operations of the structure may expect."""
        return self.learns and self.caller is None

    def _reading(self) -> tuple[Fetcher, KeyBatches]:
        made = self._made
        if made is None:
            made = self._made = self.make(self.sent)
            if self._begun is not None:
                made[0].requests.adopt(*self._begun)
        return made

    def runner(self) -> PlanRunner:
        """Return the runner of one operation's plan."""
        fetcher, batches = self._reading()
        return PlanRunner(fetcher, batches, learns=self.may_learn)

    def join(self, request: Request) -> asyncio.Future[Response] | None:
        """Return the answer to the only request of an operation that others have, or wait for; None if there is none.

        It may be awaited as it is: giving it up takes it from nobody else.
        """
        reused = None if self.shared is None else self.shared.find(request)
        if reused is None:
            return None
        self._begun = request, reused.answer
        return reused.answer

    def begin(self, request: Request) -> asyncio.Future[Response]:
        """Send the only request of an operation, and return its future answer, which others may wait for as well."""
        shared, send = self.shared, self.upstream.send
        answer: asyncio.Future[Response]
        if shared is not None and shared.may_be_shared(request):
            answer = shared.begin(request, self._send_noted)
        else:
            self.sent.append(request)
            answer = ensure_future(send(request)) if shared is None else shared.begin(request, send)
        self._begun = request, answer
        return answer

    async def _send_noted(self, request: Request) -> Response:
        """Send a request that turns out to be needed."""
        self.sent.append(request)
        return await self.upstream.send(request)

    @property
    def has_company(self) -> bool:
        """Whether other operations wait for the only answer, too."""
        shared, begun = self.shared, self._begun
        return shared is not None and begun is not None and shared.is_joined(begun[1])

    def may_be_cached(self, request: Request) -> bool:
        """Return whether an answer may be kept for later operations."""
        return self.shared is not None and self.shared.may_be_cached(request)

    def forget(self) -> None:
        """Do not use the answer to the only request: it is read again."""
        self._begun = None

    def count_rows(self, rows: int) -> None:
        """Count the rows of the only answer."""
        self._rows_apart += rows

    @property
    def rows_read(self) -> int:
        """The number of rows that were read."""
        return self._rows_apart + (0 if self._made is None else self._made[0].pages.rows_read)

    def enter(self) -> None:
        """Note that an operation begins."""
        self._running += 1

    async def leave(self) -> None:
        """Note that an operation has ended. The last one cancels what is still under way."""
        self._running -= 1
        if self._running:
            return
        begun = None if self._begun is None else self._begun[1]
        if self._made is not None or (begun is not None and not begun.done()):
            await self.fetcher.close()
        elif begun is not None and not begun.cancelled():
            # Retrieved, so that asyncio does not log it as never retrieved.
            begun.exception()

    def spent(self) -> tuple[tuple[Request, ...], int]:
        """Return the requests and the number of rows that no answer has reported yet, so that each is logged once."""
        sent = self.sent[self._requests :] if self._requests else self.sent
        rows = self.rows_read - self._rows
        self._requests += len(sent)
        self._rows += rows
        return tuple(sent), rows
