"""One build for all replicas: one builds, the others take the bytes of the result from the shared state.

    stored? ──▶ opened here          a lease is free? ──▶ built here, stored          else ──▶ wait, and look again

What is stored is opened by whoever has the same fingerprint only, and checked as a file is. A replica builds by itself
if the shared state is away, if what is stored cannot be opened, and if it has waited too long. The lease of one that
dies while it builds is free after some seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import mmap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeAlias, TypeVar

import zstandard
from msgspec import Struct

from .leases import Leases
from .shared_state import SharedState, SharedStateAway

LARGEST = 64_000_000
"""Bytes of a result, and of what is decompressed here; the model of a whole catalogue has some 13 million."""
PIECE = 256 * 1024
"""Bytes that are sent at a time: each piece must come within the time of a command."""
LIFETIME = 24 * 3600
"""Seconds for which a result is stored after it was used last."""
LEASE = 6.0
"""Seconds after which another replica builds, if the one that does says nothing."""
POLL = 0.2
LONGEST_WAIT = 180.0
"""Seconds for which a replica waits for others; then it builds by itself."""
_UNSHARED = b"-"
"""Stored for a moment if there is nothing to be shared: it failed, or is too large."""
_MOMENT = 10
_LEVEL = 3

T = TypeVar("T")
Content: TypeAlias = bytes | mmap.mmap


class Build(Struct, Generic[T], frozen=True):
    """How something is built, and how it is opened if another replica has built it."""

    fingerprint: bytes
    """Of all that decides the result, the program included."""
    make: Callable[[], Awaitable[T]]
    open: Callable[[bytes], Awaitable[T | None]]
    """Returns None if the bytes are damaged."""
    content: Callable[[T], Content | None]
    """Returns the bytes of the result; None if it has none."""


class SharedBuilds:
    """The builds of one replica."""

    def __init__(
        self, state: SharedState, *, lease: float = LEASE, longest_wait: float = LONGEST_WAIT
    ) -> None:
        self._state = state
        self._leases = Leases(state)
        self._lease = lease
        self._longest_wait = longest_wait

    async def once(self, build: Build[T]) -> T:
        """Return what was built here or by another replica. Raises what ``make`` raises."""
        name = hashlib.sha256(build.fingerprint).hexdigest()[:32]
        lease = self._state.key("building", name)
        place = self._state.key("built", name)
        try:
            content = await self._content_or_turn(place, lease)
        except SharedStateAway:
            content = b""
        if content == b"":
            return await build.make()
        if content is not None and (opened := await build.open(content)) is not None:
            return opened
        async with self._renewing(lease):
            try:
                result = await build.make()
            except Exception:
                # The others must not find that out one after the other.
                await self._store(place, None)
                raise
            await self._store(place, build.content(result))
            return result

    async def _content_or_turn(self, place: str, lease: str) -> bytes | None:
        """Return what is stored, None if this replica is to build it, or nothing if each is to build by itself."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._longest_wait
        is_leader = False
        while (content := await self._read(place)) is None:
            # It may have been stored between the two.
            if is_leader:
                return None
            if loop.time() >= end:
                return b""
            is_leader = await self._leases.take(lease, self._lease)
            if not is_leader:
                await asyncio.sleep(POLL)
        if is_leader:
            self._leases.give_back(lease)
        return content

    @asynccontextmanager
    async def _renewing(self, lease: str) -> AsyncIterator[None]:
        async def renew() -> None:
            while True:
                await asyncio.sleep(self._lease / 3)
                with contextlib.suppress(SharedStateAway):
                    await self._leases.take(lease, self._lease)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            self._leases.give_back(lease)

    async def _read(self, place: str) -> bytes | None:
        """Return what is stored: nothing if that is not to be shared, None if there is none."""
        size = await self._state.call(lambda client: client.strlen(place))
        if not size:
            return None
        pieces = list[bytes]()
        for start in range(0, min(size, LARGEST), PIECE):
            end = start + PIECE - 1
            pieces.append(
                await self._state.call(
                    lambda client, start=start, end=end: client.getrange(place, start, end)  # type: ignore[misc]
                )
            )
        packed = b"".join(pieces)
        if packed == _UNSHARED:
            return b""
        await self._state.call(lambda client: client.expire(place, LIFETIME))
        # What cannot be decompressed cannot be opened either.
        return await asyncio.to_thread(_unpacked, packed) or b"\0"

    async def _store(self, place: str, content: Content | None) -> None:
        """Store bytes, or that there are none to be shared. Errors are for nobody."""
        packed = None
        if content is not None and len(content) <= LARGEST:
            packed = await asyncio.to_thread(_packed, content)
        draft = f"{place}:{self._state.replica}"
        call = self._state.call
        with contextlib.suppress(SharedStateAway):
            if packed is None:
                await call(lambda client: client.set(place, _UNSHARED, ex=_MOMENT))
                return
            first, rest = packed[:PIECE], range(PIECE, len(packed), PIECE)
            await call(lambda client: client.set(draft, first, ex=_MOMENT * 6))
            for start in rest:
                piece = packed[start : start + PIECE]
                await call(lambda client, piece=piece: client.append(draft, piece))  # type: ignore[misc]
            await call(lambda client: client.expire(draft, LIFETIME))
            # Nobody ever sees a part of it.
            await call(lambda client: client.rename(draft, place))


def _packed(content: Content) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL).compress(memoryview(content))


def _unpacked(packed: bytes) -> bytes | None:
    """Return the content; None if it is damaged, or too large."""
    try:
        if not 0 < zstandard.frame_content_size(packed) <= LARGEST:
            return None
        return zstandard.ZstdDecompressor().decompress(packed)
    except zstandard.ZstdError:
        return None
