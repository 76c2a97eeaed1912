"""What is expected of operations of one structure."""

from __future__ import annotations

from math import inf

from gateway.operations.expectations import Expectation


def test_everything_is_expected_at_first() -> None:
    assert Expectation().of(50) == 50
    assert Expectation().most == inf


def test_a_list_that_ended_is_expected_to_end_again() -> None:
    expectation = Expectation()
    expectation.learn(50, 7)

    assert [expectation.of(size) for size in (3, 7, 1_000)] == [3, 7, 7]


def test_a_full_page_says_that_there_may_be_more() -> None:
    expectation = Expectation()
    expectation.learn(50, 7)
    expectation.learn(20, 20)

    assert expectation.of(1_000) == 20


def test_a_full_page_of_an_unknown_list_says_nothing() -> None:
    expectation = Expectation()
    expectation.learn(20, 20)

    assert expectation.of(1_000) == 1_000


def test_expectations_follow_slowly() -> None:
    expectation = Expectation()
    for came in (10, 20):
        expectation.learn(50, came)

    assert expectation.of(50) == 12
