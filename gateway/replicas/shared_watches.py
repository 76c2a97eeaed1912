"""The logs of watches, and who leads each: streams and leases in the shared state.

https://redis.io/docs/latest/develop/data-types/streams/
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from typing import Any

import msgspec
from redis.asyncio import Redis

from .leases import Leases
from .notices import Logged
from .shared_state import SharedState, SharedStateAway

LONGEST = 500
"""Entries of a log, about. One is added by a poll that finds something; they are read at least once an interval."""
_LIFETIME = 3_600


def watch_name(*parts: Hashable) -> str | None:
    """Return a name that is the same in all replicas for the same watch; None if it cannot be told."""
    try:
        # Sets have another order in each process.
        text = msgspec.json.encode(parts, order="deterministic")
    except (TypeError, msgspec.MsgspecError):
        return None
    return hashlib.blake2b(text, digest_size=16).hexdigest()


class SharedWatches:
    """The watches of one replica."""

    def __init__(self, state: SharedState) -> None:
        self._state = state
        self._leases = Leases(state)

    def log(self, environment: str, name: str) -> WatchLog:
        """Return the log of a watch."""
        return WatchLog(self._state, (environment or "-", name), self._leases)


class WatchLog:
    """What the replicas that watch the same share."""

    def __init__(self, state: SharedState, place: tuple[str, str], leases: Leases) -> None:
        self._state = state
        environment, self.name = place
        self._notice = Logged(replica=state.replica, environment=environment, watch=self.name)
        self._log = state.key("watch", *place)
        self._leader = state.key("leader", *place)
        self._leases = leases

    async def leads(self, seconds: float) -> bool | None:
        """Return whether this replica leads, for so many seconds; None if the shared state is away."""
        try:
            return await self._leases.take(self._leader, seconds)
        except SharedStateAway:
            return None

    async def end(self) -> str:
        """Return the place of the newest entry."""

        async def newest(client: Redis) -> Any:
            return await client.xrevrange(self._log, count=1)

        try:
            entries = await self._state.call(newest)
        except SharedStateAway:
            return "0-0"  # what is older is told nobody twice, but must be looked at
        return entries[0][0].decode() if entries else "0-0"

    async def read(self, after: str) -> tuple[str, list[bytes]]:
        """Return the place of the last entry after a place, and all of them; nothing if the shared state is away."""

        async def later(client: Redis) -> Any:
            return await client.xrange(self._log, min=f"({after}")

        try:
            entries = await self._state.call(later)
        except SharedStateAway:
            return after, []
        last = entries[-1][0].decode() if entries else after
        return last, [fields[b"e"] for _, fields in entries]

    async def add(self, entry: bytes) -> None:
        """Add an entry, unless the shared state is away."""

        async def add(client: Redis) -> None:
            async with client.pipeline(transaction=False) as commands:
                commands.xadd(self._log, {"e": entry}, maxlen=LONGEST, approximate=True)
                commands.expire(self._log, _LIFETIME)
                await commands.execute()

        try:
            await self._state.call(add)
        except SharedStateAway:
            return
        # Else the others would read it when their next poll is due.
        self._state.notify_soon(self._notice)

    def resign(self) -> None:
        """Let another replica lead, if this one did."""
        self._leases.give_back(self._leader)
