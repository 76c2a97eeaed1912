"""Who is next: lanes by weight, callers in turn."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from gateway.admission.queue import FairQueue
from gateway.admission.work import Lane, Work

WEIGHTS = {
    Lane.INTERACTIVE: 8.0,
    Lane.FEDERATION: 8.0,
    Lane.SUBSCRIPTION: 2.0,
    Lane.AGENT: 4.0,
    Lane.EXPORT: 1.0,
}


class Item(Struct, frozen=True):
    work: Work
    name: str = ""
    is_write: bool = False


def queue_of(*items: Item) -> FairQueue[Item]:
    queue: FairQueue[Item] = FairQueue(WEIGHTS)
    for item in items:
        queue.push(item)
    return queue


def take(queue: FairQueue[Item], count: int) -> list[Item]:
    items = (queue.pop(lambda _lane, _write: True) for _ in range(count))
    return [item for item in items if item is not None]


def item(lane: Lane, caller: str = "", name: str = "", weight: float = 1.0) -> Item:
    return Item(Work(lane=lane, caller=caller, weight=weight), name)


def test_lanes_share_by_weight() -> None:
    waiting = [
        item(lane) for lane in (Lane.INTERACTIVE, Lane.AGENT, Lane.EXPORT) for _ in range(90)
    ]
    served = Counter(found.work.lane for found in take(queue_of(*waiting), 65))

    assert served == {Lane.INTERACTIVE: 40, Lane.AGENT: 20, Lane.EXPORT: 5}


def test_callers_of_a_lane_take_turns() -> None:
    greedy = [item(Lane.INTERACTIVE, "greedy", f"g{n}") for n in range(100)]
    queue = queue_of(
        *greedy, item(Lane.INTERACTIVE, "modest", "m0"), item(Lane.INTERACTIVE, "modest", "m1")
    )

    assert [found.name for found in take(queue, 5)] == ["g0", "m0", "g1", "m1", "g2"]


def test_the_weight_of_a_caller_counts_within_its_lane() -> None:
    waiting = [
        item(Lane.AGENT, caller, weight=weight)
        for caller, weight in (("big", 3.0), ("small", 1.0))
        for _ in range(50)
    ]
    served = Counter(found.work.caller for found in take(queue_of(*waiting), 40))

    assert served == {"big": 30, "small": 10}


def test_nobody_saves_up_turns() -> None:
    queue = queue_of(*(item(Lane.INTERACTIVE, "a") for _ in range(1_000)))
    take(queue, 500)
    for _ in range(100):
        queue.push(item(Lane.INTERACTIVE, "b"))
    served = Counter(found.work.caller for found in take(queue, 20))

    assert served == {"a": 10, "b": 10}


def test_what_one_caller_requests_keeps_its_order() -> None:
    queue = queue_of(*(item(Lane.EXPORT, "a", str(n)) for n in range(5)))

    assert [found.name for found in take(queue, 5)] == ["0", "1", "2", "3", "4"]


def test_lanes_that_may_not_go_are_passed_over() -> None:
    queue = queue_of(item(Lane.INTERACTIVE, name="people"), item(Lane.EXPORT, name="export"))
    found = queue.pop(lambda lane, _write: lane is Lane.EXPORT)

    assert found is not None
    assert found.name == "export"
    assert queue.pop(lambda lane, _write: lane is Lane.EXPORT) is None


def test_reads_pass_writes_that_must_wait() -> None:
    write = Item(Work(), "write", is_write=True)
    queue = queue_of(write, Item(Work(), "read"))
    found = queue.pop(lambda _lane, is_write: not is_write)

    assert found is not None
    assert found.name == "read"


def test_what_waits_no_more_leaves_no_trace() -> None:
    queue = queue_of()
    for number in range(2_000):
        waiting = item(Lane.INTERACTIVE, f"caller {number}")
        queue.push(waiting)
        queue.remove(waiting)
    queue.push(item(Lane.INTERACTIVE, "last", "last"))

    assert queue.size == 1
    assert [found.name for found in take(queue, 3)] == ["last"]


def test_only_so_many_are_before_a_new_one_as_it_must_share_with() -> None:
    queue = queue_of(
        *(item(Lane.INTERACTIVE, "greedy") for _ in range(100)),
        *(item(Lane.INTERACTIVE, "modest") for _ in range(2)),
    )

    assert queue.turns_before(Work(caller="new")) == 2
    assert queue.turns_before(Work(caller="modest")) == 5
    assert queue.turns_before(Work(lane=Lane.EXPORT)) == 0
