"""The breaker: whom it refuses while a service answers nobody, and what closes it."""

from __future__ import annotations

import asyncio

import pytest

from gateway.admission.breaker import LONGEST, Breaker
from gateway.errors import UpstreamUnavailable

pytestmark = pytest.mark.anyio


class Now:
    time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def breaker(now: Now) -> Breaker:
    return Breaker(3, 5.0, now, asyncio.sleep)


def opened(breaker: Breaker) -> float | None:
    return [breaker.failed(object(), "ConnectError") for _ in range(3)][-1]


async def refusal(breaker: Breaker, request: object) -> float | None:
    """Return the seconds that a refused request is told; None: it may be sent."""
    if not breaker.blocks(request):
        return None
    try:
        await breaker.enter(request)
    except UpstreamUnavailable as error:
        return error.retry_after
    return None


async def test_only_failures_in_a_row_open_it(breaker: Breaker) -> None:
    for _ in range(5):
        assert breaker.failed(object(), "ReadTimeout") is None
        assert breaker.failed(object(), "ReadTimeout") is None
        assert breaker.answered() is None
    assert opened(breaker) == 5.0
    assert breaker.is_open


async def test_what_another_replica_says_opens_it_with_the_first_failure(
    breaker: Breaker, now: Now
) -> None:
    told: list[float] = []
    breaker.opened = lambda: told.append(now())
    breaker.warn()
    assert not breaker.is_open
    breaker.answered()
    assert breaker.failed(object(), "ConnectError") is None
    breaker.answered()
    breaker.warn()
    now.time += LONGEST
    assert breaker.failed(object(), "ConnectError") is None
    breaker.warn()
    assert breaker.failed(object(), "ConnectError") == 5.0
    assert told == [now()]
    off = Breaker(0, 5.0, now, asyncio.sleep)
    off.warn()
    assert off.failed(object(), "ConnectError") is None


async def test_it_can_be_switched_off(now: Now) -> None:
    off = Breaker(0, 5.0, now, asyncio.sleep)
    assert [off.failed(object(), "ConnectError") for _ in range(50)] == [None] * 50
    assert not off.is_open


async def test_one_probe_at_a_time_decides(breaker: Breaker, now: Now) -> None:
    opened(breaker)
    first, second = object(), object()
    assert await refusal(breaker, first) == 5.0
    with pytest.raises(UpstreamUnavailable, match="nothing is sent"):
        breaker.check()

    now.time += 5
    breaker.check()
    assert await refusal(breaker, first) is None
    assert await refusal(breaker, second) == 1.0
    with pytest.raises(UpstreamUnavailable):
        breaker.check()
    assert breaker.failed(first, "ConnectError") is None
    assert await refusal(breaker, second) == 10.0

    now.time += 10
    assert await refusal(breaker, second) is None
    breaker.leave(second)  # its client has gone
    assert await refusal(breaker, first) is None
    assert breaker.answered() == 15.0
    assert (breaker.is_open, await refusal(breaker, second)) == (False, None)
    assert opened(breaker) == 5.0


async def test_pauses_grow_to_a_minute(breaker: Breaker, now: Now) -> None:
    opened(breaker)
    told = []
    for _ in range(6):
        now.time += breaker.remaining
        probe = object()
        assert await refusal(breaker, probe) is None
        breaker.failed(probe, "ConnectError")
        told.append(breaker.remaining)
    assert told == [10, 20, 40, LONGEST, LONGEST, LONGEST]


async def test_late_failures_prolong_nothing(breaker: Breaker, now: Now) -> None:
    opened(breaker)
    now.time += 4
    breaker.failed(object(), "ReadTimeout")
    assert breaker.remaining == 1.0


async def test_an_answer_to_any_request_closes_it(breaker: Breaker, now: Now) -> None:
    opened(breaker)
    now.time += 2
    assert breaker.answered() == 2.0
    assert breaker.answered() is None
