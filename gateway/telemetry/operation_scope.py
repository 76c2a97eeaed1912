"""What telemetry knows of the operation that a task works for; its tasks inherit it by a context variable.

It measures how long the operation waits for the environment: the time in which at least one of its requests waits for
its turn or its answer. The rest of an operation's time is the gateway's own.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from contextvars import ContextVar

from gateway.process.context_value import ContextValue


class OperationScope:
    """One operation."""

    __slots__ = ("_pending", "_since", "upstream_seconds")

    def __init__(self) -> None:
        self.upstream_seconds = 0.0
        """Seconds in which it waited for the environment, up to the latest answer."""
        self._pending = 0
        self._since = 0.0

    def begin_wait(self) -> None:
        """Note that a request waits from now on."""
        if not self._pending:
            self._since = time.perf_counter()
        self._pending += 1

    def end_wait(self) -> None:
        """Note that a request waits no longer."""
        self._pending -= 1
        if not self._pending:
            self.upstream_seconds += time.perf_counter() - self._since


_CURRENT: ContextVar[OperationScope | None] = ContextVar("operation_scope", default=None)


def current_scope() -> OperationScope | None:
    """Return the operation that the current task works for; None outside an operation."""
    return _CURRENT.get()


def operation_scope() -> AbstractContextManager[OperationScope]:
    """Enter the scope of the operation that the current task runs until the end of the block."""
    return ContextValue(_CURRENT, OperationScope())
