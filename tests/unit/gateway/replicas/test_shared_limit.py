"""The share of one replica in a limit, without a shared state."""

from __future__ import annotations

import pytest

from gateway.replicas.shared_limit import SharedLimit


def limit(calls: list[bool] | None = None) -> SharedLimit:
    heard = [] if calls is None else calls
    return SharedLimit(start=4, highest=16, alone=0.5, changed=heard.append)


def test_it_begins_with_one_request() -> None:
    assert limit().value == 1


def test_answers_grow_the_limit_of_all_and_not_the_own_share() -> None:
    own = limit()
    own.agreed(8.0, 2, 4)

    for _ in range(8):
        own.answered(0.0, 1.0, is_used=True)

    assert own.value == 2
    assert own.total.value == pytest.approx(9.0, abs=0.1)
    assert own.growth == pytest.approx(own.total.value - 8.0)


def test_a_refusal_is_said_at_once() -> None:
    calls: list[bool] = []
    own = limit(calls)
    own.agreed(10.0, 5, 2)

    own.refused(0.0, 4, 1.0)

    assert calls == [True]
    assert (own.value, own.total.value) == (3.5, 7.0)


def test_alone_it_has_an_equal_part_at_most() -> None:
    own = limit()
    own.agreed(12.0, 9, 4)

    own.go_alone()
    for _ in range(1_000):
        own.answered(0.0, 1.0, is_used=True)

    assert own.is_alone
    assert own.value == 16 // 4


def test_alone_from_the_start_it_has_the_part_that_is_set() -> None:
    own = limit()

    own.go_alone()
    for _ in range(1_000):
        own.answered(0.0, 1.0, is_used=True)

    assert own.value == 8


def test_alone_it_begins_with_no_more_than_it_had() -> None:
    own = limit()
    own.agreed(12.0, 1, 4)

    own.go_alone()

    assert own.value == 1


def test_alone_it_learns_from_refusals() -> None:
    calls: list[bool] = []
    own = limit(calls)
    own.agreed(16.0, 8, 2)
    own.go_alone()

    own.refused(0.0, 3, 1.0)

    assert own.value < 8
    assert calls == []


def test_it_comes_back() -> None:
    own = limit()
    own.go_alone()

    own.agreed(6.0, 3, 2)

    assert (own.is_alone, own.value, own.total.value) == (False, 3, 6.0)
