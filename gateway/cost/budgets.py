"""The budgets of callers: points that come back over time. Pure; the time is passed in.

A caller may spend what its budget holds, and what an operation was estimated to cost is taken before it runs: the
difference to what it really cost is given back, or taken, at its end. So somebody who spends more than estimated pays
later, and an estimate from above costs nothing but the wait.
"""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct

MAX_CALLERS = 10_000
"""Budgets in memory; those unused for longest are dropped, which are full again most likely."""


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
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()

    def __len__(self) -> int:
        return len(self._budgets)

    def balance(self, caller: str, terms: Terms, now: float) -> Balance:
        """Return what the budget of a caller holds now; that of a new caller is full."""
        budget = self._budgets.get(caller)
        if budget is None:
            return Balance(terms.capacity, terms)
        since = max(0.0, now - budget.at)
        return Balance(min(terms.capacity, budget.points + since * terms.per_minute / 60), terms)

    def spend(self, caller: str, points: float, terms: Terms, now: float) -> Balance:
        """Take points from a budget, or give them back if they are negative. Return what it then holds.

        It may then hold less than nothing, but never owes more than it can hold.
        """
        left = self.balance(caller, terms, now).points - points
        left = min(max(left, -terms.capacity), terms.capacity)
        self._budgets[caller] = _Budget(left, now)
        self._budgets.move_to_end(caller)
        if len(self._budgets) > self._most:
            self._budgets.popitem(last=False)
        return Balance(left, terms)
