"""A clock that stands still until a test lets it go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.odata.retry import Clock
from tests.support.sockets import PATIENCE


@dataclass
class Ticking:
    """What sleeps on its clock, and for how long it meant to."""

    sleeps: list[float] = field(default_factory=list)
    """Seconds of every sleep, in order."""
    time: float = 1_700_000_000.0
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def clock(self) -> Clock:
        return Clock(sleep=self._sleep, random=lambda: 0.5, now=lambda: self.time)

    async def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waking)
        self._more.set()
        await waking

    async def asleep(self) -> None:
        """Wait until somebody sleeps."""
        while not [w for w in self._waiting if not w.done()]:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), PATIENCE)

    async def tick(self) -> None:
        """Wake who sleeps, and wait until somebody sleeps again."""
        self.wake()
        await self.asleep()

    def wake(self) -> None:
        """Wake who sleeps."""
        woken, self._waiting = self._waiting, []
        for waking in woken:
            if not waking.done():
                waking.set_result(None)


async def until(is_so: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until something that nobody tells is so."""
    async with asyncio.timeout(patience):
        while not is_so():  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(0.01)


def pass_time(seconds: float) -> None:
    """Set the clock of the running event loop forward: what sleeps for so long wakes at once."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]
