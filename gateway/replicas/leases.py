"""Leases: one replica at a time has a task, until it returns the lease or says nothing for some seconds."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from .shared_state import SharedState

_TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RETURN = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
"""


class Leases:
    """The leases of one replica."""

    def __init__(self, state: SharedState) -> None:
        self._state = state
        self._take = state.script(_TAKE)
        self._return = state.script(_RETURN)

    async def take(self, key: str, seconds: float) -> bool:
        """Take or renew a lease for so many seconds; return whether it is this replica's. Raises SharedStateAway."""
        arguments = (self._state.replica, int(seconds * 1000))

        async def take(client: Redis) -> Any:
            return await self._take(keys=[key], args=arguments, client=client)

        return bool(await self._state.call(take))

    def give_back(self, key: str) -> None:
        """Leave it to another replica, if it is this one's."""

        async def give_back(client: Redis) -> Any:
            return await self._return(keys=[key], args=[self._state.replica], client=client)

        self._state.call_soon(give_back)
