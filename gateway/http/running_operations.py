"""Counts and limits the operations that run at a time, for a whole process.

What waits for a slow environment holds memory: its document, its rows, its connection. Beyond the limit requests are
refused at once, which costs next to nothing. Background work may use half of the limit, so that an export with a
thousand requests leaves room for people; and so may each of several environments, so that one that hangs leaves room
for the others. Callers share what there is (``caller_shares``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager

from starlette.types import Scope

from gateway.admission.slots import BACKGROUND
from gateway.admission.work import Lane
from gateway.errors import Overloaded
from gateway.identity.caller import Caller

from .caller_shares import CallerShares
from .loop_watch import LoopWatch
from .presence import presence_of


class RunningOperations:
    """The operations that run, and their limit."""

    def __init__(
        self, most: int, now: Callable[[], float] = time.monotonic, *, max_lag: float = 0.0
    ) -> None:
        """``max_lag``: see ``LoopWatch``."""
        self.most = most
        self.running = 0
        self.loop = LoopWatch(max_lag)
        self._now = now
        self._shares = CallerShares(most)
        self._background = 0
        self._by_environment: Counter[str] = Counter()

    @property
    def is_full(self) -> bool:
        """Whether new operations are refused: the limit is reached, or the process is behind."""
        return self.running >= self.most or self.loop.is_behind

    def refusal(self) -> Overloaded:
        """Return the error of a request that is refused for what runs already."""
        return self.loop.refusal() if self.loop.is_behind else _too_many_operations()

    def note_refusal(self, caller: Caller) -> None:
        """Leave room for a caller whose request was refused."""
        self._shares.refused(_name_of(caller), self._now())

    def holding(self, lane: Lane, scope: Scope, caller: Caller) -> AbstractContextManager[None]:
        """Count an operation of a request while it runs. Raises Overloaded if there are too many."""
        presence = presence_of(scope)
        return _Held(self, lane, None if presence is None else presence.name, _name_of(caller))

    def begin(self, environment: str | None, caller: Hashable, *, is_background: bool) -> None:
        """Count an operation that begins. Raises Overloaded if there are too many."""
        # While less than half is used, nothing but the loop and what has a limit of its own is looked at.
        is_free = self.running * 2 < self.most and not (is_background or environment is not None)
        if is_free and not self.loop.is_behind:
            self.running += 1
            self._shares.add(caller, 1)
            return
        half, now = max(1, self.most // 2), self._now()
        if (
            self.is_full
            or (is_background and self._background >= half)
            or (environment is not None and self._by_environment[environment] >= half)
            or not self._shares.may_begin(caller, self.most - self.running, now)
        ):
            self._shares.refused(caller, now)
            raise self.refusal()
        self._add(1, environment, is_background=is_background)
        self._shares.add(caller, 1)

    def end(self, environment: str | None, caller: Hashable, *, is_background: bool) -> None:
        """Count an operation that has ended."""
        if is_background or environment is not None:
            self._add(-1, environment, is_background=is_background)
        else:
            self.running -= 1
        self._shares.add(caller, -1)

    def _add(self, count: int, environment: str | None, *, is_background: bool) -> None:
        self.running += count
        self._background += count * is_background
        if environment is not None:
            self._by_environment[environment] += count
            if not self._by_environment[environment]:
                del self._by_environment[environment]


class _Held:
    """Counts one operation until the end of a block. Not a generator, which costs 2 µs a request."""

    __slots__ = ("_caller", "_environment", "_is_background", "_running")

    def __init__(
        self, running: RunningOperations, lane: Lane, environment: str | None, caller: Hashable
    ) -> None:
        self._running = running
        self._environment = environment
        self._caller = caller
        self._is_background = lane in BACKGROUND

    def __enter__(self) -> None:
        self._running.begin(self._environment, self._caller, is_background=self._is_background)

    def __exit__(self, *_: object) -> None:
        self._running.end(self._environment, self._caller, is_background=self._is_background)


def _name_of(caller: Caller) -> tuple[str, str, str]:
    return caller.kind, caller.issuer, caller.subject


def _too_many_operations() -> Overloaded:
    """Return the error of a request that arrives while as many operations run as may."""
    return Overloaded(
        "The gateway runs as many operations as it may.",
        hint="Try again soon. Setting: max_operations.",
        retry_after=1.0,
    )
