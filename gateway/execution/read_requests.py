"""Prints and sends the reads of one operation: each once, and in a ``$batch`` if necessary.

Equal requests of an operation share one answer. A request that is too long for an address is sent without ``$select``,
or as a part of a ``$batch``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from gateway.cache.operation_reads import OperationReads
from gateway.errors import BadArgument, Overloaded, UpstreamMalformed
from gateway.odata.dialect import Dialect
from gateway.odata.lazy_request import LONGEST
from gateway.odata.lower import Lowered
from gateway.odata.nextlink import next_request, skip_token_of
from gateway.odata.query import Query, Request
from gateway.odata.render import render
from gateway.odata.response_check import Response
from gateway.odata.upstream import ReadUpstream
from gateway.operations.row_types import RowType
from gateway.telemetry.operation_scope import current_scope

from .addresses import without_long_select
from .read_batches import ReadBatches, identity_of, is_batching
from .trace import Trace

T = TypeVar("T")


@dataclass
class ReadRequests:
    """Prints and sends the reads of one operation."""

    upstream: ReadUpstream
    dialect: Dialect
    max_url_length: int
    """Characters of an address; a longer request is shortened, or sent as part of a ``$batch``."""
    trace: Trace | None = None
    """Records the requests if the caller wants to see them."""
    sent: list[Request] = field(default_factory=list)
    """What was really sent, in order; several readers may share one list."""
    shared: OperationReads | None = None
    """What others have read already, or read at this moment; None: everything is sent."""
    _batches: ReadBatches = field(init=False)
    _responses: dict[str, asyncio.Future[Response]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._batches = ReadBatches(self.upstream, self.sent, self.trace, self.dialect.errors)

    def to_request(self, lowered: Lowered, row_type: RowType | None = None) -> Request:
        """Return the request of a lowered query for rows of that type.

        ``$select`` is left out if it alone makes the address too long. Raises BadArgument for a filter that does not
        even fit into a ``$batch``.
        """
        request = render(lowered.query, options=self.dialect.options)
        if len(request.url) <= self.max_url_length:
            return request
        if row_type is not None:
            shorter = without_long_select(
                lowered.query, row_type, self.dialect, self.max_url_length
            )
            if shorter is not None:
                request, reason = shorter
                self.note(request, reason)
        return check_length(request)

    def is_too_long(self, query: Query) -> bool:
        """Return whether the address of a query has more than ``max_url_length`` characters."""
        lowered = self.dialect.lower(query)
        request = render(lowered.query, options=self.dialect.options)
        return not lowered.empty and len(request.url) > self.max_url_length

    def next_page(self, request: Request, link: str) -> Request:
        """Return the request that a next link stands for. Raises UpstreamMalformed for a link to elsewhere."""
        return next_request(request, link, root=self.upstream.root, keep=self.dialect.options)

    def skip_token(self, request: Request, link: str) -> str | None:
        """Return the skip token of a next link; None if the link is anything but the request with a token."""
        try:
            return skip_token_of(request, link, root=self.upstream.root, keep=self.dialect.options)
        except UpstreamMalformed:
            # An error only for a reader that must follow the link; this one may not need it.
            return None

    async def send(self, request: Request) -> Response:
        """Return the answer to a request, which is sent once in an operation. Raises GatewayError."""
        response = self.start(request)
        # Shielded: a reader that is cancelled must not cancel the answer that others wait for.
        return response.result() if response.done() else await without_cancelling(response)

    def start(self, request: Request) -> asyncio.Future[Response]:
        """Send a request unless the operation has sent an equal one, and return its future answer."""
        identity = identity_of(request)
        response = self._responses.get(identity)
        if response is None:
            response = self._responses[identity] = self._dispatch(request)
        if self.trace is not None and not self._batches.is_waiting(request):
            self.trace.add_read(request)
        return response

    def adopt(self, request: Request, answer: asyncio.Future[Response]) -> None:
        """Take the answer to a request that was begun without this."""
        self._responses[identity_of(request)] = answer

    def forget(self, request: Request) -> None:
        """Drop the answer to a request that nothing else of the operation needs."""
        self._responses.pop(identity_of(request), None)

    def _dispatch(self, request: Request) -> asyncio.Future[Response]:
        reason = self._batch_reason(request)
        if reason is not None:
            self.note(request, reason)
            if self.shared is not None:
                self.shared.note_other()
            return self._batches.add(request)
        if self.shared is None:
            self.sent.append(request)
            return asyncio.get_running_loop().create_task(self.upstream.send(request))
        reused = self.shared.find(request)
        if reused is not None:
            self.note(request, reused.reason)
            answer = reused.answer
            return answer if answer.done() else asyncio.ensure_future(self._joined(request, answer))
        if self.shared.may_be_shared(request):
            return self.shared.begin(request, self._send_noted)
        self.sent.append(request)
        return self.shared.begin(request, self.upstream.send)

    async def _joined(self, request: Request, answer: asyncio.Future[Response]) -> Response:
        """Return the answer that another operation waits for; send the request if that one may wait no longer."""
        assert self.shared is not None
        scope = current_scope()
        if scope is not None:
            scope.begin_wait()
        try:
            return await answer
        except Overloaded:
            own = self._dispatch(request)
        finally:
            if scope is not None:
                scope.end_wait()
        try:
            return await asyncio.shield(own)
        except asyncio.CancelledError:
            self.shared.give_up(own)
            raise

    async def _send_noted(self, request: Request) -> Response:
        """Send a request that turns out to be needed."""
        self.sent.append(request)
        return await self.upstream.send(request)

    def _batch_reason(self, request: Request) -> str | None:
        """Return why a request cannot go out on its own; None if it can."""
        url = request.url
        if len(url) > self.max_url_length:
            return f"in a $batch: its URL of {len(url):,} characters is too long"
        if is_batching():
            return "in a $batch: lists that differ in a value of eq only share one"
        if not self.dialect.path_fits(url.partition("?")[0]):
            return "in a $batch: a segment of its path is too long for web servers"
        return None

    async def close(self) -> None:
        """Cancel the requests that are still under way."""
        pending = [response for response in self._responses.values() if not _is_over(response)]
        if not pending and not self._batches.is_used:
            return
        for response in pending:
            if self.shared is None:
                response.cancel()
            else:
                self.shared.give_up(response)
        if pending:
            # What others still wait for is theirs.
            ending = [r for r in pending if not isinstance(r, asyncio.Task) or r.cancelling()]
            await asyncio.gather(*ending, return_exceptions=True)
        await self._batches.close()

    def note(self, request: Request, reason: str) -> None:
        """Record why a request is as it is."""
        if self.trace is not None:
            self.trace.note(request, reason)

    def note_query(self, query: Query, row_type: RowType, reason: str) -> None:
        """Record why the request of a query is as it is."""
        if self.trace is not None:
            self.trace.note(self.to_request(self.dialect.lower(query), row_type), reason)


def check_length(request: Request) -> Request:
    """Return the request. Raises BadArgument if no request line, not even one in a ``$batch``, can hold it."""
    if len(request.url) > LONGEST:
        # Otherwise it would tell how long a rule is.
        length = "too many" if request.shown is not None else f"{len(request.url):,}"
        raise BadArgument(
            f"The filter makes a URL of {length} characters; the most is {LONGEST:,}.",
            hint="Use fewer or shorter values, or ask in several operations.",
        )
    return request


def _is_over(response: asyncio.Future[Response]) -> bool:
    """Return whether a request has its answer; an error that nobody waited for counts as seen."""
    if response.done() and not response.cancelled():
        # Retrieved, so that asyncio does not log it as never retrieved.
        response.exception()
    return response.done()


async def without_cancelling(answer: asyncio.Future[T]) -> T:
    """Await an answer as ``asyncio.shield`` does, with one callback instead of two."""
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    answer.add_done_callback(partial(_wake, waiter))
    await waiter
    return answer.result()


def _wake(waiter: asyncio.Future[None], answer: asyncio.Future[Any]) -> None:
    if not waiter.done():
        waiter.set_result(None)
    elif not answer.cancelled():
        # Whoever waited was cancelled: its error is not one that nobody has looked at.
        answer.exception()
