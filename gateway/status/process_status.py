"""The status of all environments of this process, which its events and their openings feed."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from gateway.config.environment_models import OWN
from gateway.events import Event
from gateway.events.environments import EnvironmentFailed
from gateway.runtime.assembly import Gateway
from gateway.store.status_rows import CallsRow, StatusRow

from .counters import Counters
from .records import SLOT, Facts


class ProcessStatus:
    """Counters by environment; that of the settings themselves is ``default``. Belongs to one event loop."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.process = secrets.token_hex(8)
        """Id of this process, which no other one has had."""
        self.now = now
        self._host, self._pid = socket.gethostname(), os.getpid()
        self._counters: dict[str, Counters] = {}
        self._dropped: set[str] = set()
        self._open: Counter[str] = Counter()

    def counters(self, name: str) -> Counters:
        """Return the counters of an environment, which exist from then on; ``name`` may be empty."""
        name = name or OWN
        counters = self._counters.get(name)
        if counters is None:
            facts = Facts(since=self.now(), host=self._host, pid=self._pid)
            counters = self._counters[name] = Counters(facts, self.now)
        return counters

    @contextmanager
    def serving(self, name: str, gateway: Gateway) -> Iterator[None]:
        """Note that an environment is open until the end of the block."""
        counters = self.counters(name)
        counters.opened(gateway)
        del gateway  # it would outlive its generation
        self._open[name] += 1
        try:
            yield
        finally:
            # After a reload of the settings it is open again before it is closed.
            self._open[name] -= 1
            if not self._open[name]:
                counters.enter("closed")

    def observe(self, event: Event) -> None:
        """Note that an environment could not be opened."""
        if isinstance(event, EnvironmentFailed):
            self.counters(event.environment).has_failed(event)

    def items(self) -> list[tuple[str, Counters]]:
        """Return all counters by the name of their environment."""
        return list(self._counters.items())

    def forget(self) -> None:
        """Forget what is older than a day, and environments of which that is all there was."""
        for name, counters in self.items():
            counters.forget()
            if not counters.slots and counters.is_over():
                del self._counters[name]

    def drop(self, name: str) -> None:
        """Forget an environment that was removed: another one that gets its name begins anew."""
        if self._counters.pop(name, None) is not None:
            self._dropped.add(name)

    def dropped(self) -> frozenset[str]:
        """Return the names of environments that were removed, and may have rows in the store."""
        return frozenset(self._dropped)

    def has_dropped(self, names: frozenset[str]) -> None:
        """Note that their rows are gone."""
        self._dropped -= names

    def status_row(self, name: str) -> StatusRow | None:
        """Return what is known of an environment, in the form in which it is stored."""
        counters = self._counters.get(name)
        if counters is None:
            return None
        return StatusRow(
            environment=name,
            process=self.process,
            state=counters.facts.state,
            updated=self.now(),
            facts=msgspec.json.encode(counters.facts).decode(),
        )

    def calls_rows(self, name: str, since: int = 0) -> list[CallsRow]:
        """Return the slots of an environment from this one on, in the form in which they are stored."""
        counters = self._counters.get(name)
        if counters is None:
            return []
        return [
            CallsRow(
                environment=name,
                process=self.process,
                slot=slot,
                counts=msgspec.json.encode(calls).decode(),
            )
            for slot, calls in sorted(counters.slots.items())
            if slot >= since
        ]

    def current_slot(self) -> int:
        """Return the number of the slot that runs."""
        return int(self.now() // SLOT)
