"""Status and drift in the store, which is opened with its first use. Its methods block, and raise StoreUnavailable.

A SQLite file that was there and is gone is not made anew: it may be on a volume that is away for a moment, and an empty
one in its place would take API keys and environments from those who read them.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.config.settings import Settings
from gateway.errors import StoreUnavailable
from gateway.store.opening import open_database, store_exists
from gateway.store.status_rows import CallsRow, DriftEntry, StatusRow, StatusRows

if TYPE_CHECKING:  # they import SQLAlchemy, which takes 0.4 s
    from gateway.store.drift_register import DriftRegister
    from gateway.store.status_register import StatusRegister


class StatusStore:
    """Both registers over the same connections, for the threads of one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._opened: tuple[StatusRegister, DriftRegister] | None = None
        self._has_existed = store_exists(settings)

    def write(
        self,
        statuses: Sequence[StatusRow],
        calls: Sequence[CallsRow],
        dropped: Collection[tuple[str, str]] = (),
    ) -> None:
        """Store rows of this process in the place of its earlier ones, which removed environments have lost."""
        with self._writing() as (status, _):
            status.write(statuses, calls, dropped)

    def read(self, environment: str, since: int) -> StatusRows:
        """Return the rows of an environment, with the calls from a slot on."""
        return self._registers()[0].read(environment, since)

    def states(self, updated: float) -> Mapping[str, int]:
        """Return how many environments are open or failed in a process that has written since then."""
        return self._registers()[0].states(updated)

    def begin(
        self, environment: str, before: str | None, after: str, at: float, seen: float
    ) -> DriftEntry | None:
        """Return the new entry of a change; None if it is none, or is known."""
        with self._writing() as (_, drift):
            return drift.begin(environment, before, after, at, seen)

    def finish(self, entry: DriftEntry, changes: str) -> None:
        """Store the changes of an entry."""
        with self._writing() as (_, drift):
            drift.finish(entry, changes)

    def entries(self, environment: str, since: float) -> Sequence[DriftEntry]:
        """Return the changes of an environment since a time, the newest first."""
        return self._registers()[1].entries(environment, since)

    def purge(self, updated: float, slot: int, changed: float) -> None:
        """Remove status from before a time, calls of earlier slots, and changes from before another time."""
        with self._writing() as (status, drift):
            status.purge(updated, slot)
            drift.purge(changed)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened[0].close()

    @contextmanager
    def _writing(self) -> Iterator[tuple[StatusRegister, DriftRegister]]:
        """Yield the registers. Raises StoreUnavailable if the store was there and is gone."""
        if self._has_existed and not store_exists(self._settings):
            raise StoreUnavailable("The store is missing.", hint="Is its volume mounted?")
        yield self._registers()
        self._has_existed = True

    def _registers(self) -> tuple[StatusRegister, DriftRegister]:
        with self._lock:
            if self._opened is None:
                database = open_database(self._settings)
                from gateway.store.drift_register import DriftRegister  # noqa: PLC0415 - 0.4 s
                from gateway.store.status_register import StatusRegister  # noqa: PLC0415 - likewise

                self._opened = StatusRegister(database), DriftRegister(database)
            return self._opened
