"""Admission of requests to one service: turns, refusals, estimates."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from msgspec import structs

from gateway.admission.admission import Admission, Lanes, lanes_of
from gateway.admission.slots import Outcome, Sent
from gateway.admission.work import ORDINARY, Lane, Work
from gateway.config.settings import Settings
from gateway.errors import Overloaded
from tests.support.manual_clock import pass_time

pytestmark = pytest.mark.anyio
LANES = Lanes(
    highest=2, start=2, weights=dict.fromkeys(Lane, 1.0) | {Lane.INTERACTIVE: 8.0}, queue=50
)


@dataclass
class Time:
    now: float = 1_000.0

    def admission(self, lanes: Lanes = LANES) -> Admission[str]:
        return Admission(lanes, lambda: self.now, asyncio.sleep)


def ended(
    admission: Admission[str],
    outcome: Outcome = Outcome.ANSWERED,
    *,
    work: Work = ORDINARY,
    is_write: bool = False,
    seconds: float = 1.0,
) -> None:
    admission.ended(
        Sent(work=work, is_write=is_write, kind="GET Sets", outcome=outcome, seconds=seconds)
    )


def full(admission: Admission[str]) -> Admission[str]:
    assert admission.begins(ORDINARY, is_write=False)
    assert admission.begins(ORDINARY, is_write=False)
    assert not admission.begins(ORDINARY, is_write=False)
    return admission


def waits(
    admission: Admission[str], work: Work = ORDINARY, *, is_write: bool = False
) -> asyncio.Task[None]:
    return asyncio.ensure_future(admission.turn(work, is_write=is_write))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_the_settings_decide_its_bounds() -> None:
    lanes = lanes_of(
        Settings.model_validate(
            {"concurrency": 9, "admission": {"start": 3, "weights": {"export": 0.5}}}
        )
    )

    assert (lanes.highest, lanes.start, lanes.weights[Lane.EXPORT]) == (9, 3, 0.5)


async def test_a_slot_that_is_freed_goes_to_who_waits() -> None:
    admission = full(Time().admission())
    first, second = waits(admission), waits(admission)
    await settle()
    ended(admission)
    await settle()

    assert (first.done(), second.done()) == (True, False)
    ended(admission)
    await second


async def test_who_gives_up_while_waiting_takes_no_slot() -> None:
    admission = full(Time().admission())
    first, second = waits(admission), waits(admission)
    await settle()
    first.cancel()
    await settle()
    ended(admission)
    await asyncio.wait_for(second, 60)


async def test_who_gives_up_as_its_turn_comes_passes_it_on() -> None:
    admission = full(Time().admission())
    first, second = waits(admission), waits(admission)
    await settle()
    first.cancel()
    ended(admission)  # before the cancelled task has run
    await asyncio.wait_for(second, 60)

    assert first.cancelled()
    ended(admission)
    ended(admission)
    assert admission.begins(ORDINARY, is_write=False)
    assert admission.begins(ORDINARY, is_write=False)


async def test_behind_too_many_a_read_is_refused_and_a_write_waits() -> None:
    admission = full(Time().admission(structs.replace(LANES, queue=3)))
    waiting = [waits(admission) for _ in range(3)]
    await settle()
    with pytest.raises(Overloaded) as caught:
        await admission.turn(ORDINARY, is_write=False)
    write = waits(admission, is_write=True)
    await settle()

    assert caught.value.retry_after == 1.0
    assert not write.done()
    for task in (*waiting, write):
        task.cancel()


def caller(name: str, weight: float = 1.0) -> Work:
    return Work(caller=name, weight=weight)


@pytest.mark.parametrize(
    ("many", "few", "refused"),
    [
        (caller("many"), caller("few"), "many"),
        (caller("many"), caller("few", 3.0), "many"),
        (caller("many", 3.0), caller("few"), "few"),
        (caller("same"), caller("same"), "new"),
    ],
    ids=["the longest", "by weight", "for their weight", "nobody else"],
)
async def test_who_has_most_gives_way_in_a_full_queue(many: Work, few: Work, refused: str) -> None:
    admission = full(Time().admission(structs.replace(LANES, queue=3)))
    waiting = [waits(admission, many) for _ in range(3)]
    await settle()

    if refused == "many":
        admission.check(few, None, 1)
        new = waits(admission, few)
        await settle()
        assert [task.done() for task in (*waiting, new)] == [False, False, True, False]
        with pytest.raises(Overloaded):
            await waiting.pop()
        waiting.append(new)
    else:
        with pytest.raises(Overloaded):
            admission.check(few, None, 1)
        with pytest.raises(Overloaded):
            await waits(admission, few)
    assert (admission.waiting, admission.under_way) == (3, 2)
    for _ in range(5):
        ended(admission)
    await asyncio.gather(*waiting)
    assert (admission.waiting, admission.under_way) == (0, 0)


@pytest.mark.parametrize(
    ("who", "requests", "is_admitted"),
    [
        ("new", 2, True),
        ("new", 2.2, True),  # the other has more, and gives way
        ("new", 7, True),
        ("new", 1_000, True),  # at most half of the queue is needed at a time
        ("many", 2, True),
        ("many", 3, False),
        ("many", 1_000, False),
    ],
)
async def test_there_is_room_for_all_requests_of_an_operation(
    who: str, requests: float, *, is_admitted: bool
) -> None:
    admission = full(Time().admission(structs.replace(LANES, queue=10)))
    waiting = [waits(admission, caller("many")) for _ in range(8)]
    await settle()

    if is_admitted:
        admission.check(caller(who), None, requests)
    else:
        with pytest.raises(Overloaded):
            admission.check(caller(who), None, requests)
    for task in waiting:
        task.cancel()


async def test_nobody_gives_way_to_one_who_would_have_more() -> None:
    admission = full(Time().admission(structs.replace(LANES, queue=10)))
    waiting = [waits(admission, caller(f"caller {n}")) for n in range(8)]
    await settle()

    admission.check(caller("new"), None, 2)
    with pytest.raises(Overloaded):
        admission.check(caller("new"), None, 3)
    for task in waiting:
        task.cancel()


@pytest.mark.parametrize("is_first", [False, True])
async def test_who_is_given_up_as_it_gives_way_frees_no_slot(*, is_first: bool) -> None:
    admission = full(Time().admission(structs.replace(LANES, queue=2)))
    waiting = [waits(admission, caller("many")) for _ in range(2)]
    await settle()

    if is_first:
        waiting[-1].cancel()
    new = waits(admission, caller("few"))
    asyncio.get_running_loop().call_soon(waiting[-1].cancel)
    await settle()

    assert (admission.waiting, admission.under_way) == (2, 2)
    for _ in range(4):
        ended(admission)
    await asyncio.gather(waiting[0], new)
    assert (admission.waiting, admission.under_way) == (0, 0)


async def test_other_lanes_are_not_refused_for_a_long_queue_of_exports() -> None:
    admission = full(Time().admission(structs.replace(LANES, queue=1)))
    export = waits(admission, Work(lane=Lane.EXPORT))
    person = waits(admission)
    await settle()
    ended(admission)
    await asyncio.wait_for(person, 60)
    export.cancel()


async def test_a_read_waits_no_longer_than_it_may() -> None:
    admission = full(Time().admission())
    until = asyncio.get_running_loop().time()
    with pytest.raises(Overloaded):
        await admission.turn(Work(may_wait_until=until), is_write=False)
    write = waits(admission, Work(may_wait_until=until), is_write=True)
    await settle()

    assert not write.done()
    ended(admission)
    await write


async def test_a_slow_write_leaves_room_for_reads() -> None:
    admission = Time().admission()
    assert admission.begins(ORDINARY, is_write=True)
    write = waits(admission, is_write=True)
    await settle()

    assert not write.done()
    assert admission.begins(ORDINARY, is_write=False)
    write.cancel()


def test_a_refusal_among_answers_means_fewer_at_a_time() -> None:
    time = Time()
    admission = full(time.admission())
    ended(admission)
    time.now += 1

    assert admission.is_refused_alone()


def test_a_refusal_long_after_the_last_answer_means_not_now() -> None:
    time = Time()
    admission = full(time.admission())

    assert not admission.is_refused_alone()
    ended(admission)
    time.now += 3
    assert not admission.is_refused_alone()


def test_as_many_refusals_as_may_be_under_way_mean_not_now() -> None:
    admission = full(Time().admission())
    ended(admission)

    assert [admission.is_refused_alone() for _ in range(5)] == [True, True, True, True, False]


async def test_refusals_of_what_was_under_way_are_one() -> None:
    """The first one has lowered the limit, and the others were sent before."""
    admission = Time().admission(structs.replace(LANES, highest=9, start=9))
    while admission.begins(ORDINARY, is_write=False):
        pass
    ended(admission)

    for _ in range(8):
        assert admission.is_refused_alone()
        ended(admission, Outcome.REFUSED)
    assert not admission.is_refused_alone()


async def test_answers_of_other_replicas_show_that_the_service_answers() -> None:
    time = Time()
    admission = full(time.admission())
    time.now += 10
    admission.hear_answer(-1.0)
    assert (admission.silence, admission.is_refused_alone()) == (-1.0, False)
    admission.hear_answer(0.5)

    assert admission.silence == 0.5
    assert [admission.is_refused_alone() for _ in range(5)] == [True, True, True, True, False]


async def test_after_a_refusal_with_nothing_under_way_the_next_waits_a_moment() -> None:
    """Else the whole queue would be refused, one after the other."""
    time = Time()
    admission = time.admission(structs.replace(LANES, highest=1, start=1))
    holds = list[float]()
    for _ in range(7):
        assert admission.begins(ORDINARY, is_write=False)
        ended(admission, Outcome.REFUSED)
        assert not admission.begins(ORDINARY, is_write=False)
        waiting = waits(admission)
        await settle()
        holds.append(round(admission._slots.held_until - time.now, 3))
        pass_time(holds[-1] + 0.001)
        await waiting
        admission.give_back(ORDINARY, is_write=False)

    assert holds == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


async def test_without_a_queue_nothing_is_waited_for() -> None:
    assert Time().admission().estimate(ORDINARY) == 0.0


async def test_the_estimate_counts_who_is_before() -> None:
    admission = full(Time().admission())
    ended(admission, seconds=2.0)
    assert admission.begins(ORDINARY, is_write=False)
    waiting = [waits(admission, Work(caller="greedy")) for _ in range(30)]
    waiting += [waits(admission, Work(caller="modest")) for _ in range(2)]
    await settle()

    # Two at a time, two seconds each: a second for each that is before, and one for the request itself.
    assert admission.estimate(Work(caller="new")) == 3.0
    assert admission.estimate(Work(caller="new"), requests=10) == 12.0
    assert admission.estimate(Work(caller="greedy")) == 33.0
    # One ninth of the service is the export lane's.
    assert admission.estimate(Work(lane=Lane.EXPORT)) == pytest.approx(9.0)
    for task in waiting:
        task.cancel()


async def test_the_estimate_of_an_export_knows_its_own_limit() -> None:
    """People are there, so that one export runs at a time; and its pages take longer than their reads."""
    admission = Time().admission(structs.replace(LANES, highest=4, start=4))
    export = Work(lane=Lane.EXPORT)
    for _ in range(60):
        assert admission.begins(ORDINARY, is_write=False)
        ended(admission, seconds=0.1)
        assert admission.begins(export, is_write=False)
        ended(admission, work=export, seconds=4.0)
    running = [admission.begins(export, is_write=False) for _ in range(4)]
    waiting = [waits(admission, export) for _ in range(3)]
    await settle()

    at_a_time = sum(running)
    assert 1 <= at_a_time < 4
    assert admission.estimate(export) == pytest.approx(4.0 * (3 + 1) / at_a_time)
    for task in waiting:
        task.cancel()


async def test_the_estimate_holds_the_pause() -> None:
    time = Time()
    admission = time.admission()
    admission.pauses.of(None).close(object(), "429", 30.0)
    time.now += 10

    assert admission.estimate(ORDINARY) == 20.0
    assert admission.estimate(ORDINARY, identity="someone else") == 0.0
