"""Whatever comes together (turns, cancellations, deadlines, full queues): no slot is lost, and nobody is forgotten."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from gateway.admission.admission import Admission, Lanes
from gateway.admission.slots import BACKGROUND, Outcome, Sent
from gateway.admission.work import Lane, Work
from gateway.errors import Overloaded
from gateway.replicas.shared_limit import SharedLimit
from tests.support.manual_clock import pass_time

pytestmark = pytest.mark.anyio
LANES = Lanes(highest=6, start=3, weights=dict.fromkeys(Lane, 1.0), queue=6)
OUTCOMES = (Outcome.ANSWERED, Outcome.ANSWERED, Outcome.ANSWERED, Outcome.REFUSED, Outcome.OTHER)


@dataclass(eq=False)
class Sending:
    """A request: it waits for its turn, holds a slot until ``end`` is set, and frees it."""

    admission: Admission[str]
    work: Work
    is_write: bool
    outcome: Outcome
    holds: bool = False
    was_refused: bool = False
    end: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        try:
            if not self.admission.begins(self.work, is_write=self.is_write):
                await self.admission.turn(self.work, is_write=self.is_write)
        except Overloaded:
            self.was_refused = True
            return
        self.holds = True
        try:
            await self.end.wait()
        finally:
            self.holds = False
            self.admission.ended(
                Sent(
                    work=self.work,
                    is_write=self.is_write,
                    kind="GET Sets",
                    outcome=self.outcome,
                    seconds=0.1,
                )
            )


class Crowd:
    """Many requests, and what may happen to them, drawn at random."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.loop = asyncio.get_running_loop()
        self.admission: Admission[str] = Admission(LANES, self.loop.time, asyncio.sleep)
        self.limit = SharedLimit(start=3, highest=6, alone=1.0, changed=lambda _: None)
        self.admission.share(self.limit, lambda: None)
        self.all: list[Sending] = []

    def living(self) -> list[Sending]:
        return [s for s in self.all if s.task is not None and not s.task.done()]

    def come(self) -> None:
        chance = self.chance
        until = self.loop.time() + chance.choice((0.0, 0.5, 2.0))
        work = Work(
            lane=chance.choice(list(Lane)),
            caller=chance.choice("abc"),
            weight=chance.choice((1.0, 1.0, 3.0)),
            may_wait_until=chance.choice((None, until, until)),
        )
        sending = Sending(self.admission, work, chance.random() < 0.2, chance.choice(OUTCOMES))
        sending.task = asyncio.ensure_future(sending.run())
        self.all.append(sending)

    def end(self) -> None:
        holding = [s for s in self.all if s.holds]
        if holding:
            self.chance.choice(holding).end.set()

    def cancel(self) -> None:
        living = self.living()
        if living:
            task = self.chance.choice(living).task
            assert task is not None
            task.cancel()

    def change(self) -> None:
        """Agree with other replicas: a share may be nothing at all for a while."""
        self.limit.agreed(6.0, self.chance.randint(0, 6), 2)
        self.admission.wake()

    def step(self) -> None:
        """Let something happen; several of these may happen before anybody runs."""
        happening = (self.come, self.come, self.come, self.end, self.end, self.cancel, self.change)
        self.chance.choice(happening)()
        if self.chance.random() < 0.2:
            pass_time(self.chance.choice((0.1, 0.6, 2.5)))

    async def run_some(self) -> None:
        for _ in range(self.chance.choice((0, 0, 1, 2, 12))):
            await asyncio.sleep(0)

    async def settle(self) -> None:
        for _ in range(12):
            await asyncio.sleep(0)

    def check(self) -> None:
        """Once all have run: every slot has its holder, and whoever waits has a reason to."""
        living, admission = self.living(), self.admission
        waiting = [s for s in living if not s.holds]
        assert admission.under_way == sum(s.holds for s in living)
        assert admission.waiting == len(waiting)
        reads = [s for s in waiting if not s.is_write and s.work.lane not in BACKGROUND]
        is_held = admission._slots.is_held(admission.now())
        if admission.under_way < admission.limit and not is_held:
            assert not reads
            assert admission.under_way or not waiting


@pytest.mark.parametrize("first", range(0, 60, 30))
async def test_no_slot_is_lost_and_nobody_is_forgotten(first: int) -> None:
    loop = asyncio.get_running_loop()
    real = loop.time
    for seed in range(first, first + 30):
        crowd = Crowd(seed)
        for _ in range(60):
            crowd.step()
            await crowd.run_some()
            if crowd.chance.random() < 0.2:
                await crowd.settle()
                crowd.check()
        crowd.limit.agreed(6.0, 3, 2)
        crowd.admission.wake()
        # Those who still wait come to their turn, one after the other.
        for _ in range(100):
            pass_time(1.1)
            await crowd.settle()
            crowd.check()
            crowd.end()
        assert crowd.living() == []
        assert (crowd.admission.under_way, crowd.admission.waiting) == (0, 0)
        loop.time = real  # type: ignore[method-assign]
