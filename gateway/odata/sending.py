"""Sends a request until there is an answer, or an error that repeating it does not mend.

    outcome(Exchange) ──pause──slot──▶ attempt ──▶ answer or error
                          ▲                             │
                          └──────wait──── retry ◀───────┘ 429, 502, 503, 504, lost connection, timeout (``retry``)

Writes hold at most half of the ``concurrency`` slots (``WriteSlots``), so that slow writes leave room for reads. After
a 429 all requests of one identity share one wait (``pause``).
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

from .attempt import AttemptSender
from .decoding import Progress
from .lazy_request import LazyRequest
from .pause import Pause, Pauses
from .response_check import Response, failure_of
from .retry import Clock, Failure, RetryPolicy, remaining_time, retry_after
from .transport_errors import RetryRule, fault_of
from .upstream import OutcomePart, whole_response


class Exchange(Struct, frozen=True, kw_only=True):
    """A request, and how it is sent."""

    request: LazyRequest
    may_repeat: RetryRule
    auth: httpx.Auth | None = None
    """Whose credentials it carries; None: none."""
    identity: str | None = None
    """The caller whose identity it has; None: the gateway."""
    is_write: bool = False
    progress: Progress | None = None
    outcome_part: OutcomePart = whole_response
    begins: Callable[[], None] | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of an attempt: an answer or an error."""

    failure: Failure
    response: Response | None = None
    error: httpx.RequestError | None = None
    wait: float | None = None
    """Seconds until the next attempt; None if there is none."""
    was_sent: bool = True
    """False if the answer is a 429 that another request got."""


class WriteSlots:
    """An async context manager that holds one of the slots, and one of those that writes may hold."""

    def __init__(self, slots: asyncio.Semaphore, limit: int) -> None:
        self._slots = slots
        self._writes = asyncio.Semaphore(limit)

    async def __aenter__(self) -> None:
        # A write that is cancelled while it waits for the second must give back the first.
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._writes)
            await stack.enter_async_context(self._slots)
            stack.pop_all()

    async def __aexit__(self, *_: object) -> None:
        self._slots.release()
        self._writes.release()


class RetryingSender:
    """Sends the requests to one service, each in its turn, and again if that may help."""

    def __init__(
        self, settings: Settings, attempts: AttemptSender, clock: Clock, observe: Observer
    ) -> None:
        self._settings = settings
        self._attempts = attempts
        self._clock = clock
        self._observe = observe
        self._policy = RetryPolicy(retries=settings.retries, wait_max=settings.retry_wait_max)
        self._pauses = Pauses(clock)
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._write_slots = WriteSlots(self._slots, max(1, settings.concurrency // 2))

    async def outcome(self, exchange: Exchange) -> Outcome:
        """Return the outcome of the last attempt. Raises what ``AttemptSender.send`` raises, but no httpx errors."""
        number = 0
        while True:
            number += 1
            outcome = await self._attempt(exchange, number)
            if outcome.wait is None or not exchange.may_repeat(outcome.failure, outcome.error):
                return outcome
            if outcome.was_sent:
                self._observe(_retried(exchange.request, outcome, outcome.wait, number))
            if outcome.failure is not Failure.THROTTLED:  # those wait together, in ``_attempt``
                await self._clock.sleep(outcome.wait)

    async def _attempt(self, exchange: Exchange, number: int) -> Outcome:
        """Send once, when the pause and the slots allow it."""
        request, pause = exchange.request, self._pauses.of(exchange.identity)
        try:
            while True:
                refusal = await self._wait_turn(exchange, pause) if pause.blocks(request) else None
                if refusal is not None:
                    wait = self._wait(Failure.THROTTLED, number, refusal, exchange)
                    return Outcome(
                        failure=Failure.THROTTLED, response=refusal, wait=wait, was_sent=False
                    )
                async with self._write_slots if exchange.is_write else self._slots:
                    # The way may have been closed while this one waited for a slot.
                    if pause.blocks(request):
                        continue
                    response = await self._attempts.send(
                        request, number, exchange.auth, exchange.progress, exchange.begins
                    )
                break
            part = exchange.outcome_part(response)
        except httpx.RequestError as error:
            pause.open(request)
            failure = fault_of(error).failure
            wait = self._wait(failure, number, None, exchange)
            return Outcome(failure=failure, error=error, wait=wait)
        except BaseException:
            pause.leave(request)
            raise
        failure = failure_of(part)
        wait = self._wait(failure, number, part, exchange)
        if failure is Failure.THROTTLED:
            pause.close(request, part, self._pause_after(part, number) if wait is None else wait)
        else:
            pause.open(request)
        return Outcome(failure=failure, response=response, wait=wait)

    async def _wait_turn(self, exchange: Exchange, pause: Pause) -> Response | None:
        """Wait with all others; return None if the request may go out, else the 429 that applies to it."""
        return await pause.wait(exchange.request, partial(self._allowed, exchange))

    def _wait(
        self, failure: Failure, number: int, response: Response | None, exchange: Exchange
    ) -> float | None:
        if failure is Failure.PERMANENT:
            return None
        requested = None if response is None else self._requested_wait(response)
        allowed = self._allowed(exchange)
        return self._policy.wait(failure, number, requested, self._clock.random(), allowed)

    def _pause_after(self, response: Response, number: int) -> float:
        """Return the seconds for which others wait after a 429 whose own request gives up."""
        requested = self._requested_wait(response)
        if requested is None:
            return self._policy.pause(number, self._clock.random())
        return requested

    def _requested_wait(self, response: Response) -> float | None:
        """Return the seconds of ``Retry-After``; None if the service does not say."""
        return retry_after(response.headers.get("retry-after"), self._clock.now())

    def _allowed(self, exchange: Exchange) -> float:
        """Return the seconds that a request may wait because the service asks for it: what its operation has left.

        Outside an operation, those of a whole one; and a write that has begun continues beyond the operation's end.
        """
        remaining = remaining_time()
        allowed = self._settings.operation_timeout if remaining is None else remaining
        return max(allowed, self._settings.retry_wait_max) if exchange.is_write else allowed


def _retried(request: LazyRequest, outcome: Outcome, wait: float, number: int) -> RequestRetried:
    response = outcome.response
    reason = type(outcome.error).__name__ if response is None else str(response.status)
    return RequestRetried(url=loggable(request.address), reason=reason, wait=wait, attempt=number)
