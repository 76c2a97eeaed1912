"""Where status and drift are read: in the store, for the whole deployment, or in the memory of the process that serves.

A deployment that uses no store has no file made for its status: then each process knows its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from gateway.config.settings import Settings
from gateway.store.opening import has_store, store_exists
from gateway.store.status_rows import StatusRows

from .drift import DriftLog
from .process_status import ProcessStatus
from .reports import ALIVE, drift_report, first_slot, status_report
from .status_store import StatusStore


class StatusSource(Protocol):
    """What is known of environments. Its methods block, and raise StoreUnavailable."""

    def status(self, name: str, born: float = 0.0) -> dict[str, Any]:
        """Return the status of an environment, without what was before a time: its name may have been another's."""
        ...

    def drift(self, name: str, seconds: float, born: float = 0.0) -> dict[str, Any]:
        """Return how its metadata changed within the last so many seconds, likewise."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def uses_store(settings: Settings) -> bool:
    """Return whether the deployment has a store that it uses for something else, or that exists."""
    if not has_store(settings):
        return False
    has_environments = settings.stored_environments or bool(settings.environments)
    is_used = settings.inbound.api_keys or has_environments
    return is_used or store_exists(settings)


def stored_source(settings: Settings) -> StoredStatus | None:
    """Return the status in the store of a deployment; None if its processes write none."""
    return StoredStatus(StatusStore(settings)) if uses_store(settings) else None


class StoredStatus:
    """The status that all processes have written to the store."""

    def __init__(self, store: StatusStore, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

    def status(self, name: str, born: float = 0.0) -> dict[str, Any]:
        """Return the status of an environment, summed over all processes."""
        now = self._now()
        rows = self._store.read(name, first_slot(now))
        return status_report(name, rows, "deployment", now, born)

    def drift(self, name: str, seconds: float, born: float = 0.0) -> dict[str, Any]:
        """Return how its metadata changed within the last so many seconds."""
        now = self._now()
        since = max(now - seconds, born)
        return drift_report(name, self._store.entries(name, since), "deployment", since, now)

    def states(self) -> dict[str, int]:
        """Return how many environments are open or unavailable in some process."""
        counts = self._store.states(self._now() - ALIVE)
        return {"open": counts.get("open", 0), "unavailable": counts.get("failed", 0)}

    def close(self) -> None:
        """Close the connections."""
        self._store.close()


class OwnStatus:
    """What the process that serves knows by itself."""

    def __init__(self, status: ProcessStatus, drift: DriftLog) -> None:
        self._status = status
        self._drift = drift

    def status(self, name: str, born: float = 0.0) -> dict[str, Any]:
        """Return the status of an environment in this process."""
        now, row = self._status.now(), self._status.status_row(name)
        calls = self._status.calls_rows(name, first_slot(now))
        rows = StatusRows([] if row is None else [row], calls)
        return status_report(name, rows, "process", now, born)

    def drift(self, name: str, seconds: float, born: float = 0.0) -> dict[str, Any]:
        """Return how its metadata changed within the last so many seconds, in this process."""
        now = self._status.now()
        since = max(now - seconds, born)
        return drift_report(name, self._drift.entries(name, since), "process", since, now)

    def close(self) -> None:
        """Do nothing."""
