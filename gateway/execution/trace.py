"""What an operation asks upstream, for which fields, and how long each request takes.

    Fetcher, Exchange ──▶ Traced (an upstream) ──▶ the client, whose events say how each attempt went (``heard``)

A run that is asked for it (header ``X-D365-Trace``) answers with it as ``extensions.d365``; explain takes from it what
would be asked. Times are milliseconds since the operation began. Neither answers nor credentials are kept.
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
from gateway.odata.render import decoded
from gateway.odata.response_check import Response
from gateway.odata.upstream import OutcomePart, Upstream, whole_response

from .field_attribution import current_fields


@dataclass(slots=True)
class TracedRequest:
    """One request, with all of its attempts."""

    request: Request
    fields: dict[str, None] = field(default_factory=dict)
    """Fields of the answer for which it was made, in order."""
    started: float | None = None
    ended: float | None = None
    attempts: list[RequestSent] = field(default_factory=list)
    rows: int | None = None
    error: str | None = None
    """Code of what it failed with."""
    parts: tuple[Request, ...] = ()
    """The reads of a batch."""
    notes: dict[str, None] = field(default_factory=dict)
    """Why it is asked in this way."""

    def told(self, since: float) -> dict[str, Any]:
        """Return it as JSON; ``started`` and ``ended`` count from ``since``."""
        started = since if self.started is None else self.started
        took = (started if self.ended is None else self.ended) - started
        under_way = sum(attempt.seconds for attempt in self.attempts)
        last = self.attempts[-1] if self.attempts else None
        return {
            "method": self.request.method,
            "path": self.request.url,
            "text": decoded(self.request),
            "parts": [decoded(part) for part in self.parts],
            "notes": list(self.notes),
            "fields": list(self.fields),
            "status": (last.status or None) if last is not None else None,
            "rows": self.rows,
            "bytes": 0 if last is None else last.size,
            "attempts": len(self.attempts),
            "started": _milliseconds(started - since),
            "milliseconds": _milliseconds(took),
            "waited": _milliseconds(max(0.0, took - under_way)),
            "error": self.error,
        }


_HEARING: ContextVar[TracedRequest | None] = ContextVar("hearing", default=None)


def heard(observe: Observer) -> Observer:
    """Return an observer that lets a request which is traced know of its attempts, too."""

    def tell(event: Event) -> None:
        observe(event)
        hearing = _HEARING.get()
        if hearing is not None and isinstance(event, RequestSent):
            hearing.attempts.append(event)

    return tell


@dataclass(slots=True)
class Trace:
    """The requests of one operation, in the order in which they were asked for."""

    clock: Callable[[], float] = time.perf_counter
    requests: list[TracedRequest] = field(default_factory=list)
    started: float = 0.0
    _reads: dict[tuple[str, bytes | None], TracedRequest] = field(default_factory=dict)
    """(address, body) → request; the parts of a batch lead to it."""
    _notes: dict[str, list[str]] = field(default_factory=dict)
    """Address → notes on a read that is still to be sent."""

    def __post_init__(self) -> None:
        self.started = self.clock()

    def asked(self, request: Request) -> TracedRequest:
        """Take notice that the current task wants what this request reads."""
        place = request.url, request.body
        found = self._reads.get(place)
        if found is None:
            found = self._reads[place] = self._new(request)
        found.fields.update(dict.fromkeys(current_fields()))
        return found

    def asked_together(
        self, batch: Request, reads: Sequence[Request], fields: Iterable[str]
    ) -> None:
        """Record that these reads are sent as parts of one batch, for these fields."""
        found = self.asked(batch)
        found.parts = tuple(reads)
        found.fields.update(dict.fromkeys(fields))
        for read in reads:
            found.notes.update(dict.fromkeys(self._notes.pop(read.url, ())))
            self._reads[read.url, read.body] = found

    def note(self, request: Request, why: str) -> None:
        """Record why a read is asked in this way; it may not have been sent yet."""
        found = self._reads.get((request.url, request.body))
        if found is None:
            self._notes.setdefault(request.url, []).append(why)
        else:
            found.notes[why] = None

    def writes(self, request: Request) -> TracedRequest:
        """Take notice of a write; an equal one is another."""
        found = self._new(request)
        found.fields.update(dict.fromkeys(current_fields()))
        return found

    def counted(self, request: Request, rows: int) -> None:
        """Take notice of how many rows an answer has."""
        found = self.asked(request)
        found.rows = rows + (found.rows or 0)

    def _new(self, request: Request) -> TracedRequest:
        found = TracedRequest(request, notes=dict.fromkeys(self._notes.pop(request.url, ())))
        self.requests.append(found)
        return found

    @contextmanager
    def timing(self, asked: TracedRequest) -> Iterator[None]:
        """Measure a request, and hear of its attempts."""
        asked.started = self.clock()
        token = _HEARING.set(asked)
        try:
            yield
        except GatewayError as error:
            asked.error = error.code
            raise
        finally:
            _HEARING.reset(token)
            asked.ended = self.clock()

    def told(self) -> dict[str, Any]:
        """Return all of it as JSON: what was spent, and each request."""
        took = self.clock() - self.started
        requests = [asked.told(self.started) for asked in self.requests]
        return {
            "spent": {
                "milliseconds": _milliseconds(took),
                "upstream": _milliseconds(_covered(self._spans())),
                "requests": sum(len(asked.attempts) for asked in self.requests),
                "rows": sum(asked.rows or 0 for asked in self.requests),
                "bytes": sum(found["bytes"] for found in requests),
            },
            "requests": requests,
        }

    def _spans(self) -> Iterator[tuple[float, float]]:
        for asked in self.requests:
            if asked.started is not None and asked.ended is not None:
                yield asked.started, asked.ended


class Traced:
    """An upstream of one operation that takes notes of what it is asked."""

    def __init__(self, upstream: Upstream, trace: Trace) -> None:
        self.root = upstream.root
        self.unfinished = upstream.unfinished
        self.shutdown = upstream.shutdown
        self._upstream = upstream
        self._trace = trace

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        """Send a read as the upstream does."""
        with self._trace.timing(self._trace.asked(request)):
            return await self._upstream.send(request, safe=safe)

    async def write(
        self,
        request: Request,
        outcome_part: OutcomePart = whole_response,
        begins: Callable[[], None] | None = None,
    ) -> Response:
        """Send a write as the upstream does."""
        with self._trace.timing(self._trace.writes(request)):
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
