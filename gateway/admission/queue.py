"""Who is next: requests that wait, in lanes of different weight, each fair between its callers.

Stride scheduling, twice: the lane with the lowest turn is next, and in it the caller with the lowest turn; the next one
is later by the inverse of the weight. Who comes back begins with the others, so nobody can save up turns.
Reads and writes of a lane have separate lines, because writes may have to wait where reads need not.
https://www.usenix.org/legacy/publications/library/proceedings/usenix98/invited_talks/waldspurger.pdf
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from .work import Lane, Work


class Waiting(Protocol):
    """What waits."""

    @property
    def work(self) -> Work:
        """For whom it waits."""
        ...

    @property
    def is_write(self) -> bool:
        """Whether it is a write."""
        ...


T = TypeVar("T", bound=Waiting)


class _Caller(Struct, Generic[T]):
    """What waits for one caller, in the order of arrival."""

    turn: float
    waiting: deque[T]


def _load(caller: _Caller[T]) -> float:
    """Return how much waits for a caller, for its weight."""
    return len(caller.waiting) / caller.waiting[0].work.weight


class _Line(Generic[T]):
    """What waits in one lane, either reads or writes."""

    def __init__(self, lane: Lane, *, is_write: bool, weight: float) -> None:
        self.lane = lane
        self.is_write = is_write
        self.stride = 1 / weight
        self.turn = 0.0
        self.size = 0
        self._callers: dict[str, _Caller[T]] = {}
        self._order: list[tuple[float, int, str]] = []
        self._turn = 0.0
        self._arrivals = 0

    def push(self, item: T) -> None:
        work = item.work
        caller = self._callers.get(work.caller)
        if caller is None:
            caller = self._callers[work.caller] = _Caller(self._turn + 1 / work.weight, deque())
            self._schedule(work.caller, caller)
        caller.waiting.append(item)
        self.size += 1

    def pop(self) -> T:
        turn, _, name = heappop(self._order)
        self._turn = turn
        caller = self._callers[name]
        item = caller.waiting.popleft()
        self.size -= 1
        if caller.waiting:
            caller.turn = turn + 1 / caller.waiting[0].work.weight
            self._schedule(name, caller)
        else:
            del self._callers[name]
        return item

    def remove(self, item: T) -> None:
        name = item.work.caller
        caller = self._callers[name]
        caller.waiting.remove(item)
        self.size -= 1
        if not caller.waiting:
            del self._callers[name]
            self._order = [entry for entry in self._order if entry[2] != name]
            heapify(self._order)

    def last_of_longest(self, work: Work, count: int) -> T | None:
        """Return the newest item of the caller with the most for its weight.

        None if this one would have as many, with so many new ones.
        """
        if not self._callers:
            return None
        longest = max(self._callers.values(), key=_load)
        own = self._callers.get(work.caller)
        count += 0 if own is None else len(own.waiting)
        return longest.waiting[-1] if _load(longest) > count / work.weight else None

    def turns_before(self, work: Work) -> int:
        """Return how many items would be taken before a new one of this caller."""
        own = self._callers.get(work.caller)
        longest = 1 if own is None else len(own.waiting) + 1
        if longest == 1:
            return len(self._callers)
        return sum(min(len(caller.waiting), longest) for caller in self._callers.values())

    def _schedule(self, name: str, caller: _Caller[T]) -> None:
        self._arrivals += 1
        heappush(self._order, (caller.turn, self._arrivals, name))


class FairQueue(Generic[T]):
    """What waits in all lanes."""

    def __init__(self, weights: Mapping[Lane, float]) -> None:
        self._lines = {
            (lane, is_write): _Line[T](lane, is_write=is_write, weight=weights[lane])
            for lane in Lane
            for is_write in (False, True)
        }
        self._turn = 0.0
        self.size = 0

    def push(self, item: T) -> None:
        """Append an item to those of its caller."""
        line = self._lines[item.work.lane, item.is_write]
        if not line.size:
            line.turn = max(line.turn, self._turn + line.stride)
        line.push(item)
        self.size += 1

    def pop(self, may_go: Callable[[Lane, bool], bool]) -> T | None:
        """Return the next item of the lines that may go now, by lane and whether it is that of writes; None: none."""
        best: _Line[T] | None = None
        for line in self._lines.values():
            if (
                line.size
                and (best is None or line.turn < best.turn)
                and may_go(line.lane, line.is_write)
            ):
                best = line
        if best is None:
            return None
        self._turn = best.turn
        best.turn += best.stride
        self.size -= 1
        return best.pop()

    def remove(self, item: T) -> None:
        """Remove an item that waits no more."""
        self._lines[item.work.lane, item.is_write].remove(item)
        self.size -= 1

    def last_of_longest(self, work: Work, count: int = 1) -> T | None:
        """Return the read of its lane that should give way to so many new ones; None if these should be refused.

        It is the newest of the caller with the most, for its weight.
        """
        return self._lines[work.lane, False].last_of_longest(work, count)

    def turns_before(self, work: Work) -> int:
        """Return how many reads of its lane would begin before a new one, if weights are equal."""
        return self._lines[work.lane, False].turns_before(work)

    def has(self, lane: Lane, *, is_write: bool) -> bool:
        """Return whether reads, or writes, of a lane wait."""
        return self._lines[lane, is_write].size > 0

    def size_of(self, lane: Lane) -> int:
        """Return how many items wait in a lane."""
        return self._lines[lane, False].size + self._lines[lane, True].size
