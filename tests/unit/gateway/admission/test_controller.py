"""The learned limit, step by step."""

from __future__ import annotations

from gateway.admission.controller import Limit


def answers(limit: Limit, count: int, *, pressure: float = 1.0, now: float = 0.0) -> float:
    for _ in range(count):
        limit.answered(now, pressure, is_used=True)
    return limit.value


def test_it_begins_within_its_bounds() -> None:
    assert Limit(start=4, highest=16).value == 4.0
    assert Limit(start=4, highest=1).value == 1.0


def test_a_limit_full_of_answers_adds_one() -> None:
    limit = Limit(start=4, highest=16)

    assert 4.8 < answers(limit, 4) <= 5.0


def test_it_does_not_exceed_the_setting() -> None:
    assert answers(Limit(start=4, highest=6), 1_000) == 6.0


def test_it_does_not_grow_unless_it_is_used() -> None:
    limit = Limit(start=4, highest=16)
    limit.answered(0.0, 1.0, is_used=False)

    assert limit.value == 4.0


def test_it_does_not_grow_while_answers_are_slow() -> None:
    assert answers(Limit(start=4, highest=16), 100, pressure=2.1) == 4.0


def test_refusals_of_one_second_shrink_it_once_then_to_what_is_under_way() -> None:
    limit = Limit(start=10, highest=16)
    limit.refused(5.0, 9, 1.0)
    assert limit.value == 7.0
    limit.refused(5.5, 8, 1.0)
    assert limit.value == 7.0
    limit.refused(5.6, 5, 1.0)
    assert limit.value == 5.0
    limit.refused(6.1, 4, 1.0)
    assert limit.value == 3.5


def test_it_never_falls_below_one() -> None:
    limit = Limit(start=2, highest=16)
    for second in range(10):
        limit.refused(float(second), 0, 1.0)

    assert limit.value == 1.0


def test_a_clock_that_goes_back_does_not_hold_it() -> None:
    limit = Limit(start=10, highest=16)
    limit.refused(1_000.0, 9, 1.0)
    limit.refused(10.0, 9, 1.0)

    assert limit.value < 5.0


def test_near_the_refused_limit_it_grows_slowly() -> None:
    limit = Limit(start=10, highest=16)
    limit.refused(0.0, 9, 1.0)
    quick = answers(limit, 7, now=2.0) - 7.0
    answers(limit, 7, now=2.0)
    before = limit.value
    slow = answers(limit, 7, now=2.0) - before

    assert slow < quick / 2


def test_after_a_named_wait_it_stays_below_until_later() -> None:
    limit = Limit(start=10, highest=16)
    limit.refused(0.0, 9, 1.5, wait=1.0)

    assert 9.0 < answers(limit, 1_000, pressure=1.4, now=30.0) < 10.0
    assert answers(limit, 1_000, pressure=1.4, now=61.0) > 10.0


def test_after_a_named_wait_quicker_answers_show_that_there_is_room() -> None:
    limit = Limit(start=10, highest=16)
    limit.refused(0.0, 9, 1.5, wait=1.0)

    assert answers(limit, 1_000, pressure=1.1, now=30.0) > 10.0


def test_after_a_named_wait_it_begins_with_half_and_does_not_grow_meanwhile() -> None:
    limit = Limit(start=10, highest=16)
    limit.refused(0.0, 9, 1.5, wait=5.0)

    assert limit.value == 3.5
    assert answers(limit, 100, now=4.9) == 3.5
    assert answers(limit, 100, pressure=1.4, now=5.0) > 9.0


def test_above_the_refused_limit_it_grows_while_answers_are_quick() -> None:
    limit = Limit(start=10, highest=30)
    limit.refused(0.0, 9, 1.5, wait=1.0)
    answers(limit, 200, pressure=1.0, now=30.0)
    above = limit.value

    assert above > 12.0
    assert answers(limit, 100, pressure=1.3, now=31.0) == above
