"""Ways to decide how many requests are under way, for the simulated service: ours, fixed ones, Gradient2."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from gateway.admission.slots import Outcome, Sent, Slots
from gateway.admission.work import Lane, Work
from tests.support.capacity import Job

WEIGHTS = dict.fromkeys(Lane, 1.0) | {Lane.INTERACTIVE: 8.0}
URGENT, EXPORT = Work(lane=Lane.INTERACTIVE), Work(lane=Lane.EXPORT)


class Fixed:
    """A fixed limit, first come, first served."""

    held_until = 0.0

    def __init__(self, limit: float) -> None:
        self.value = limit
        self.under_way = 0
        self._waiting: deque[Job] = deque()

    def offer(self, job: Job, _now: float) -> Sequence[Job]:
        self._waiting.append(job)
        return self._next()

    def answered(self, job: Job, now: float, waited: float, seconds: float) -> Sequence[Job]:
        self.learn(seconds)
        self.under_way -= 1
        return self._next()

    def learn(self, seconds: float) -> None:
        """Learn nothing."""

    def refused(self, job: Job, now: float, wait: float) -> tuple[float, Sequence[Job]]:
        self.under_way -= 1
        return now + max(wait, 0.05), self._next()

    def woken(self, _now: float) -> Sequence[Job]:
        return self._next()

    def _next(self) -> Sequence[Job]:
        jobs = []
        while self._waiting and self.under_way < int(self.value):
            jobs.append(self._waiting.popleft())
            self.under_way += 1
        return jobs


class Gradient2(Fixed):
    """Netflix' Gradient2 as published: it compares latencies and ignores refusals."""

    def __init__(self) -> None:
        super().__init__(20.0)
        self._long = 0.0

    def learn(self, seconds: float) -> None:
        self._long = seconds if self._long == 0.0 else self._long + (seconds - self._long) / 600
        if self._long / seconds > 2:
            self._long *= 0.95
        if self.under_way < self.value / 2:
            return
        gradient = max(0.5, min(1.0, 1.5 * self._long / seconds))
        wished = self.value * gradient + 4
        self.value = max(20.0, min(200.0, self.value * 0.8 + wished * 0.2))


class _Item(Struct, frozen=True):
    job: Job
    work: Work
    is_write: bool = False


class Ours:
    """The gateway's own slots, with the pause of a named wait."""

    def __init__(self, *, highest: int = 52, start: int = 4, lane: Work = EXPORT) -> None:
        self.slots: Slots[_Item] = Slots(WEIGHTS, start=start, highest=highest)
        self._paused_until = 0.0
        self._lane = lane
        self._chance = random.Random(1)

    @property
    def held_until(self) -> float:
        return self.slots.held_until

    def _work(self, job: Job) -> Work:
        return URGENT if job.urgent else self._lane

    def offer(self, job: Job, now: float) -> Sequence[Job]:
        work = self._work(job)
        if now >= self._paused_until and self.slots.begins(work, is_write=False, now=now):
            return [job]
        self.slots.queue.push(_Item(job, work))
        return []

    def answered(self, job: Job, now: float, waited: float, seconds: float) -> Sequence[Job]:
        return self._ended(
            Sent(
                work=self._work(job),
                is_write=False,
                kind=job.kind,
                outcome=Outcome.ANSWERED,
                waited=waited,
                seconds=seconds,
            ),
            now,
        )

    def pause(self, until: float) -> None:
        """Send nothing until then."""
        self._paused_until = max(self._paused_until, until)

    def refused(self, job: Job, now: float, wait: float) -> tuple[float, Sequence[Job]]:
        if wait:
            self.pause(now + wait)
        sent = Sent(
            work=self._work(job),
            is_write=False,
            kind=job.kind,
            outcome=Outcome.REFUSED,
            pause=wait,
        )
        return now + (wait or 0.5 + 0.5 * self._chance.random()), self._ended(sent, now)

    def _ended(self, sent: Sent, now: float) -> Sequence[Job]:
        self.slots.ended(sent, now)
        return self.woken(now)

    def woken(self, now: float) -> Sequence[Job]:
        if now < self._paused_until:
            return []
        return [item.job for item in self.slots.next(now)]
