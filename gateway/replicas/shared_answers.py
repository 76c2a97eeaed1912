"""Cached answers that all replicas use, and the news of what was written.

An answer is stored with the versions that its entity sets had before it was read. A write gives them new versions,
before it is sent and when it has ended; so an answer that was read before a write, or beside it, is used by nobody.
Times are those of the server: the clocks of replicas may differ.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import msgspec
import zstandard
from msgspec import Struct
from redis.asyncio import Redis

from gateway.cache.answer_store import Key
from gateway.cache.environment_answers import EnvironmentAnswers, Found
from gateway.odata.response_check import Response

from .notices import Notice, Written
from .shared_state import SharedState, SharedStateAway

LARGEST = 4_000_000
"""Bytes of an answer; larger ones are cached by each replica alone."""
_LEVEL = 3
_ALL = "*"
"""Stands for all entity sets of an environment."""


class _Stored(Struct, frozen=True, array_like=True):
    versions: tuple[bytes | None, ...]
    read_at: float
    """By the clock of the server, in seconds."""
    headers: dict[str, str]
    url: str
    body: bytes
    """Compressed."""


class Before(Struct, frozen=True):
    """The versions of entity sets before a read, and when that was."""

    versions: tuple[bytes | None, ...]
    at: float


class SharedAnswers:
    """The answers of one environment in the shared state."""

    def __init__(
        self, state: SharedState, answers: EnvironmentAnswers, variant: str, *, stores: bool
    ) -> None:
        """``variant`` names what decides about answers and is not in their addresses: settings of the environment.

        ``stores``: whether answers are shared, and not only the news of writes.
        """
        self._state = state
        self._answers = answers
        self._environment = answers.environment or "-"
        self._variant = variant
        self._stores = stores
        options = answers.options
        self._lifetime = int(options.ttl + max(options.stale, options.stale_if_error)) + 1
        self._untold: set[str] = set()
        """Sets whose writes the shared state does not know: what it has of them may be older."""
        self._telling: set[asyncio.Task[None]] = set()
        answers.elsewhere = self
        state.on_notice(self._heard)
        state.on_return(self._returned)

    def leave(self) -> None:
        """Hear nothing more: the environment is being closed."""
        self._state.forget(self._heard, self._returned)

    async def find(self, key: Key, sets: frozenset[str]) -> Found | Before | None:
        """Return an answer with its age; else what ``store`` needs later, or None if the shared state is away."""
        if not self._stores or not self._untold.isdisjoint((_ALL, *sets)):
            return None
        names = self._version_keys(sets)
        place = self._key_of(key)

        async def get(client: Redis) -> Sequence[Any]:
            async with client.pipeline(transaction=False) as commands:
                commands.time()
                commands.mget(names)
                commands.get(place)
                replies: Sequence[Any] = await commands.execute()
                return replies

        try:
            (seconds, micros), versions, body = await self._state.call(get)
        except SharedStateAway:
            return None
        now = seconds + micros / 1e6
        before = Before(tuple(versions), now)
        if body is None:
            return before
        try:
            stored = msgspec.msgpack.decode(body, type=_Stored)
            text = zstandard.ZstdDecompressor().decompress(stored.body, max_output_size=LARGEST)
        except (msgspec.MsgspecError, zstandard.ZstdError):
            return before  # of another version
        if stored.versions != before.versions:
            return before
        response = Response(200, stored.headers, text, stored.url)
        return Found(response, max(0.0, now - stored.read_at))

    async def store(self, key: Key, before: Before, response: Response) -> None:
        """Store an answer that was read after ``before``. Errors are for nobody: the next replica reads it itself."""
        if len(response.body) > LARGEST:
            return
        kept = {"content-type": response.headers.get("content-type", "")}
        packed = zstandard.ZstdCompressor(level=_LEVEL).compress(response.body)
        stored = _Stored(before.versions, before.at, kept, response.url, packed)
        body = msgspec.msgpack.encode(stored)
        place = self._key_of(key)
        with contextlib.suppress(SharedStateAway):
            await self._state.call(lambda client: client.set(place, body, ex=self._lifetime))

    def wrote(self, sets: Iterable[str] | None) -> None:
        """Tell the others of a write; until that has worked, nothing shared of these sets is used here."""
        names = {_ALL} if sets is None else set(sets)
        self._untold |= names
        self._tell_soon(names)

    def _tell_soon(self, names: set[str]) -> None:
        task = asyncio.ensure_future(self._tell(names))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def _returned(self) -> None:
        # Writes of the others may have been missed, and they may have missed those of this replica: they need not have
        # lost the shared state at the same time.
        self._answers.forget()
        if self._untold:
            self._tell_soon(set(self._untold))

    async def close(self) -> None:
        """Wait for what is being told."""
        await asyncio.gather(*self._telling, return_exceptions=True)

    async def _tell(self, names: set[str]) -> None:
        version = secrets.token_bytes(8)
        keys = [self._version_key(name) for name in names]
        notice = Written(
            replica=self._state.replica,
            environment=self._answers.environment,
            sets=None if _ALL in names else tuple(sorted(names)),
        )

        async def renew(client: Redis) -> None:
            async with client.pipeline(transaction=False) as commands:
                for key in keys:
                    commands.set(key, version, ex=2 * self._lifetime)
                await commands.execute()

        try:
            await self._state.call(renew)
            is_told = await self._state.notify(notice)
        except SharedStateAway:
            is_told = False
        if is_told:
            self._untold -= names
            return
        # When it is back, or what it has is too old for anybody, it may be used again.
        self._untold |= names
        self._later(names)

    def _later(self, names: set[str]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self._lifetime, partial(self._untold.difference_update, names))

    def _heard(self, notice: Notice) -> None:
        if isinstance(notice, Written) and notice.environment == self._answers.environment:
            self._answers.evict(notice.sets)

    def _version_keys(self, sets: frozenset[str]) -> list[str]:
        return [self._version_key(name) for name in (_ALL, *sorted(sets))]

    def _version_key(self, name: str) -> str:
        return self._state.key("version", self._environment, name)

    def _key_of(self, key: Key) -> str:
        # Addresses may be long, and may hold what people search for.
        digest = hashlib.blake2b("\n".join((self._variant, *key)).encode(), digest_size=16)
        return self._state.key("answer", self._environment, digest.hexdigest())
