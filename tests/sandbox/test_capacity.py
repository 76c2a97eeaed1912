"""The capacity of the sandbox: workers in the order of arrival, refusals above, priorities."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gateway.sandbox.capacity import Capacity, Workers, application_of
from gateway.sandbox.exchange import Incoming, Outgoing
from tests.sandbox.conftest import Ask

pytestmark = pytest.mark.anyio


@dataclass
class Hall:
    """Workers whose work ends when a test says so."""

    capacity: Capacity
    time: float = 0.0
    answered: list[str] = field(default_factory=list)
    working: list[asyncio.Future[None]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workers = Workers(self.capacity, self._sleep, lambda: self.time)

    async def _sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        ends: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.working.append(ends)
        await ends

    def request(self, name: str, **headers: str) -> asyncio.Task[Outgoing | None]:
        def answer(incoming: Incoming) -> Outgoing:
            self.answered.append(incoming.path)
            return Outgoing(body=b"x" * 2_048)

        incoming = Incoming(method="GET", path=name, headers=headers)
        return asyncio.ensure_future(self.workers.answer(incoming, answer))

    async def end_one(self) -> None:
        self.working.pop(0).set_result(None)
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_requests_are_answered_in_the_order_of_arrival() -> None:
    hall = Hall(Capacity(workers=(2,)))
    tasks = [hall.request(str(n)) for n in range(5)]
    await settle()
    assert hall.answered == ["0", "1"]
    await hall.end_one()
    await hall.end_one()
    assert hall.answered == ["0", "1", "2", "3"]
    for task in tasks:
        task.cancel()


async def test_what_is_too_much_is_refused() -> None:
    hall = Hall(Capacity(workers=(2,), refuses_above=1.5))
    tasks = [hall.request(str(n)) for n in range(5)]
    await settle()

    assert [task.done() and task.result() is None for task in tasks] == [False] * 3 + [True] * 2
    for task in tasks:
        task.cancel()


async def test_the_capacity_moves_and_comes_back() -> None:
    hall = Hall(Capacity(workers=(8, 3), every=60))
    counts = []
    for hall.time in (0.0, 59.0, 61.0, 121.0):
        counts.append(hall.workers.count())

    assert counts == [8, 8, 3, 8]


async def test_who_gives_up_leaves_its_place() -> None:
    hall = Hall(Capacity(workers=(1,)))
    first, second, third = (hall.request(str(n)) for n in range(3))
    await settle()
    second.cancel()
    await settle()
    await hall.end_one()

    assert first.done()
    assert hall.answered == ["0", "2"]
    third.cancel()


async def test_long_answers_take_longer() -> None:
    hall = Hall(Capacity(workers=(1,), latency=0.06, per_kib=0.25))
    task = hall.request("page")
    await settle()

    assert hall.seconds == [0.06 + 0.5]
    task.cancel()


async def test_applications_of_low_priority_are_refused_first() -> None:
    priorities = {"export": "low", "people": "high"}
    hall = Hall(Capacity(workers=(2,), refuses_above=3, priorities=priorities))  # type: ignore[arg-type]
    exports = [hall.request("e", authorization="Bearer export") for _ in range(4)]
    others = [hall.request("o", authorization="Bearer other") for _ in range(4)]
    people = [hall.request("p", authorization="Bearer people") for _ in range(4)]
    await settle()

    refused = [
        sum(task.done() and task.result() is None for task in tasks)
        for tasks in (exports, others, people)
    ]
    assert refused == [2, 2, 2]
    for task in (*exports, *others, *people):
        task.cancel()


@pytest.mark.parametrize(
    ("header", "application"),
    [
        ("Bearer eyJhbGciOiJub25lIn0.eyJhcHBpZCI6ImV4cG9ydCJ9.x", "export"),
        ("Bearer opaque", "opaque"),
        ("Bearer a.b.c", "a.b.c"),
        ("", ""),
    ],
)
def test_the_application_is_that_of_the_token(header: str, application: str) -> None:
    incoming = Incoming(method="GET", path="/", headers={"authorization": header})

    assert application_of(incoming) == application


@pytest.mark.parametrize("text", ["", "0", "8,", "8,x", "-1"])
def test_a_capacity_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="capacity"):
        Capacity.parse(text)


@pytest.mark.parametrize("after", [None, 7])
async def test_a_busy_sandbox_answers_429(sandbox: Callable[..., Ask], after: int | None) -> None:
    ask = sandbox(capacity="1", busy_above=1.0, latency_ms=20, busy_retry_after=after)
    answers = await asyncio.gather(ask("/data/Currencies"), ask("/data/Currencies"))

    assert sorted(answer.status_code for answer in answers) == [200, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers.get("retry-after") == (None if after is None else str(after))
    assert "high resource utilization" in refused.text
