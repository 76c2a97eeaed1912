"""How many environments a deployment has, by state, for `/health`: of the process that serves, or of all, by the store.

The store may be away or hang, so what it says is awaited for a moment only, and read at most every few seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from gateway.config.settings import Settings
from gateway.errors import GatewayError
from gateway.process.daemon_call import daemon_call
from gateway.status.sources import stored_source

PATIENCE = 1.0
"""Seconds to wait for the store."""
AGE = 5.0
"""Seconds for which numbers of the store are used again."""


class EnvironmentCounts:
    """The numbers of environments besides that of the settings."""

    def __init__(
        self, settings: Settings, own: Callable[[], Mapping[str, int]] | None = None
    ) -> None:
        """``own``: returns those of the process that serves, if it is this one."""
        self._settings = settings
        self._own = own
        self._source = stored_source(settings) if own is None else None
        self._last: Mapping[str, int] = {}
        self._until = float("-inf")

    async def environments(self) -> Mapping[str, int] | None:
        """Return how many are declared, open and unavailable; None if there are no environments."""
        if not (self._settings.environments or self._settings.stored_environments):
            return None
        if self._own is not None:
            return self._own()
        if self._source is not None and time.monotonic() >= self._until:
            self._until = time.monotonic() + AGE
            with suppress(TimeoutError, GatewayError):  # what was last known is shown
                async with asyncio.timeout(PATIENCE):
                    self._last = await daemon_call(self._source.states)
        return {**self._declared(), **self._last}

    def _declared(self) -> Mapping[str, int]:
        # How many the store has is known by the processes that serve.
        has_stored = self._settings.stored_environments
        return {} if has_stored else {"declared": len(self._settings.environments)}
