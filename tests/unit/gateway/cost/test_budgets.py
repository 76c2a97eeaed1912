"""Budgets of callers: what is left, when it comes back, and what is never allowed."""

from __future__ import annotations

import pytest

from gateway.cost.budgets import Budgets, Terms

TERMS = Terms(per_minute=60.0, capacity=30.0)


def test_a_new_caller_has_a_full_budget() -> None:
    assert Budgets().balance("a", TERMS, 0.0).points == 30.0


def test_points_come_back_up_to_the_capacity() -> None:
    budgets = Budgets()
    budgets.spend("a", 20.0, TERMS, 0.0)

    assert [budgets.balance("a", TERMS, at).points for at in (0.0, 5.0, 60.0)] == [10, 15, 30]
    assert budgets.balance("b", TERMS, 0.0).points == 30.0


def test_what_is_given_back_never_exceeds_the_capacity() -> None:
    budgets = Budgets()
    budgets.spend("a", 5.0, TERMS, 0.0)

    assert budgets.spend("a", -20.0, TERMS, 0.0).points == 30.0


def test_debts_are_bounded_and_paid_by_waiting() -> None:
    budgets = Budgets()
    balance = budgets.spend("a", 1_000.0, TERMS, 0.0)

    assert balance.points == -30.0
    assert (balance.wait(10.0), balance.refill) == (40.0, 60.0)
    assert budgets.balance("a", TERMS, 40.0).points == 10.0


def test_a_clock_that_goes_back_takes_nothing() -> None:
    budgets = Budgets()
    budgets.spend("a", 10.0, TERMS, 100.0)

    assert budgets.balance("a", TERMS, 50.0).points == 20.0


def test_budgets_unused_for_longest_are_dropped() -> None:
    budgets = Budgets(most=2)
    for caller in ("a", "b", "a", "c"):
        budgets.spend(caller, 10.0, TERMS, 0.0)

    assert len(budgets) == 2
    assert [budgets.balance(c, TERMS, 0.0).points for c in "abc"] == [10.0, 30.0, 20.0]


@pytest.mark.parametrize(("capacity", "window"), [(30.0, 30.0), (60.0, 60.0), (600.0, 600.0)])
def test_the_window_is_the_time_to_fill_an_empty_budget(capacity: float, window: float) -> None:
    assert Terms(per_minute=60.0, capacity=capacity).window == window
