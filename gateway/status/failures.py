"""Failures of the store that stop nothing: the first of several is an event."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import StoreUnavailable
from gateway.events import Observer
from gateway.events.environments import StatusNotWritten


class Failures:
    """The failures of all that writes status in one process."""

    def __init__(self, observe: Observer) -> None:
        self._observe = observe
        self._has_failed = False

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Suppress and report that the store fails; that it works ends the silence about it."""
        try:
            yield
        except StoreUnavailable as error:
            if not self._has_failed:
                self._observe(StatusNotWritten(reason=error.message))
            self._has_failed = True
        else:
            self._has_failed = False
