"""The budgets of callers: points that come back over time. Pure; the time is passed in.

A caller may spend what its budget holds, and what an operation was estimated to cost is taken before it runs: the
difference to what it really cost is given back, or taken, at its end. So somebody who spends more than estimated pays
later, and an estimate from above costs nothing but the wait.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

MAX_CALLERS = 10_000
"""Budgets in memory; those unused for longest are dropped, which are full again most likely."""


def _all() -> float:
    return 1.0


class Terms(Struct, frozen=True):
    """How a budget fills."""

    per_minute: float
    capacity: float
    """The most points that it holds."""

    @property
    def window(self) -> float:
        """Seconds in which an empty budget is full again."""
        return self.capacity * 60 / self.per_minute


class Balance(Struct, frozen=True):
    """What a budget holds, and what that means."""

    points: float
    terms: Terms

    def wait(self, points: float) -> float:
        """Return the seconds until the budget holds so many points."""
        return max(0.0, points - self.points) * 60 / self.terms.per_minute

    @property
    def refill(self) -> float:
        """Seconds until it is full."""
        return self.wait(self.terms.capacity)


class _Budget(Struct):
    points: float
    at: float
    """When it held these points, in seconds."""


class Budgets:
    """The budgets of the callers of one environment."""

    def __init__(self, most: int = MAX_CALLERS) -> None:
        self._most = most
        self.spent: Callable[[str, float, float, float], None] | None = None
        """Called with caller, points, points a minute and capacity of what is spent: for other replicas."""
        self.part: Callable[[], float] = _all
        """Returns the part of the budgets that is granted here; the rest is for other replicas."""
        self.now: Callable[[], float] = time.monotonic
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()

    def __len__(self) -> int:
        return len(self._budgets)

    def balance(self, caller: str, terms: Terms, now: float) -> Balance:
        """Return what the budget of a caller holds now; that of a new caller is full."""
        terms = self._own(terms)
        budget = self._budgets.get(caller)
        if budget is None:
            return Balance(terms.capacity, terms)
        since = max(0.0, now - budget.at)
        return Balance(min(terms.capacity, budget.points + since * terms.per_minute / 60), terms)

    def spend(self, caller: str, points: float, terms: Terms, now: float) -> Balance:
        """Take points from a budget, or give them back if they are negative. Return what it then holds.

        It may then hold less than nothing, but never owes more than it can hold.
        """
        if self.spent is not None:
            self.spent(caller, points, terms.per_minute, terms.capacity)
        return self._spend(caller, points, terms, now)

    def spend_elsewhere(
        self, caller: str, points: float, per_minute: float, capacity: float
    ) -> None:
        """Take what a caller has spent at another replica."""
        self._spend(caller, points, Terms(per_minute, capacity), self.now())

    def _own(self, terms: Terms) -> Terms:
        part = self.part()
        return terms if part == 1.0 else Terms(terms.per_minute * part, terms.capacity * part)

    def _spend(self, caller: str, points: float, terms: Terms, now: float) -> Balance:
        left = self.balance(caller, terms, now).points - points
        terms = self._own(terms)
        left = min(max(left, -terms.capacity), terms.capacity)
        self._budgets[caller] = _Budget(left, now)
        self._budgets.move_to_end(caller)
        if len(self._budgets) > self._most:
            self._budgets.popitem(last=False)
        return Balance(left, terms)
