"""A limit that takes care not to be refused, step by step."""

from __future__ import annotations

from gateway.admission.cautious_limit import BUSY, CautiousLimit


def answers(
    limit: CautiousLimit, seconds: float, *, since: float, to_calm: float = 1.0, rate: int = 50
) -> float:
    """Answer so often a second, for so long."""
    for n in range(int(seconds * rate)):
        limit.answered(since + n / rate, 9.9, is_used=True, to_calm=to_calm)
    return limit.value


def test_it_grows_by_three_a_second_at_most() -> None:
    limit = CautiousLimit(start=4, highest=50)

    assert 6.8 < answers(limit, 1.0, since=0.0, rate=1_000) <= 7.0


def test_it_creeps_while_answers_are_slower_than_in_calm() -> None:
    limit = CautiousLimit(start=4, highest=50)

    assert 4.9 < answers(limit, 60.0, since=0.0, to_calm=BUSY + 0.1) <= 5.0


def test_a_refusal_without_a_wait_ends_the_care() -> None:
    limit = CautiousLimit(start=10, highest=50)
    limit.refused(0.0, 9, 1.0)

    assert answers(limit, 1.0, since=2.0, rate=1_000) > 30.0


def test_a_refused_limit_is_passed_only_in_calm() -> None:
    limit = CautiousLimit(start=10, highest=50)
    limit.refused(0.0, 9, 1.0, wait=1.0)
    limit.refused(0.1, 4, 1.0, wait=1.0)
    assert answers(limit, 20.0, since=2.0, to_calm=1.1) < 5.0

    assert answers(limit, 20.0, since=22.0) > 5.0


def test_the_highest_refused_limit_is_not_passed_soon() -> None:
    limit = CautiousLimit(start=10, highest=50)
    limit.refused(0.0, 9, 1.0, wait=1.0)
    limit.refused(0.1, 4, 1.0, wait=1.0)
    assert 9.0 < answers(limit, 50.0, since=2.0) < 10.0

    assert answers(limit, 5.0, since=61.5) > 12.0


def test_during_a_wait_it_does_not_grow() -> None:
    limit = CautiousLimit(start=10, highest=50)
    limit.refused(0.0, 9, 1.0, wait=5.0)

    assert answers(limit, 4.9, since=0.0) == 3.5
