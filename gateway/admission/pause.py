"""The wait that all requests of one identity share after the service answered 429 (too many requests).

    open ─────429─────▶ closed until a time
    closed              the first request that comes leads: it waits, and is then sent alone, as a probe;
                        the others wait for its outcome
    probe 429           closed again; for all who waited this counts as an attempt of theirs, answered with that 429
    probe otherwise     open for all
    the leader leaves   the next one leads
    the wait is longer  than a request may take: it fails at once, with the 429 that closed the way

So a service that throttles receives one request a pause, however many operations there are.
https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/service-protection-statement
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from msgspec import Struct

MAX_CALLERS = 1_000
"""Callers with a wait of their own; of more, the one that was longest without a request begins anew."""
R = TypeVar("R")


class Closed(Struct, Generic[R], frozen=True):
    """Why a request may not be sent."""

    refusal: R
    """The 429 that applies to it."""
    remaining: float | None = None
    """Seconds that are left of a wait that is too long; None: the refusal is as old as the request."""


class Pauses(Generic[R]):
    """The waits of the gateway and of each caller, if requests have the identity of callers.

    The service limits each user: what one caller has used up must not make the others wait.
    """

    def __init__(self, now: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._now = now
        self._sleep = sleep
        self.closed: Callable[[str | None, float], None] | None = None
        """Called with identity and seconds when a 429 closes the way: for other replicas."""
        self._own: Pause[R] = Pause(now, sleep, self._notice(None))
        self._of_callers: OrderedDict[str, Pause[R]] = OrderedDict()

    def remaining(self, identity: str | None) -> float:
        """Return the seconds of a caller's wait that are left; 0: there is none."""
        pause = self._own if identity is None else self._of_callers.get(identity)
        return 0.0 if pause is None else pause.remaining

    def of(self, identity: str | None) -> Pause[R]:
        """Return the wait of a caller; None: of the gateway."""
        if identity is None:
            return self._own
        pause = self._of_callers.get(identity)
        if pause is None:
            notice = self._notice(identity)
            pause = self._of_callers[identity] = Pause(self._now, self._sleep, notice)
            if len(self._of_callers) > MAX_CALLERS:
                self._of_callers.popitem(last=False)
        else:
            self._of_callers.move_to_end(identity)
        return pause

    def close(self, identity: str | None, refusal: R, seconds: float) -> None:
        """Close the way of a caller because another replica was refused; one that is closed stays as it is."""
        self.of(identity).heard(refusal, seconds)

    def _notice(self, identity: str | None) -> Callable[[float], None]:
        def notice(seconds: float) -> None:
            if self.closed is not None:
                self.closed(identity, seconds)

        return notice


class Pause(Generic[R]):
    """Whether requests may go out. A request is identified by any object of its own."""

    def __init__(
        self,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        closed: Callable[[float], None] = lambda _: None,
    ) -> None:
        """``closed`` is called with the seconds when a 429 closes the way."""
        self._now = now
        self._sleep = sleep
        self._closed = closed
        self._refusal: R | None = None
        """The 429 that closed the way; None: it is open."""
        self._until = 0.0
        """Time, in seconds of the epoch, at which the next probe may go out."""
        self._leader: object | None = None
        self._outcome: asyncio.Future[R | None] | None = None
        """Of the leader's probe: another 429, or None if the way is open."""

    def blocks(self, request: object) -> bool:
        """Return whether a request must wait."""
        return self._refusal is not None and self._leader is not request

    @property
    def remaining(self) -> float:
        """Seconds until a probe may go out; 0: the way is open."""
        return 0.0 if self._refusal is None else max(0.0, self._until - self._now())

    @property
    def is_closed(self) -> bool:
        """Whether requests wait, or are refused."""
        return self._refusal is not None

    @property
    def is_probed(self) -> bool:
        """Whether a probe is under way."""
        return self._leader is not None

    @property
    def refusal(self) -> R | None:
        """What closed the way; None: it is open."""
        return self._refusal

    async def wait(
        self, request: object, allowed: Callable[[], float], *, waits: bool = True
    ) -> Closed[R] | None:
        """Wait until a request may be sent, at most ``allowed()`` seconds, and return None.

        It must then call ``close``, ``open`` or ``leave``. Returns the 429 that applies if it may not be sent.
        ``waits``: for the outcome of a probe that is under way, too.
        """
        while self._refusal is not None:
            remaining = round(self._until - self._now(), 3)
            if remaining > allowed():
                return Closed(self._refusal, remaining)
            if self._leader is None:
                await self._lead(request, max(0.0, remaining))
                return None
            if not waits:
                return Closed(self._refusal, max(0.0, remaining))
            assert self._outcome is not None
            # Shielded: a request that is cancelled must not cancel the outcome that others wait for.
            refusal = await asyncio.shield(self._outcome)
            if refusal is not None:
                return Closed(refusal)
        return None

    async def _lead(self, request: object, seconds: float) -> None:
        self._leader = request
        self._outcome = asyncio.get_running_loop().create_future()
        try:
            await self._sleep(seconds)
        except BaseException:
            self.leave(request)
            raise

    def close(self, request: object, refusal: R, seconds: float) -> None:
        """Close the way for so many seconds; the refusal is the 429 that the request got."""
        if self._leader is not request and self._refusal is not None:
            return  # sent before the way was closed: only the probe may prolong the wait
        self._refusal = refusal
        self._until = self._now() + seconds
        self._release(request, refusal)
        self._closed(seconds)

    def heard(self, refusal: R, seconds: float) -> None:
        """Close the way for so many seconds, unless it is closed; somebody else got the 429."""
        if self._refusal is None:
            self._refusal = refusal
            self._until = self._now() + seconds

    def open(self, request: object) -> None:
        """Open the way, if this request was the probe."""
        if self._leader is request:
            self._refusal = None
            self._release(request, None)

    def reopen(self) -> None:
        """Open the way for all, whoever has found that it is open."""
        self._refusal = None
        if self._leader is not None:
            self._release(self._leader, None)

    def leave(self, request: object) -> None:
        """Let another request lead, if this one did and was given up."""
        self._release(request, None)

    def _release(self, request: object, outcome: R | None) -> None:
        if self._leader is not request or self._outcome is None:
            return
        self._leader = None
        future, self._outcome = self._outcome, None
        if not future.done():
            future.set_result(outcome)
