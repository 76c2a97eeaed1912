"""The request that a task works for: its id, and its place in a trace (W3C Trace Context).

Whether a trace is recorded is decided first, by chance, so that all others cost no more than a few comparisons. Ids go
on to the environment either way, so that its log and those of others in front of the gateway can be joined with ours.

https://www.w3.org/TR/trace-context/ · baggage is neither read nor sent: it may hold what others want to keep
"""

from __future__ import annotations

import random
import re
import time
from contextlib import AbstractContextManager
from contextvars import ContextVar

from msgspec import Struct

from gateway.events import OperationServed
from gateway.process.context_value import ContextValue

REQUEST_ID = "x-request-id"
TRACEPARENT = "traceparent"
_ID = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)
_PARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
_SAMPLED = 1


class Sampling(Struct, frozen=True, kw_only=True):
    """Which requests are traced."""

    ratio: float = 0.0
    follows_callers: bool = False
    """Whether a caller's decision counts instead."""
    is_on: bool = False
    """Whether there is anywhere to send traces to."""


NO_TRACES = Sampling()


class RequestContext:
    """One request, or one message of a connection."""

    __slots__ = (
        "is_message",
        "is_sampled",
        "operation",
        "parent_id",
        "request_id",
        "sampling",
        "span_id",
        "started",
        "trace_id",
    )

    def __init__(self, request_id: str | None, traceparent: str | None, sampling: Sampling) -> None:
        """``request_id``, ``traceparent``: as the client sends them; what is malformed is ignored."""
        parent = None if traceparent is None else _PARENT.fullmatch(traceparent)
        self.sampling = sampling
        self.trace_id = "" if parent is None else parent[1]
        self.parent_id: str | None = None if parent is None else parent[2]
        """Span of the caller, if there is one."""
        self.span_id = ""
        self.is_sampled = False
        self.is_message = False
        """Whether it is a message of a WebSocket, and no request of its own."""
        self.operation: OperationServed | None = None
        """The latest operation of the request that was answered."""
        self.started = 0
        """In nanoseconds since the epoch, if it is sampled."""
        if sampling.is_on:
            self._decide(sampling, None if parent is None else int(parent[3], 16))
        if request_id is not None and _ID.fullmatch(request_id):
            self.request_id = request_id
        else:
            self.request_id = self.trace_id or f"{random.getrandbits(128):032x}"

    def _decide(self, sampling: Sampling, flags: int | None) -> None:
        if not self.trace_id:
            self.trace_id = f"{random.getrandbits(128):032x}"
        self.span_id = new_span_id()
        if flags is not None and sampling.follows_callers:
            self.is_sampled = bool(flags & _SAMPLED)
        else:
            self.is_sampled = random.random() < sampling.ratio  # noqa: S311 - likewise
        if self.is_sampled:
            self.started = time.time_ns()

    def message(self) -> RequestContext:
        """Return the context of a message of this connection: with the same id, and a trace of its own."""
        message = RequestContext(self.request_id, None, self.sampling)
        message.is_message = True
        return message

    def traceparent(self, span_id: str) -> str:
        """Return the header of a request that is a span of this one."""
        return f"00-{self.trace_id}-{span_id}-{'01' if self.is_sampled else '00'}"


_CURRENT: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def new_span_id() -> str:
    """Return the id of a new span."""
    return f"{random.getrandbits(64) or 1:016x}"


def current_request() -> RequestContext | None:
    """Return the request that the current task works for; None: it works for no request."""
    return _CURRENT.get()


def current_request_id() -> str | None:
    """Return the id of the request that the current task works for."""
    context = _CURRENT.get()
    return None if context is None else context.request_id


def in_request(context: RequestContext | None) -> AbstractContextManager[object]:
    """Work for a request until the end of the block, with all tasks that begin in it."""
    return ContextValue(_CURRENT, context)
