"""How much the sandbox can do at a time: so many workers that answer in the order of arrival, and a 429 above that.

    a request      waits until a worker is free, and holds it for its latency and for the bytes of its answer
    too many       429, with or without ``Retry-After``: more than ``refuses_above`` times the workers
    priorities     as F&O's throttling has them: applications of low priority are refused first

The number of workers changes from time to time and nobody is told, as in a real environment.
https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/throttling-prioritization
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import orjson

from .exchange import Incoming, Outgoing

Priority = Literal["high", "medium", "low"]
_SHARES: Mapping[Priority, float] = {"high": 1.0, "medium": 2 / 3, "low": 1 / 3}
"""Of what is not refused, per priority."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the sandbox can do."""

    workers: tuple[int, ...]
    """One after the other, over and over."""
    every: float = 60.0
    """Seconds of each."""
    refuses_above: float = 3.0
    """Times the workers."""
    latency: float = 0.0
    """Seconds of a worker for each request."""
    per_kib: float = 0.0
    """Seconds of a worker for each KiB of an answer."""
    priorities: Mapping[str, Priority] = field(default_factory=dict, hash=False)
    """Client id of an application = its priority; others have medium, and high if none is listed."""

    @classmethod
    def parse(cls, text: str) -> tuple[int, ...]:
        """``8,3,8`` → (8, 3, 8). Raises ValueError for other text."""
        parts = [part.strip() for part in text.split(",")]
        if not all(part.isdigit() and int(part) > 0 for part in parts):
            raise ValueError(f"capacity {text!r}: expected numbers of workers, such as 8,3,8")
        return tuple(int(part) for part in parts)


class Workers:
    """The workers of one sandbox."""

    def __init__(
        self,
        capacity: Capacity,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._capacity = capacity
        self._sleep = sleep
        self._now = now
        self._began: float | None = None
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def answer(
        self, incoming: Incoming, answer: Callable[[Incoming], Outgoing]
    ) -> Outgoing | None:
        """Return the answer of a worker; None if there is too much to do."""
        if self._busy + len(self._waiting) >= self._most(incoming):
            return None
        await self._begin()
        try:
            outgoing = answer(incoming)
            capacity = self._capacity
            await self._sleep(capacity.latency + capacity.per_kib * len(outgoing.body) / 1024)
            return outgoing
        finally:
            self._busy -= 1
            self._next()

    def count(self) -> int:
        """Return how many workers there are now."""
        now = self._time()
        if self._began is None:
            self._began = now
        phase = int((now - self._began) / self._capacity.every)
        return self._capacity.workers[phase % len(self._capacity.workers)]

    def _most(self, incoming: Incoming) -> float:
        most = self.count() * self._capacity.refuses_above
        if not self._capacity.priorities:
            return most
        priority = self._capacity.priorities.get(application_of(incoming), "medium")
        return most * _SHARES[priority]

    async def _begin(self) -> None:
        if self._busy < self.count():
            self._busy += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled():  # its turn came while it was given up
                self._busy -= 1
                self._next()
            raise

    def _next(self) -> None:
        while self._waiting and self._busy < self.count():
            turn = self._waiting.popleft()
            if not turn.done():
                self._busy += 1
                turn.set_result(None)

    def _time(self) -> float:
        return asyncio.get_running_loop().time() if self._now is None else self._now()


def application_of(incoming: Incoming) -> str:
    """Return the client id in a request's token, unverified: what is wrong with tokens is found out elsewhere."""
    token = incoming.headers.get("authorization", "").partition(" ")[2]
    payload = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, orjson.JSONDecodeError):
        return token
    return str(claims.get("appid", "")) if isinstance(claims, dict) else token
