"""A simulated service with a hidden, moving capacity, and callers who want all of it. Nothing waits: time is a number.

FIFO server of so many workers, which refuses what would be more than ``refuses_above`` times its workers
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import pairwise
from typing import Protocol

READ, PAGE = ("key", 0.060), ("page", 0.600)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A request: its kind, the seconds of a worker that it takes, and whether a person waits for it."""

    kind: str
    seconds: float
    urgent: bool = False
    since: float = 0.0


class Sender(Protocol):
    """What decides how many jobs are under way."""

    @property
    def held_until(self) -> float:
        """When it has to be woken, as it holds all jobs back."""
        ...

    def offer(self, job: Job, now: float) -> Sequence[Job]:
        """Take a job; return those that are sent now."""
        ...

    def answered(self, job: Job, now: float, waited: float, seconds: float) -> Sequence[Job]:
        """Learn that a job was done; return those that are sent now."""
        ...

    def refused(self, job: Job, now: float, wait: float) -> tuple[float, Sequence[Job]]:
        """Learn of a 429; return when it is offered again, and the jobs that are sent now."""
        ...

    def woken(self, now: float) -> Sequence[Job]:
        """Return the jobs that are sent after a pause."""
        ...


@dataclass
class Result:
    """What came of a simulation."""

    done: float = 0.0
    """Worker seconds of answered jobs."""
    attainable: float = 0.0
    share_of_informed: float = 1.0
    """Of that, what a client would do that knows each capacity, and that it has fallen by a first refusal."""
    calls: int = 0
    refused: int = 0
    urgent: list[float] = field(default_factory=list)
    """Seconds of urgent jobs, from their arrival to their answer."""
    limits: list[tuple[float, float]] = field(default_factory=list)

    @property
    def share(self) -> float:
        return self.done / self.attainable

    @property
    def refusals(self) -> float:
        return self.refused / self.calls

    def percentile(self, share: float) -> float:
        return sorted(self.urgent)[int(len(self.urgent) * share)]


@dataclass(frozen=True, kw_only=True)
class World:
    """What is simulated."""

    capacity: Sequence[int] = (8, 3, 8)
    every: float = 60.0
    refuses_above: float = 3.0
    retry_after: float = 0.0
    """Seconds that a 429 names; 0: none."""
    trip: float = 0.010
    """Seconds of the way there and back."""
    pages: float = 0.2
    """Share of pages among the jobs that are always there."""
    saturating: int = 60
    """Jobs that are always there: each answer brings the next."""
    urgent_every: float = 0.0
    """Mean seconds between urgent reads; 0: there are none."""
    tick: float = 0.0
    """Seconds after which the sender may do something in any case; 0: it needs no clock of its own."""
    spread: float = 0.0
    """How much jobs of one kind differ, as standard deviation of the logarithm."""
    seed: int = 1


def simulate(world: World, sender: Sender, limit: Callable[[], float] | None = None) -> Result:
    """Run until the last phase of the capacity is over."""
    return _Run(world, sender, limit).run()


class _Run:
    def __init__(self, world: World, sender: Sender, limit: Callable[[], float] | None) -> None:
        self.world, self.sender, self.limit = world, sender, limit
        self.chance = random.Random(world.seed)
        self.events: list[tuple[float, int, Callable[[float], None]]] = []
        self.number = 0
        self.waiting: deque[Callable[[float], None]] = deque()
        self.busy = 0
        attainable = sum(world.capacity) * world.every
        falls = [now for before, now in pairwise(world.capacity) if now < before]
        self.result = Result(
            attainable=attainable,
            share_of_informed=1 - sum(falls) * world.retry_after / attainable,
        )

    def workers(self, now: float) -> int:
        capacity = self.world.capacity
        return capacity[min(int(now / self.world.every), len(capacity) - 1)]

    def at(self, when: float, action: Callable[[float], None]) -> None:
        self.number += 1
        heappush(self.events, (when, self.number, action))

    def job(self, now: float, *, urgent: bool) -> Job:
        kind, seconds = READ if urgent or self.chance.random() >= self.world.pages else PAGE
        if self.world.spread:
            seconds *= self.chance.lognormvariate(0, self.world.spread)
        return Job(kind=kind, seconds=seconds, urgent=urgent, since=now)

    def run(self) -> Result:
        for _ in range(self.world.saturating):
            self.at(0.0, self.bring)
        if self.world.urgent_every:
            self.at(1.0, self.bring_urgent)
        if self.world.tick:
            self.at(0.0, self.tick)
        for phase in range(len(self.world.capacity)):
            self.at(phase * self.world.every, self.work)
        end = len(self.world.capacity) * self.world.every
        while self.events and self.events[0][0] < end:
            now, _, action = heappop(self.events)
            action(now)
        return self.result

    def bring(self, now: float) -> None:
        self.send(self.sender.offer(self.job(now, urgent=False), now), now)

    def bring_urgent(self, now: float) -> None:
        self.send(self.sender.offer(self.job(now, urgent=True), now), now)
        self.at(now + self.chance.expovariate(1 / self.world.urgent_every), self.bring_urgent)

    def tick(self, now: float) -> None:
        self.send(self.sender.woken(now), now)
        self.at(now + self.world.tick, self.tick)

    def send(self, jobs: Sequence[Job], now: float) -> None:
        for job in jobs:
            self.at(now + self.world.trip / 2, partial(self.arrive, job, now))

    def arrive(self, job: Job, sent: float, now: float) -> None:
        self.result.calls += 1
        workers = self.workers(now)
        if self.busy + len(self.waiting) >= workers * self.world.refuses_above:
            self.result.refused += 1
            self.at(now + self.world.trip / 2, lambda then: self.refuse(job, then))
            return
        self.waiting.append(lambda then: self.begin(job, sent, then))
        self.work(now)

    def work(self, now: float) -> None:
        while self.waiting and self.busy < self.workers(now):
            self.busy += 1
            self.waiting.popleft()(now)

    def begin(self, job: Job, sent: float, now: float) -> None:
        def finish(then: float) -> None:
            self.busy -= 1
            self.result.done += job.seconds
            self.work(then)
            self.at(then + self.world.trip / 2, lambda later: self.answer(job, sent, later))

        self.at(now + job.seconds, finish)

    def answer(self, job: Job, sent: float, now: float) -> None:
        if job.urgent:
            self.result.urgent.append(now - job.since)
        self.send(self.sender.answered(job, now, sent - job.since, now - sent), now)
        if self.limit is not None:
            self.result.limits.append((now, self.limit()))
        if not job.urgent:
            self.bring(now)

    def refuse(self, job: Job, now: float) -> None:
        again, jobs = self.sender.refused(job, now, self.world.retry_after)
        self.send(jobs, now)
        if (held_until := self.sender.held_until) > now:
            self.at(held_until, lambda then: self.send(self.sender.woken(then), then))
        self.at(again, lambda then: self.send(self.sender.offer(job, then), then))
        if self.world.retry_after:
            self.at(
                now + self.world.retry_after, lambda then: self.send(self.sender.woken(then), then)
            )
