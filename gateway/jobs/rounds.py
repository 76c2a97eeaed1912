"""Does the same again and again beside a store that may be away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gateway.errors import StoreUnavailable
from gateway.events import Observer, StoreFailed
from gateway.failures import report_error
from gateway.store.faults import reason_of


class Rounds:
    """What a process does regularly with one store; of several failures of the store in turn the first is reported."""

    def __init__(self, observe: Observer, is_needed: Callable[[], bool]) -> None:
        """``is_needed``: whether there is anything to do; if not, the store is not even opened."""
        self._observe = observe
        self._is_needed = is_needed
        self._has_failed = False

    async def every(
        self, pause: float, act: Callable[[], Awaitable[object]], wake: asyncio.Event | None = None
    ) -> None:
        """Act every so many seconds until this is cancelled, and at once if an event is set."""
        wake = asyncio.Event() if wake is None else wake
        while True:
            wake.clear()
            if self._is_needed():
                try:
                    await act()
                    self._has_failed = False
                except StoreUnavailable as error:
                    self.failed(error)
                except Exception as error:
                    # Whatever is wrong with one row: the others go on.
                    report_error(error, self._observe)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await wake.wait()

    def failed(self, error: StoreUnavailable) -> None:
        """Report that the store has failed, unless that is known."""
        if not self._has_failed:
            self._observe(StoreFailed(reason=reason_of(error)))
        self._has_failed = True
