"""Records the upstream requests of an operation, for which fields they are made, and how long each takes.

    Fetcher, WriteSender ──▶ Traced (an upstream) ──▶ the client, whose events tell of each attempt (``with_attempts``)

A request with the header ``X-D365-Trace`` is answered with the trace as ``extensions.d365``; explain shows the requests
in it. Times are milliseconds since the operation began. Neither answers nor credentials are recorded. Callers whose
roles hide or mask values see no sizes (``bytes`` is null), which would tell how long these values are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import GatewayError
from gateway.events import Event, Observer, RequestSent
from gateway.odata.query import Request
from gateway.odata.render import readable_url
from gateway.odata.response_check import Response
from gateway.odata.upstream import OutcomePart, PassingOn, Upstream, whole_response

from .field_attribution import current_fields


@dataclass(slots=True)
class TracedRequest:
    """One request, with all of its attempts."""

    request: Request
    fields: dict[str, None] = field(default_factory=dict)
    """Response fields for which it was made, in order."""
    started: float | None = None
    ended: float | None = None
    attempts: list[RequestSent] = field(default_factory=list)
    rows: int | None = None
    error: str | None = None
    """Code of the error with which it failed."""
    parts: tuple[Request, ...] = ()
    """The reads of a batch."""
    notes: dict[str, None] = field(default_factory=dict)
    """Why it is made in this way."""

    @property
    def size(self) -> int:
        """Bytes of its answer."""
        return self.attempts[-1].size if self.attempts else 0

    def to_json(self, since: float, *, shows_sizes: bool) -> dict[str, Any]:
        """Return the request as JSON; ``started`` counts from ``since``."""
        started = since if self.started is None else self.started
        took = (started if self.ended is None else self.ended) - started
        in_attempts = sum(attempt.seconds for attempt in self.attempts)
        last = self.attempts[-1] if self.attempts else None
        return {
            "method": self.request.method,
            "path": self.request.url if self.request.shown is None else self.request.shown,
            "text": readable_url(self.request),
            "parts": [readable_url(part) for part in self.parts],
            "notes": list(self.notes),
            "fields": list(self.fields),
            "status": (last.status or None) if last is not None else None,
            "rows": self.rows,
            "bytes": self.size if shows_sizes else None,
            "attempts": len(self.attempts),
            "started": _milliseconds(started - since),
            "milliseconds": _milliseconds(took),
            "waited": _milliseconds(max(0.0, took - in_attempts)),
            "error": self.error,
        }


_CURRENT: ContextVar[TracedRequest | None] = ContextVar("traced_request", default=None)


def with_attempts(observe: Observer) -> Observer:
    """Return an observer that also adds the attempts of a traced request to it."""

    def observe_attempts(event: Event) -> None:
        observe(event)
        current = _CURRENT.get()
        if current is not None and isinstance(event, RequestSent):
            current.attempts.append(event)

    return observe_attempts


@dataclass(slots=True)
class Trace:
    """The requests of one operation, in the order in which they were first needed."""

    clock: Callable[[], float] = time.perf_counter
    shows_sizes: bool = True
    """Whether the caller may see how long answers are."""
    requests: list[TracedRequest] = field(default_factory=list)
    started: float = 0.0
    _reads: dict[tuple[str, bytes | None], TracedRequest] = field(default_factory=dict)
    """(address, body) → request; the parts of a batch lead to it."""
    _notes: dict[str, list[str]] = field(default_factory=dict)
    """Address → notes on a read that is still to be sent."""

    def __post_init__(self) -> None:
        self.started = self.clock()

    def add_read(self, request: Request) -> TracedRequest:
        """Record that the current task needs a read, and return its one record; equal reads are sent once."""
        place = request.url, request.body
        traced = self._reads.get(place)
        if traced is None:
            traced = self._reads[place] = self._new(request)
        traced.fields.update(dict.fromkeys(current_fields()))
        return traced

    def add_batch(self, batch: Request, reads: Sequence[Request], fields: Iterable[str]) -> None:
        """Record that these reads are sent as parts of one batch, for these fields."""
        traced = self.add_read(batch)
        traced.parts = tuple(reads)
        traced.fields.update(dict.fromkeys(fields))
        for read in reads:
            traced.notes.update(dict.fromkeys(self._notes.pop(read.url, ())))
            self._reads[read.url, read.body] = traced

    def note(self, request: Request, reason: str) -> None:
        """Record why a read is made in this way; it need not have been sent yet."""
        traced = self._reads.get((request.url, request.body))
        if traced is None:
            self._notes.setdefault(request.url, []).append(reason)
        else:
            traced.notes[reason] = None

    def add_write(self, request: Request) -> TracedRequest:
        """Record a write, and return its record; each of two equal writes has its own."""
        traced = self._new(request)
        traced.fields.update(dict.fromkeys(current_fields()))
        return traced

    def add_rows(self, request: Request, rows: int) -> None:
        """Record the number of rows in the answer to a read."""
        traced = self.add_read(request)
        # The parts of a batch share its record.
        traced.rows = rows + (traced.rows or 0)

    def _new(self, request: Request) -> TracedRequest:
        traced = TracedRequest(request, notes=dict.fromkeys(self._notes.pop(request.url, ())))
        self.requests.append(traced)
        return traced

    @contextmanager
    def timing(self, traced: TracedRequest) -> Iterator[None]:
        """Measure a request that is sent inside, and add its attempts to it."""
        traced.started = self.clock()
        token = _CURRENT.set(traced)
        try:
            yield
        except GatewayError as error:
            traced.error = error.code
            raise
        finally:
            _CURRENT.reset(token)
            traced.ended = self.clock()

    def to_json(self) -> dict[str, Any]:
        """Return the trace as JSON: what was spent, and each request."""
        took = self.clock() - self.started
        sizes = self.shows_sizes
        requests = [traced.to_json(self.started, shows_sizes=sizes) for traced in self.requests]
        return {
            "spent": {
                "milliseconds": _milliseconds(took),
                "upstream": _milliseconds(_covered(self._spans())),
                "requests": sum(len(traced.attempts) for traced in self.requests),
                "rows": sum(traced.rows or 0 for traced in self.requests),
                "bytes": sum(traced.size for traced in self.requests) if sizes else None,
            },
            "requests": requests,
        }

    def _spans(self) -> Iterator[tuple[float, float]]:
        for traced in self.requests:
            if traced.started is not None and traced.ended is not None:
                yield traced.started, traced.ended


class Traced(PassingOn[Upstream]):
    """The upstream of one operation, whose requests it records."""

    def __init__(self, upstream: Upstream, trace: Trace) -> None:
        super().__init__(upstream)
        self._trace = trace

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        """Send a read as the upstream does."""
        with self._trace.timing(self._trace.add_read(request)):
            return await self._upstream.send(request, safe=safe)

    async def write(
        self,
        request: Request,
        outcome_part: OutcomePart = whole_response,
        begins: Callable[[], None] | None = None,
    ) -> Response:
        """Send a write as the upstream does."""
        with self._trace.timing(self._trace.add_write(request)):
            return await self._upstream.write(request, outcome_part, begins)


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return the seconds in which at least one request was under way."""
    covered, until = 0.0, 0.0
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1_000, 2)
