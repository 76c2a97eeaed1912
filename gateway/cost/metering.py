"""Measures what operations really spend: the seconds of their upstream requests, attempt by attempt.

    AttemptSender ──RequestSent──▶ metered observer ──▶ the meter of the operation whose task sends
                                          └──▶ ``LearnedSeconds``

The tasks of an operation inherit its meter, like the fields that their requests are for (``field_attribution``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial

from gateway.events import Event, Observer, RequestSent
from gateway.odata.batch import BATCH_URL
from gateway.odata.batch_parts import held_parts
from gateway.odata.lazy_request import normalize_address

from .learned import LearnedSeconds, batched_kind, request_kind


class Meter:
    """What one operation has spent so far."""

    __slots__ = ("late", "requests", "seconds")

    def __init__(self) -> None:
        self.requests = 0
        """Requests that have left, each as often as it was sent."""
        self.seconds = 0.0
        """Seconds of the upstream's work."""
        self.late: Callable[[float], None] | None = None
        """Called with the seconds of what ends after the operation: reads that others have joined."""

    def add(self, seconds: float) -> None:
        """Add a request."""
        self.requests += 1
        self.seconds += seconds
        if self.late is not None:
            self.late(seconds)


_CURRENT: ContextVar[Meter | None] = ContextVar("meter", default=None)


def start_meter() -> Meter:
    """Return the meter of the operation that the current task runs from now on."""
    meter = Meter()
    _CURRENT.set(meter)
    return meter


def stop_meter() -> None:
    """Measure nothing of what the current task sends from now on."""
    _CURRENT.set(None)


def _is_given_up() -> bool:
    """Return whether the current task is being cancelled, if there is one."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0


def metered(observe: Observer, learned: LearnedSeconds, root: str) -> Observer:
    """Return an observer that measures requests to a service, too."""
    own = f"{normalize_address(root.rstrip('/'))}/"

    def observe_metered(event: Event) -> None:
        observe(event)
        if type(event) is not RequestSent:
            return
        meter = _CURRENT.get()
        if meter is not None:
            meter.add(event.seconds)
        # A refusal, no answer at all, or one that is not read to its end says nothing of the work.
        # Nor does one with a file: that has any size.
        if not 200 <= event.status < 400 or event.is_file or _is_given_up():
            return
        path = event.url.below(own)
        request = None if path is None else request_kind(event.method, path)
        if request is not None:
            learned.add(*request, event.seconds)
        elif path == BATCH_URL and (parts := held_parts()) is not None:
            requests = [(part.method, part.url.partition("?")[0]) for part in parts.requests]
            batched = batched_kind(requests)
            if batched is not None:
                parts.learn = partial(learned.add, *batched, event.seconds / len(requests))

    return observe_metered
