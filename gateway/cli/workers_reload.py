"""Lets all workers serve with other settings: one tries them, then the others follow.

    read ──▶ the first worker: can they be used? ──▶ all others, and those that are started from then on
                └── no: nothing changes anywhere

A worker that does not follow is replaced by one that starts with these settings.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import structs

from gateway.config.setting_changes import SettingsAttempt, in_force
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import Observer, SettingsNotReloaded, SettingsReloaded

from .hot_application import Reason
from .settings_source import ReadSettings
from .worker_pipe import WorkerPipe

SECONDS = 120.0
"""Seconds in which a worker must have other settings."""
Question = tuple[Reason, Settings]


class Reloadable(Protocol):
    """A worker, as the process that watches it knows it."""

    @property
    def settings(self) -> WorkerPipe[Question, SettingsAttempt]:
        """Where it takes other settings."""
        ...

    def terminate(self) -> None:
        """Let it end, so that it is replaced."""
        ...


class WorkersReload:
    """The settings of all workers. Any thread may use it."""

    def __init__(
        self,
        settings: Settings,
        read: ReadSettings,
        observe: Observer,
        workers: Callable[[], Sequence[Reloadable]],
        changed: Callable[[Settings], None],
    ) -> None:
        """``changed`` is called with settings that a worker has found usable, before the others have them."""
        self.settings = settings
        self.last: SettingsAttempt | None = None
        self._read = read
        self._observe = observe
        self._workers = workers
        self._changed = changed
        self._turn = threading.Lock()

    def reload(self, reason: Reason) -> SettingsAttempt:
        """Read the settings anew, and return when all workers have them. Blocks."""
        with self._turn:
            started, at = time.perf_counter(), time.time()
            try:
                settings, restart = in_force(self.settings, self._read())
            except SettingsError as error:
                self.last = self._failed(reason, at, error)
                return self.last
            attempt = self._spread(reason, settings, at)
            if attempt.outcome != "failed" and restart:
                attempt = structs.replace(attempt, restart=restart)
                seconds = time.perf_counter() - started
                # The workers do not know of them.
                self._observe(
                    SettingsReloaded(reason=reason, changed=(), restart=restart, seconds=seconds)
                )
            self.last = attempt
            return attempt

    def _spread(self, reason: Reason, settings: Settings, at: float) -> SettingsAttempt:
        first: SettingsAttempt | None = None
        for worker in self._workers():
            attempt = worker.settings.request((reason, settings), SECONDS)
            if first is None:
                if attempt is None:
                    error = SettingsError("A worker does not answer.", hint="Try again soon.")
                    return self._failed(reason, at, error)
                if attempt.outcome == "failed":
                    return attempt
                first, self.settings = attempt, settings
                self._changed(settings)
            elif attempt is None or attempt.outcome == "failed":
                worker.terminate()
        assert first is not None
        return first

    def _failed(self, reason: Reason, at: float, error: SettingsError) -> SettingsAttempt:
        self._observe(
            SettingsNotReloaded(
                reason=reason, code=error.code, message=error.message, hint=error.hint
            )
        )
        return SettingsAttempt(
            reason=reason, at=at, outcome="failed", message=error.message, hint=error.hint
        )
