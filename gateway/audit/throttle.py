"""Repeated entries are counted instead of written: a flood of refusals must not push other lines out of the files.

the first of a key            is written
equal ones in its window      are counted, and written as one line with ``repeats`` when the window ends
beyond ``most`` in a window   are counted, and written with the next line of all
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator

from msgspec import Struct, structs

from .entries import Entry, now_text

_MAX_KEYS = 10_000


class _Window(Struct):
    """The entry of a key that was written, and how many equal ones came since."""

    ends: float
    entry: Entry
    repeats: int = 0


class Throttle:
    """Lets through one entry of a key in ``seconds``, and ``most`` of all keys together."""

    def __init__(
        self, seconds: float, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = seconds
        self._most = most
        self._clock = clock
        self._windows: OrderedDict[Hashable, _Window] = OrderedDict()
        self._since = float("-inf")
        self._count = 0
        self._surplus = 0
        self._counting = 0
        """Windows with repeats."""

    @property
    def has_counts(self) -> bool:
        """Whether entries were counted and not yet written."""
        return self._counting > 0 or self._surplus > 0

    def admit(self, key: Hashable, make: Callable[[], Entry]) -> Iterator[Entry]:
        """Yield what is to be written now that there is an entry of a key, which is made if it is."""
        yield from self.due()
        window = self._windows.get(key)
        if window is not None:
            self._counting += window.repeats == 0
            window.repeats += 1
            return
        now = self._clock()
        if now - self._since >= self.seconds:
            self._since, self._count = now, 0
        if self._count >= self._most:
            self._surplus += 1
            return
        self._count += 1
        entry = make()
        self._windows[key] = _Window(now + self.seconds, entry)
        yield self._counted(entry, 0)
        if len(self._windows) > _MAX_KEYS:
            yield from self._end(next(iter(self._windows)))

    def due(self) -> Iterator[Entry]:
        """Yield the counts of the windows that have ended."""
        now = self._clock()
        while self._windows:
            key = next(iter(self._windows))  # the oldest
            if self._windows[key].ends > now:
                return
            yield from self._end(key)

    def rest(self) -> Iterator[Entry]:
        """Yield all counts, at the end."""
        while self._windows:
            yield from self._end(next(iter(self._windows)))

    def _end(self, key: Hashable) -> Iterator[Entry]:
        window = self._windows.pop(key)
        self._counting -= window.repeats > 0
        if window.repeats or self._surplus:
            yield self._counted(structs.replace(window.entry, at=now_text()), window.repeats)

    def _counted(self, entry: Entry, repeats: int) -> Entry:
        total, self._surplus = repeats + self._surplus, 0
        return structs.replace(entry, repeats=total) if total else entry
