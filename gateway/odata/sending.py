"""A call, sent until there is an answer or a fault that stays.

    outcome(Sending) ──pause──slot──▶ attempt ──▶ answer or fault
                         ▲                             │
                         └──────wait──── retry ◀───────┘ 429, 502, 503, 504, lost connection, timeout (``retry``)

Writes hold at most half of the ``concurrency`` slots (``WriteSlots``), so that slow writes leave room for reads. After
a 429 all requests share one wait (``pause``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import httpx
from msgspec import Struct

from gateway.config.settings import Settings
from gateway.events import Observer, RequestRetried, loggable

from .attempt import Attempts
from .decoding import Progress
from .lazy_request import Call
from .pause import Pause
from .response_check import Response, failure_of
from .retry import Clock, Failure, RetryPolicy, remaining_time, retry_after
from .transport_errors import Repeat, fault_of
from .upstream import OutcomePart, whole_response


class Sending(Struct, frozen=True, kw_only=True):
    """A call, and how it is sent."""

    call: Call
    may_repeat: Repeat
    is_write: bool = False
    progress: Progress | None = None
    outcome_part: OutcomePart = whole_response
    begins: Callable[[], None] | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of an attempt: an answer or a fault."""

    failure: Failure
    response: Response | None = None
    fault: httpx.RequestError | None = None
    wait: float | None = None
    """Seconds until the next attempt; None: there is none."""
    was_sent: bool = True
    """False: the answer is the one that another request got."""


class WriteSlots:
    """Slots of writes: some of all slots, so that the others remain for reads; an async context manager."""

    def __init__(self, slots: asyncio.Semaphore, most: int) -> None:
        self._slots = slots
        self._writes = asyncio.Semaphore(most)

    async def __aenter__(self) -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._writes)
            await stack.enter_async_context(self._slots)
            stack.pop_all()

    async def __aexit__(self, *_: object) -> None:
        self._slots.release()
        self._writes.release()


class Exchanges:
    """Sends the calls of one service, each in its turn and again where that may help."""

    def __init__(
        self, settings: Settings, attempts: Attempts, clock: Clock, observe: Observer
    ) -> None:
        self._settings = settings
        self._attempts = attempts
        self._clock = clock
        self._observe = observe
        self._policy = RetryPolicy(retries=settings.retries, wait_max=settings.retry_wait_max)
        self._pause = Pause(clock)
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._write_slots = WriteSlots(self._slots, max(1, settings.concurrency // 2))

    async def outcome(self, sending: Sending) -> Outcome:
        """Attempt, wait and attempt again until there is an answer or a fault that stays."""
        attempt = 0
        while True:
            attempt += 1
            outcome = await self._tried(sending, attempt)
            if outcome.wait is None or not sending.may_repeat(outcome.failure, outcome.fault):
                return outcome
            if outcome.was_sent:
                self._observe(_retried(sending.call, outcome, outcome.wait, attempt))
            if outcome.failure is not Failure.THROTTLED:  # those wait together: ``_tried``
                await self._clock.sleep(outcome.wait)

    async def _tried(self, sending: Sending, attempt: int) -> Outcome:
        """Attempt once, when the pause of all and the slots allow it."""
        call, pause = sending.call, self._pause
        try:
            while True:
                refusal = await self._barred(sending) if pause.bars(call) else None
                if refusal is not None:
                    wait = self._wait(Failure.THROTTLED, attempt, refusal, sending)
                    return Outcome(
                        failure=Failure.THROTTLED, response=refusal, wait=wait, was_sent=False
                    )
                async with self._write_slots if sending.is_write else self._slots:
                    if pause.bars(call):
                        continue
                    response = await self._attempts.once(
                        call, attempt, sending.progress, sending.begins
                    )
                break
            judged = sending.outcome_part(response)
        except httpx.RequestError as exc:
            pause.answered(call)
            failure = fault_of(exc).failure
            return Outcome(
                failure=failure, fault=exc, wait=self._wait(failure, attempt, None, sending)
            )
        except BaseException:
            pause.left(call)
            raise
        failure = failure_of(judged)
        wait = self._wait(failure, attempt, judged, sending)
        if failure is Failure.THROTTLED:
            pause.refused(
                call, judged, self._pause_after(judged, attempt) if wait is None else wait
            )
        else:
            pause.answered(call)
        return Outcome(failure=failure, response=response, wait=wait)

    async def _barred(self, sending: Sending) -> Response | None:
        """Wait with all others: a Response is the refusal that stands, None says that the call may go."""
        return await self._pause.passed(sending.call, partial(self._allowed, sending))

    def _wait(
        self, failure: Failure, attempt: int, response: Response | None, sending: Sending
    ) -> float | None:
        if failure is Failure.PERMANENT:
            return None
        asked = None if response is None else self._asked(response)
        allowed = self._allowed(sending)
        return self._policy.wait(failure, attempt, asked, self._clock.random(), allowed)

    def _pause_after(self, response: Response, attempt: int) -> float:
        """Return the seconds for which others wait after a 429 whose own request gives up."""
        asked = self._asked(response)
        return self._policy.pause(attempt, self._clock.random()) if asked is None else asked

    def _asked(self, response: Response) -> float | None:
        """Return the seconds after which the service wants to be asked again."""
        return retry_after(response.headers.get("retry-after"), self._clock.now())

    def _allowed(self, sending: Sending) -> float:
        """Return the seconds that a request may wait because the service asks for it: what is left to its operation.

        Outside an operation, those of a whole one; and a write that has begun goes on beyond the operation's end.
        """
        left = remaining_time()
        allowed = self._settings.operation_timeout if left is None else left
        return max(allowed, self._settings.retry_wait_max) if sending.is_write else allowed


def _retried(call: Call, outcome: Outcome, wait: float, attempt: int) -> RequestRetried:
    response = outcome.response
    reason = type(outcome.fault).__name__ if response is None else str(response.status)
    return RequestRetried(url=loggable(call.address), reason=reason, wait=wait, attempt=attempt)
