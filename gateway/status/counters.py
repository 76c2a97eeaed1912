"""Counts what happens in one environment of this process, from its events. Nothing here waits or depends on rows."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from gateway.errors import UpstreamRejected, client_error_codes
from gateway.events import (
    ErrorRaised,
    Event,
    MetadataLoaded,
    MetadataReloaded,
    MetadataStale,
    OperationServed,
    ReloadFailed,
    RequestRetried,
    RequestSent,
)
from gateway.events.environments import EnvironmentFailed
from gateway.runtime.assembly import Gateway

from .records import DAY, SLOT, Calls, ErrorNote, Facts, Source, State, bucket_of

ERRORS = 20
"""Errors that are remembered. Equal ones in a row are one."""
_LONGEST = 300
"""Characters of a message."""
_OWN_PART = re.compile(r"^The upstream refused the request on \S+ \(status \d+\)")
_CLIENT_CODES = client_error_codes()


class Counters:
    """What happens in one environment. Belongs to one event loop; others may read it."""

    def __init__(self, facts: Facts, now: Callable[[], float] = time.time) -> None:
        self.facts = facts
        self.slots: dict[int, Calls] = {}
        """Number of the slot since the epoch → what happened in it."""
        self.changes = 0
        """Grows with each change."""
        self._now = now
        self._slot = -1
        self._calls = Calls()
        self._is_stale = False
        self._handlers: Mapping[type[Any], Callable[[Any], None]] = {
            RequestSent: self._sent,
            OperationServed: self._served,
            RequestRetried: self._retried,
            ErrorRaised: self._error,
            MetadataLoaded: self._loaded,
            MetadataReloaded: self._reloaded,
            MetadataStale: self._stale,
            ReloadFailed: self._reload_failed,
        }

    def observe(self, event: Event) -> None:
        """Count an event of this environment."""
        count = self.observer_of(type(event))
        if count is not None:
            count(event)

    def observer_of(self, kind: type[Any]) -> Callable[[Any], None] | None:
        """Return what counts the events of a kind; None: they are not counted."""
        return self._handlers.get(kind)

    def opened(self, gateway: Gateway) -> None:
        """Note that it serves a gateway from now on: the first one, or one of new metadata."""
        facts, origin = self.facts, gateway.metadata
        facts.metadata, facts.served_since = origin.digest, gateway.since
        facts.fetched = None if origin.info is None else origin.info.fetched_at
        facts.problem = facts.retry_at = None
        if facts.state != "open":
            self.enter("open")
        self.changes += 1

    def enter(self, state: State) -> None:
        """Note that it is in another state from now on."""
        self.facts.state, self.facts.since = state, self._now()
        self.changes += 1

    def has_failed(self, event: EnvironmentFailed) -> None:
        """Note that it could not be opened, or closed."""
        self.note("opening", event.code, event.message)
        if event.retry_after:
            self.facts.problem = event.message
            self.facts.retry_at = self._now() + event.retry_after
            self.enter("failed")

    def note(self, source: Source, code: str, message: str) -> None:
        """Remember an error."""
        now, errors = self._now(), self.facts.errors
        own = _own_message(code, message)
        for index in range(len(errors) - 1, -1, -1):
            error = errors[index]
            if (error.source, error.code, error.message) == (source, code, own):
                # The most recent ones are last.
                error.last, error.count = now, error.count + 1
                errors.append(errors.pop(index))
                break
        else:
            errors.append(ErrorNote(source, code, own, now, now))
            del errors[:-ERRORS]
        self.changes += 1

    def forget(self) -> None:
        """Forget the slots of more than a day ago."""
        first = int((self._now() - DAY) // SLOT)
        for slot in [slot for slot in self.slots if slot < first]:
            del self.slots[slot]

    def is_over(self) -> bool:
        """Return whether nothing has happened for a day, and nothing is open."""
        facts, first = self.facts, self._now() - DAY
        last = max([facts.since, *(error.last for error in facts.errors)])
        return facts.state != "open" and last < first

    def _current(self) -> Calls:
        slot = int(self._now() // SLOT)
        if slot != self._slot:
            self._slot = slot
            self._calls = self.slots.setdefault(slot, Calls())
        self.changes += 1
        return self._calls

    def _sent(self, event: RequestSent) -> None:
        calls, status = self._current(), event.status
        calls.requests += 1
        if not status:
            calls.unanswered += 1
            return
        if status < 400:
            calls.answered += 1
        elif status == 429:
            calls.throttled += 1
            self.facts.throttled = self._now()
        elif status in {401, 403}:
            calls.denied += 1
        elif status < 500:
            calls.rejected += 1
        else:
            calls.failed += 1
        bucket = bucket_of(event.seconds)
        calls.latencies[bucket] = calls.latencies.get(bucket, 0) + 1

    def _served(self, event: OperationServed) -> None:
        calls = self._current()
        calls.operations += 1
        if event.errors:
            calls.operations_with_errors += 1

    def _retried(self, _event: RequestRetried) -> None:
        self._current().retried += 1

    def _error(self, event: ErrorRaised) -> None:
        if event.code not in _CLIENT_CODES:  # those are no fault of the environment
            self.note("operation", event.code, event.message)

    def _loaded(self, _event: MetadataLoaded) -> None:
        if not self._is_stale:
            self.facts.checked = self._now()
        self._is_stale = False
        self.changes += 1

    def _reloaded(self, _event: MetadataReloaded) -> None:
        self.changes += 1
        self.facts.checked = self._now()

    def _stale(self, event: MetadataStale) -> None:
        # The document that is loaded next was not confirmed by anybody.
        self._is_stale = True
        self.note("metadata", "UPSTREAM_UNAVAILABLE", event.reason)

    def _reload_failed(self, event: ReloadFailed) -> None:
        self.note("reload", event.code, event.message)


def _own_message(code: str, message: str) -> str:
    """Return the part of a message that the gateway wrote: one of a refusal ends with the upstream's text."""
    if code == UpstreamRejected.code:
        own = _OWN_PART.match(message)
        return f"{own[0]}." if own else "The upstream refused a request."
    return message if len(message) <= _LONGEST else f"{message[: _LONGEST - 1]}…"
