"""Sends reads as parts of a ``$batch``: if their addresses are too long, or one request serves several of them.

A web server limits the address of a request and the segments of its path, but does not inspect the parts of a batch
(OData 4.0 Protocol section 11.7, https://docs.oasis-open.org/odata/odata/v4.0/odata-v4.0-part1-protocol.html). Reads of
one turn of the event loop share a batch. A part that fails fails for its own reader only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, TypeAlias

from msgspec import Struct, field

from gateway.errors import (
    GatewayError,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRejected,
    UpstreamUnavailable,
)
from gateway.odata.batch import MAX_READS, NoBatchAnswer, read_answers, read_batch
from gateway.odata.batch_parts import holding
from gateway.odata.error_details import ErrorDetails
from gateway.odata.query import Request
from gateway.odata.response_check import Response, raise_for_answer, subject_of
from gateway.odata.upstream import ReadUpstream
from gateway.process.context_value import ContextValue

from .field_attribution import current_fields
from .trace import Trace

Sending: TypeAlias = Coroutine[Any, Any, None]
_REFUSES_BATCH = frozenset({400, 404, 405, 406, 415, 501})
"""Statuses with which services answer a ``$batch`` that they do not support, or support in JSON only."""

_together: ContextVar[bool] = ContextVar("together", default=False)


def in_batches(together: bool) -> AbstractContextManager[object]:
    """Send the reads of this task, and of those that it starts inside, within a batch if ``together``."""
    return ContextValue(_together, together)


def is_batching() -> bool:
    """Return whether the reads of the current task go into a batch."""
    return _together.get()


def identity_of(request: Request) -> str:
    """Return what identifies a read within an operation: its address, and the largest page that it prefers."""
    prefer = request.headers.get("Prefer")
    return request.url if prefer is None else f"{request.url} {prefer}"


class _Waiting(Struct, eq=False):
    request: Request
    answer: asyncio.Future[Response]
    fields: dict[str, None] = field(default_factory=dict)
    """Response fields for which it is made."""


class ReadBatches:
    """The batches of reads of one operation."""

    def __init__(
        self, sender: ReadUpstream, sent: list[Request], trace: Trace | None, errors: ErrorDetails
    ) -> None:
        self._sender = sender
        self._sent = sent
        self._errors = errors
        self._trace = trace
        self._waiting: dict[str, _Waiting] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, request: Request) -> asyncio.Future[Response]:
        """Return the future answer to a read that is sent within a batch; it raises GatewayError if the read fails."""
        future = asyncio.get_running_loop().create_future()
        if not self._waiting:
            self._run(self._send_waiting())
        self._waiting[identity_of(request)] = _Waiting(request, future)
        return future

    @property
    def is_used(self) -> bool:
        """Whether anything is under way."""
        return bool(self._tasks)

    def is_waiting(self, request: Request) -> bool:
        """Return whether a read is still to be sent; if so, the fields of the current task are added to it."""
        waiting = self._waiting.get(identity_of(request))
        if waiting is None:
            return False
        waiting.fields.update(dict.fromkeys(current_fields()))
        return True

    async def close(self) -> None:
        """Cancel what is under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send_waiting(self) -> None:
        """Send the reads that were added in this turn of the event loop."""
        # Readers that run later in this turn still join the batch.
        await asyncio.sleep(0)
        waiting = list(self._waiting.values())
        self._waiting = {}
        for start in range(0, len(waiting), MAX_READS):
            self._run(self._send(waiting[start : start + MAX_READS]))

    def _run(self, sending: Sending) -> None:
        task = asyncio.ensure_future(sending)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, waiting: Sequence[_Waiting]) -> None:
        reads = [one.request for one in waiting]
        batch = read_batch(reads)
        self._sent.append(batch)
        if self._trace is not None:
            names = [name for one in waiting for name in one.fields]
            self._trace.add_batch(batch, reads, names)
        try:
            with holding(reads) as parts:
                response = await self._sender.send(batch, safe=True)
            answers = read_answers(response, reads, self._sender.root)
            parts.answered(answers)
        except asyncio.CancelledError:
            for one in waiting:
                one.answer.cancel()
            raise
        except Exception as error:
            for one in waiting:
                _fail(one.answer, _explained(error))
            return
        for one, answer in zip(waiting, answers, strict=True):
            _settle(one, answer, self._errors)


def _settle(waiting: _Waiting, response: Response, errors: ErrorDetails) -> None:
    """Give a reader its part of the answer, or the error in it."""
    request = waiting.request
    try:
        raise_for_answer(request, response, subject_of(request.url), time.time(), errors)
    except GatewayError as error:
        _fail(waiting.answer, error)
        return
    if not waiting.answer.done():
        waiting.answer.set_result(response)


def _fail(answer: asyncio.Future[Response], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def is_batch_refusal(error: Exception) -> bool:
    """Return whether a service does not support a ``$batch``, or not in this form."""
    # A proxy's 501 has no error of OData, so it is one of a service that does not answer.
    return isinstance(error, NoBatchAnswer) or (
        isinstance(error, UpstreamRejected | UpstreamUnavailable)
        and error.upstream_status in _REFUSES_BATCH
    )


def _explained(error: Exception) -> Exception:
    """Return the error with a hint what to do if the service does not support ``$batch``.

    A 404 is about the batch then: a read must not take it for a missing row (``UpstreamNotFound``).
    """
    kind: type[UpstreamError]
    match error:
        case UpstreamRejected(upstream_status=status) if status in _REFUSES_BATCH:
            kind = UpstreamRejected
        case UpstreamMalformed():
            kind = type(error)
        case _:
            return error
    return kind(
        error.message,
        hint=(
            "This read went out in a $batch, most likely because its address is too long. If the service takes"
            " none: ask for less, or raise max_url_length if its web server takes longer addresses."
        ),
        detail=error.detail,
        upstream_status=error.upstream_status,
        upstream_request_id=error.upstream_request_id,
    )
