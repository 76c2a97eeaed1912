"""``gateway.process.time_limit``: as ``asyncio.timeout_at``, whoever cancels, and when."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from gateway.process.time_limit import TimeLimit

pytestmark = pytest.mark.anyio


@pytest.fixture(
    params=[("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})],
    ids=["asyncio", "uvloop"],
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


async def within(seconds: float, *, taken: float = 0.0) -> TimeLimit:
    with TimeLimit(asyncio.get_running_loop().time() + seconds) as limit:
        await asyncio.sleep(taken)
    return limit


async def test_a_block_in_time_goes_on() -> None:
    limit = await within(5)

    assert not limit.is_over


async def test_a_late_block_is_cancelled_and_times_out() -> None:
    with pytest.raises(TimeoutError):
        await within(0.001, taken=5)

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_late_block_that_ends_by_itself_is_done() -> None:
    at = asyncio.get_running_loop().time() + 0.001
    with TimeLimit(at) as limit, suppress(asyncio.CancelledError):
        await asyncio.sleep(5)

    assert limit.is_over
    await asyncio.sleep(0)


async def test_limits_end_one_after_the_other() -> None:
    now, order = asyncio.get_running_loop().time(), list[str]()

    async def block(name: str, seconds: float, taken: float) -> None:
        try:
            with TimeLimit(now + seconds):
                await asyncio.sleep(taken)
        except TimeoutError:
            order.append(name)

    await asyncio.gather(
        block("third", 0.06, 5),
        block("first", 0.02, 5),
        block("none", 0.01, 0),
        block("second", 0.04, 5),
        block("longest", 60, 0.01),
    )

    assert order == ["first", "second", "third"]


@pytest.mark.parametrize(("first", "second", "is_over"), [(0.01, 5, False), (5, 0.01, True)])
async def test_a_limit_is_moved(first: float, second: float, is_over: bool) -> None:
    now = asyncio.get_running_loop().time()
    try:
        with TimeLimit(now + first) as limit:
            limit.reschedule(None)
            limit.reschedule(now + second)
            await asyncio.sleep(0.03)
    except TimeoutError:
        pass

    assert limit.is_over == is_over


async def test_an_error_of_the_block_stays_its_error() -> None:
    with pytest.raises(KeyError), TimeLimit(asyncio.get_running_loop().time() + 5):
        raise KeyError


@pytest.mark.parametrize("seconds", [5, 0.0])
async def test_the_cancellation_by_others_goes_on(seconds: float) -> None:
    task = asyncio.create_task(within(seconds, taken=5))
    await asyncio.sleep(0)
    if not seconds:
        # Both at once: the time is over, and somebody cancels.
        asyncio.get_running_loop().call_soon(task.cancel)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
