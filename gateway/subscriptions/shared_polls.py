"""One poller for all replicas that watch the same: the leader polls, the others take what it has found.

    every replica   one poll of its own at first, so that it knows where it begins
    the leader      polls, and adds what it finds to a log that all read
    the others      read the log, and keep up with it: whoever leads next continues where the log ends
    no shared state everybody polls

A change that is in the log and that a replica has seen already, by a poll of its own, is not told twice.
"""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec import Struct

from .changes import Change, StampState
from .polling import Poll

MIN_LEASE = 5.0
"""Seconds for which a replica leads at least; a leader that is gone is missed for so long."""


class WatchLog(Protocol):
    """What the replicas that watch the same share."""

    name: str
    """The same in all replicas."""

    async def leads(self, seconds: float) -> bool | None:
        """Return whether this replica leads, for so many seconds; None if the shared state is away."""
        ...

    async def end(self) -> str:
        """Return the place of the newest entry."""
        ...

    async def read(self, after: str) -> tuple[str, list[bytes]]:
        """Return the place of the last entry after a place, and all of them; nothing if the shared state is away."""
        ...

    async def add(self, entry: bytes) -> None:
        """Add an entry, unless the shared state is away."""
        ...

    def resign(self) -> None:
        """Let another replica lead, if this one did."""
        ...


class Entry(Struct, frozen=True, array_like=True):
    """What one poll of the leader has found."""

    changes: tuple[Change, ...]
    state: StampState | None
    """Where polls by stamp continue; None for those by etag."""


class SharedPoll:
    """A poll that several replicas share. Takes the place of ``Poll`` in a watch."""

    def __init__(self, poll: Poll, log: WatchLog, interval: float) -> None:
        self.query = poll.query
        self.name = log.name
        self._poll = poll
        self._log = log
        self._lease = max(MIN_LEASE, 3 * interval)
        self._place: str | None = None
        """Up to where the log was read; None before the first poll."""
        self._state: StampState | None = None

    async def changes(self) -> tuple[Change, ...]:
        """Return what has changed since the last call; nothing at the first. Raises PollFailed."""
        if self._place is None:
            # Before the poll: what is added meanwhile may be seen twice, and is told once.
            place = await self._log.end()
            await self._poll.changes()
            self._place = place
            self._state = self._poll.stamp_state()
            return ()
        leads = await self._log.leads(self._lease)
        if leads is None:
            return await self._poll.changes()
        heard = await self._heard()
        if not leads:
            return heard
        found = await self._poll.changes()
        state = self._poll.stamp_state()
        if found or state != self._state:
            self._state = state
            # The own entry is read again, after what the leader of before may have added, and tells nothing new.
            await self._log.add(msgspec.msgpack.encode(Entry(found, state)))
        return (*heard, *found)

    def close(self) -> None:
        """Let another replica lead."""
        self._log.resign()

    async def _heard(self) -> tuple[Change, ...]:
        assert self._place is not None
        self._place, entries = await self._log.read(self._place)
        changes: list[Change] = []
        for text in entries:
            try:
                entry = msgspec.msgpack.decode(text, type=Entry)
            except msgspec.MsgspecError:
                continue  # of another version, which polls for itself
            changes += self._poll.heard(entry.changes, entry.state)
            self._state = entry.state
        if changes:
            self._poll.changed()
        return tuple(changes)
