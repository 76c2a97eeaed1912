"""Tells the other replicas what callers have spent here, so that their budgets are one everywhere.

What is spent in a moment is told together. Without the shared state each replica grants an equal part of the budgets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol, runtime_checkable

from .notices import Notice, Spending, Spent
from .shared_state import SharedState

MOMENT = 0.1
"""Seconds."""


class Budgets(Protocol):
    """The budgets of the callers of one environment."""

    spent: Callable[[str, float, float, float], None] | None
    """Called with caller, points, points a minute and capacity."""
    part: Callable[[], float]
    """Returns the part of the budgets that is granted here."""

    def spend_elsewhere(
        self, caller: str, points: float, per_minute: float, capacity: float
    ) -> None:
        """Take what a caller has spent at another replica."""
        ...


@runtime_checkable
class Costs(Protocol):
    """What remembers the budgets of an environment: see ``gateway.cost``."""

    budgets: Budgets


class SharedBudgets:
    """The budgets of one replica."""

    def __init__(self, state: SharedState) -> None:
        self._state = state
        self._budgets: dict[str, Budgets] = {}
        self._spent: dict[tuple[str, str], Spending] = {}
        self._is_due = False
        state.on_notice(self._heard)

    def join(self, name: str, budgets: Budgets, replicas: Callable[[], float]) -> None:
        """Share the budgets of an environment; ``replicas`` returns how many there were when that was last known."""
        self._budgets[name] = budgets
        budgets.spent = partial(self._note, name)
        budgets.part = lambda: 1.0 if self._state.is_up else 1 / max(1.0, replicas())

    def leave(self, name: str) -> None:
        """Share them no longer."""
        self._budgets.pop(name, None)

    def _note(
        self, name: str, caller: str, points: float, per_minute: float, capacity: float
    ) -> None:
        before = self._spent.get((name, caller))
        total = points if before is None else points + before.points
        self._spent[name, caller] = Spending(caller, total, per_minute, capacity)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(MOMENT, self._tell)

    def _tell(self) -> None:
        self._is_due = False
        spent, self._spent = self._spent, {}
        by_name: dict[str, list[Spending]] = {}
        for (name, _), spending in spent.items():
            if spending.points:
                by_name.setdefault(name, []).append(spending)
        for name, spendings in by_name.items():
            self._state.notify_soon(
                Spent(replica=self._state.replica, lane=name, spendings=tuple(spendings))
            )

    def _heard(self, notice: Notice) -> None:
        budgets = self._budgets.get(notice.lane) if isinstance(notice, Spent) else None
        if budgets is None or not isinstance(notice, Spent):
            return
        for spending in notice.spendings:
            if spending.per_minute > 0 and spending.capacity > 0:
                budgets.spend_elsewhere(
                    spending.caller, spending.points, spending.per_minute, spending.capacity
                )
