"""Agrees, beat by beat, on the shares of all limits that this replica uses.

admission waits, a request was refused ──▶ soon ──┐
every beat, for limits in use ────────────────────┴──▶ shares.lua ──▶ limit and share ──▶ those who wait go on
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis

from gateway.admission.admission import Admission, Lanes

from .notices import LimitChanged, Notice
from .shared_limit import SharedLimit
from .shared_state import SharedState, SharedStateAway

BEAT = 0.5
"""Seconds. A replica that says nothing for three beats has no share."""
BUSY_BEAT = 0.1
"""Seconds, while requests wait here."""
IDLE_BEAT = 5.0
"""Seconds, without any requests: so that the others know how many replicas there are."""
SOON = 0.02
"""Seconds between two agreements that cannot wait for the next beat."""
_SCRIPT = Path(__file__).with_name("shares.lua").read_text("utf-8")


class _Lane(Struct, eq=False):
    """One limit, and what waits for it here."""

    name: str
    admission: Admission[Any]
    limit: SharedLimit
    lanes: Lanes
    is_due: bool = False
    """Whether it is to be agreed before the next beat."""
    was_refused: bool = False
    had_demand: bool = True
    """At the last beat; the first one registers it."""
    said_at: float = 0.0
    """When it was agreed last, by the event loop's clock."""


class LimitShares:
    """The shares of one replica."""

    def __init__(self, state: SharedState, alone: float) -> None:
        self._state = state
        self._alone = alone
        self._lanes: dict[str, _Lane] = {}
        self._due = asyncio.Event()
        self._agree = state.script(_SCRIPT)
        state.on_notice(self._heard)
        state.on_return(self._all_changed)

    def join(self, name: str, admission: Admission[Any], lanes: Lanes) -> SharedLimit:
        """Let an admission have a share of the limit of this name, instead of a limit of its own; return the share."""
        limit = SharedLimit(
            start=lanes.start,
            highest=lanes.highest,
            alone=self._alone,
            changed=partial(self._changed, name),
        )
        self._lanes[name] = _Lane(name, admission, limit, lanes)
        admission.share(limit, partial(self._changed, name, False))
        self._changed(name, refused=False)
        return limit

    def leave(self, name: str) -> None:
        """Forget a limit. Its share is free when the shared state has not heard of it for some beats."""
        self._lanes.pop(name, None)

    async def run(self) -> None:
        """Agree until cancelled."""
        loop = asyncio.get_running_loop()
        beat_at = loop.time()
        while True:
            try:
                async with asyncio.timeout_at(beat_at):
                    await self._due.wait()
            except TimeoutError:
                waits = any(lane.admission.waiting for lane in self._lanes.values())
                beat_at = loop.time() + (BUSY_BEAT if waits else BEAT)
                due = [lane for lane in self._lanes.values() if _is_in_use(lane, loop.time())]
            else:
                due = [lane for lane in self._lanes.values() if lane.is_due]
            self._due.clear()
            await asyncio.gather(*map(self._agreed, due))
            await asyncio.sleep(SOON)

    def _changed(self, name: str, refused: bool) -> None:
        lane = self._lanes.get(name)
        if lane is not None:
            lane.is_due = True
            lane.was_refused = lane.was_refused or refused
            self._due.set()

    def _all_changed(self) -> None:
        for name in self._lanes:
            self._changed(name, refused=False)

    def _heard(self, notice: Notice) -> None:
        if isinstance(notice, LimitChanged):
            self._changed(notice.lane, refused=False)

    async def _agreed(self, lane: _Lane) -> None:
        limit, demand = lane.limit, _demand(lane)
        growth, limit.growth = limit.growth, 0.0
        refused, lane.was_refused, lane.is_due = lane.was_refused, False, False
        is_new = lane.limit.is_alone or not lane.said_at
        lane.had_demand = demand > 0
        lane.said_at = asyncio.get_running_loop().time()
        arguments = (
            self._state.replica,
            min(demand, limit.highest),
            lane.admission.under_way,
            growth,
            int(refused),
            lane.lanes.start,
            limit.highest,
            BEAT,
            *limit.take_refusal(),
            lane.admission.silence,
        )
        keys = [self._state.key(part, lane.name) for part in ("limit", "replicas")]

        async def agree(client: Redis) -> Any:
            return await self._agree(keys=keys, args=arguments, client=client)

        try:
            total, share, replicas, too_high, wait, silence = await self._state.call(agree)
        except SharedStateAway:
            limit.go_alone()
        else:
            retry_at = lane.admission.now() + float(wait)
            limit.agreed(float(total), int(share), int(replicas), float(too_high), retry_at)
            lane.admission.hear_answer(float(silence))
            # Of a new one the others must know, as they count each other.
            if refused or is_new:
                await self._state.notify(LimitChanged(replica=self._state.replica, lane=lane.name))
        lane.admission.wake()


def _is_in_use(lane: _Lane, now: float) -> bool:
    return lane.had_demand or _demand(lane) > 0 or now - lane.said_at > IDLE_BEAT


def _demand(lane: _Lane) -> int:
    return lane.admission.under_way + lane.admission.waiting
