"""The wait that all requests to one service share after it said that it is too busy (429).

    open ─────429─────▶ closed until a time
    closed              the first request that comes leads: it waits, and is then sent alone, as a probe;
                        the others wait for its outcome
    probe 429           closed again; for all who waited this counts as an attempt of theirs, answered with that 429
    probe otherwise     open for all
    the leader leaves   the next one leads
    a wait is longer than a request may take: it fails at once, with the answer that closed the way

So a service that throttles is asked once a pause, however many operations there are.
https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/service-protection-statement
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import ceil

from msgspec import structs

from .response_check import Response
from .retry import Clock


class Pause:
    """Whether requests may go out. A request is known by any object of its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refusal: Response | None = None
        self._until = 0.0
        self._leader: object | None = None
        self._outcome: asyncio.Future[Response | None] | None = None

    def bars(self, request: object) -> bool:
        """Return whether a request must wait."""
        return self._refusal is not None and self._leader is not request

    async def passed(self, request: object, allowed: Callable[[], float]) -> Response | None:
        """Wait until a request may be sent, at most the ``allowed()`` seconds.

        Returns None where it may, and must then end in ``refused``, ``answered`` or ``left``; else the 429 that stands.
        """
        while self._refusal is not None:
            remaining = round(self._until - self._clock.now(), 3)
            if remaining > allowed():
                return self._standing(self._refusal, remaining)
            if self._leader is None:
                await self._lead(request, max(0.0, remaining))
                return None
            assert self._outcome is not None
            refusal = await asyncio.shield(self._outcome)
            if refusal is not None:
                return refusal
        return None

    async def _lead(self, request: object, seconds: float) -> None:
        self._leader = request
        self._outcome = asyncio.get_running_loop().create_future()
        try:
            await self._clock.sleep(seconds)
        except BaseException:
            self.left(request)
            raise

    @staticmethod
    def _standing(refusal: Response, remaining: float) -> Response:
        return structs.replace(refusal, headers={"retry-after": str(max(1, ceil(remaining)))})

    def refused(self, request: object, refusal: Response, seconds: float) -> None:
        """Close the way for so many seconds."""
        if self._leader is not request and self._refusal is not None:
            return
        self._refusal = refusal
        self._until = self._clock.now() + seconds
        self._release(request, refusal)

    def answered(self, request: object) -> None:
        """Open the way, where this request was the probe."""
        if self._leader is request:
            self._refusal = None
            self._release(request, None)

    def left(self, request: object) -> None:
        """Let another one lead, where this request did and was given up."""
        self._release(request, None)

    def _release(self, request: object, outcome: Response | None) -> None:
        if self._leader is not request or self._outcome is None:
            return
        self._leader = None
        waiting, self._outcome = self._outcome, None
        if not waiting.done():
            waiting.set_result(outcome)
