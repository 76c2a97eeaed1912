"""Clocks the layers of a request: each instant belongs to the layer that was entered last.

Requests come one at a time and nothing in them waits, so that tasks nest as calls do. Functions are replaced by clocked
ones from outside: the gateway knows nothing of it.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Place = tuple[Any, str, str]
"""A class or module, the name of its function, and the layer of that."""


class LayerClock:
    """The seconds of CPU of each layer, without what a look at the clock takes."""

    def __init__(self, outermost: str) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._entered = [outermost]
        self._since = 0.0
        self._look = _seconds_of_a_look()

    def start(self) -> None:
        """Begin anew."""
        self.spent.clear()
        self._since = time.thread_time()

    def stop(self) -> dict[str, float]:
        """Return the seconds of each layer since ``start``."""
        self._note()
        return dict(self.spent)

    def _note(self) -> None:
        now = time.thread_time()
        self.spent[self._entered[-1]] += now - self._since - self._look
        self._since = now

    def enter(self, layer: str) -> None:
        """Let the time from now on be that of a layer."""
        self._note()
        self._entered.append(layer)

    def leave(self) -> None:
        """Let it be that of the layer before."""
        self._note()
        self._entered.pop()

    def clocked(self, layer: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose time is that of a layer."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*given: Any, **named: Any) -> Any:
                self.enter(layer)
                try:
                    return await function(*given, **named)
                finally:
                    self.leave()

            return awaited

        @functools.wraps(function)
        def called(*given: Any, **named: Any) -> Any:
            self.enter(layer)
            try:
                return function(*given, **named)
            finally:
                self.leave()

        return called

    @contextmanager
    def watching(self, places: Sequence[Place]) -> Iterator[None]:
        """Clock these functions until the end of the block."""
        before = [(holder, name, getattr(holder, name)) for holder, name, _ in places]
        for holder, name, layer in places:
            setattr(holder, name, self.clocked(layer, getattr(holder, name)))
        try:
            yield
        finally:
            for holder, name, function in before:
                setattr(holder, name, function)


def _seconds_of_a_look() -> float:
    looks = 2_000
    started = time.thread_time()
    for _ in range(looks):
        time.thread_time()
    return (time.thread_time() - started) / looks
