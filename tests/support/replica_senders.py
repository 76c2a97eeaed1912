"""Replicas for the simulated service: each with slots of its own, and shares by the script of a real Redis.

The clock is simulated, so the script's ``TIME`` is replaced by the time of the simulation. Beats and notices come as
``LimitShares`` sends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import redis

from gateway.replicas import limit_shares
from gateway.replicas.limit_shares import BEAT, BUSY_BEAT, SOON
from gateway.replicas.shared_limit import SharedLimit
from tests.support.capacity import Job
from tests.support.senders import EXPORT, Ours

NOTICE = 0.005
"""Seconds until a notice is heard."""
_SCRIPT = Path(limit_shares.__file__).with_name("shares.lua").read_text("utf-8")


class _Replica(Ours):
    def __init__(self, name: str, highest: int, changed: partial[None]) -> None:
        super().__init__(highest=highest, lane=EXPORT)
        self.name = name
        self.limit = SharedLimit(start=4, highest=highest, alone=0.25, changed=changed)
        self.slots.limit = self.limit
        self.was_refused = False
        self.due = 0.0
        """When it agrees the next time."""


class ReplicaSenders:
    """Several replicas behind a balancer that takes turns."""

    def __init__(self, client: redis.Redis, number: int, *, highest: int = 52) -> None:
        client.flushall()
        replaced = _SCRIPT.replace("redis.call('TIME')", "{ ARGV[13], '0' }")
        assert replaced != _SCRIPT
        self._agree = client.register_script(replaced)
        self._highest = highest
        self._now = 0.0
        self._turn = 0
        self._of: dict[int, _Replica] = {}
        self.replicas: list[_Replica] = []
        for n in range(number):
            self.replicas.append(_Replica(f"r{n}", highest, partial(self._changed, n)))
        self.most = 0
        """Most requests under way at a time, of all replicas."""

    @property
    def held_until(self) -> float:
        return max(replica.held_until for replica in self.replicas)

    def offer(self, job: Job, now: float) -> Sequence[Job]:
        beaten = self._beat(now)
        replica = self.replicas[self._turn % len(self.replicas)]
        self._turn += 1
        self._of[id(job)] = replica
        return [*beaten, *replica.offer(job, now)]

    def answered(self, job: Job, now: float, waited: float, seconds: float) -> Sequence[Job]:
        beaten = self._beat(now)
        replica = self._of.pop(id(job))
        return [*beaten, *replica.answered(job, now, waited, seconds)]

    def refused(self, job: Job, now: float, wait: float) -> tuple[float, Sequence[Job]]:
        beaten = self._beat(now)
        again, jobs = self._of.pop(id(job)).refused(job, now, wait)
        if wait:
            for replica in self.replicas:
                replica.pause(now + wait)
        return again, [*beaten, *jobs]

    def woken(self, now: float) -> Sequence[Job]:
        return [*self._beat(now), *(job for r in self.replicas for job in r.woken(now))]

    def _changed(self, number: int, refused: bool) -> None:
        replica = self.replicas[number]
        replica.was_refused |= refused
        replica.due = min(replica.due, self._now + SOON / 2)

    def _beat(self, now: float) -> list[Job]:
        """Let those agree for whom it is time; return what they send then."""
        self._now = now
        jobs = list[Job]()
        for replica in self.replicas:
            if replica.due <= now:
                self._agreed(replica, now)
                jobs += replica.woken(now)
        self.most = max(self.most, sum(r.slots.under_way for r in self.replicas))
        return jobs

    def _agreed(self, replica: _Replica, now: float) -> None:
        limit, slots = replica.limit, replica.slots
        growth, limit.growth = limit.growth, 0.0
        refused, replica.was_refused = replica.was_refused, False
        demand = min(slots.under_way + slots.queue.size, limit.highest)
        total, share, replicas, too_high, wait, _ = self._agree(
            keys=["limit", "replicas"],
            args=[
                *(replica.name, demand, slots.under_way, growth, int(refused)),
                *(4, limit.highest, BEAT, *limit.take_refusal(), 0, f"{now:.6f}"),
            ],
        )
        limit.agreed(float(total), int(share), int(replicas), float(too_high), now + float(wait))
        replica.due = now + (BUSY_BEAT if slots.queue.size else BEAT)
        if refused:
            for other in self.replicas:
                if other is not replica:
                    other.due = min(other.due, now + NOTICE)
