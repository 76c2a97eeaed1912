"""The register of sweeps without a store: in the memory of this process, which ends with it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from msgspec import Struct, field

from gateway.store.sweep_rows import SweepHead, SweepResult


class _List(Struct):
    head: SweepHead = field(default_factory=SweepHead)
    used_at: float = 0.0
    state: bytes | None = None
    changes: dict[int, tuple[float, bytes]] = field(default_factory=dict)
    """Number → time, and what was found."""


class MemorySweeps:
    """The sweeps of one environment; see ``gateway.store.sweep_register``."""

    def __init__(self) -> None:
        self._lists: dict[str, _List] = {}
        self._lock = threading.Lock()

    def head(self, feed: str, environment: str, now: float, most: int) -> SweepHead:  # noqa: ARG002 - there is one
        """Return the last sweep of a list, which may take the place of another."""
        with self._lock:
            if feed not in self._lists:
                ordered = sorted(self._lists, key=lambda each: self._lists[each].used_at)
                for old in ordered[: max(0, len(ordered) - most + 1)]:
                    del self._lists[old]
            own = self._lists.setdefault(feed, _List())
            own.used_at = now
            return own.head

    def lease(self, feed: str, now: float, until: float) -> bool:  # noqa: ARG002 - of this process only
        """Return whether a list may be swept: one task of the process does."""
        return feed in self._lists

    def release(self, feed: str) -> None:
        """Do nothing: there is no other process."""

    def state(self, feed: str) -> bytes | None:
        """Return the state of a list."""
        own = self._lists.get(feed)
        return None if own is None else own.state

    def finish(self, feed: str, result: SweepResult, oldest: float) -> None:
        """Store a sweep, and remove what older ones have found before ``oldest``."""
        with self._lock:
            own = self._lists.get(feed)
            if own is None:
                return
            own.head = SweepHead(
                number=result.number, swept_at=result.at, by_values=result.by_values
            )
            own.state = result.state
            if result.changes is None:
                own.changes = {}
                return
            own.changes = {n: found for n, found in own.changes.items() if found[0] >= oldest}
            own.changes[result.number] = (result.at, result.changes)

    def changes(self, feed: str, after: int, upto: int) -> Sequence[tuple[int, bytes]]:
        """Return number and changes of the sweeps after one up to another."""
        own = self._lists.get(feed)
        stored = {} if own is None else own.changes
        return [(n, found[1]) for n, found in stored.items() if after < n <= upto]

    def expire(self, before: float) -> None:
        """Remove the lists that nobody has followed since then."""
        with self._lock:
            self._lists = {f: own for f, own in self._lists.items() if own.used_at >= before}

    def close(self) -> None:
        """Do nothing: all of it ends with the process."""
