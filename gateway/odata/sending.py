"""Sends a request until there is an answer, or an error that repeating it does not mend.

    outcome(Exchange) ──pause──turn──▶ attempt ──▶ answer or error ──▶ admission learns
                          ▲                             │
                          └──────wait──── retry ◀───────┘ 429, 502, 503, 504, lost connection, timeout (``retry``)

``gateway.admission`` decides when a request is sent, and how many are at a time. After a 429 that names a time, or with
which nobody is answered any more, all requests of one identity share one wait (``pause``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil

import httpx
from msgspec import Struct, structs

from gateway.admission.admission import Admission
from gateway.admission.pause import Closed, Pause
from gateway.admission.slots import Outcome as Ending
from gateway.admission.slots import Sent
from gateway.admission.work import Work, current_work
from gateway.config.settings import Settings
from gateway.events import Observer, RequestRetried, loggable
from gateway.events.admission import BreakerClosed, BreakerOpened, LimitLowered
from gateway.telemetry.operation_scope import current_scope

from .attempt import AttemptSender
from .body_reader import BodyReader
from .decoding import Progress
from .lazy_request import LazyRequest
from .long_values import holds_file
from .response_check import Response, failure_of
from .retry import Clock, Failure, RetryPolicy, remaining_time, retry_after
from .transport_errors import RetryRule, fault_of
from .upstream import OutcomePart, whole_response

BUSY = frozenset({429, 503})
"""Statuses of a service that has too much to do."""


class Exchange(Struct, frozen=True, kw_only=True):
    """A request, and how it is sent."""

    request: LazyRequest
    may_repeat: RetryRule
    auth: httpx.Auth | None = None
    """Whose credentials it carries; None: none."""
    identity: str | None = None
    """The caller whose identity it has; None: the gateway."""
    is_write: bool = False
    is_exempt: bool = False
    """Whether it takes no slot."""
    progress: Progress | None = None
    outcome_part: OutcomePart = whole_response
    begins: Callable[[], None] | None = None
    reader: BodyReader | None = None
    """Reads the answer while it arrives; once it has begun nothing is repeated."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of an attempt: an answer or an error."""

    failure: Failure
    response: Response | None = None
    error: httpx.RequestError | None = None
    wait: float | None = None
    """Seconds until the next attempt; None if there is none."""
    was_sent: bool = True
    """False if the answer is a 429 that another request got."""
    waits_with_others: bool = False
    """Whether the wait is that of all requests of its identity."""


class RetryingSender:
    """Sends the requests to one service with one credential, each in its turn, and again if that may help."""

    def __init__(
        self,
        settings: Settings,
        attempts: AttemptSender,
        clock: Clock,
        observe: Observer,
        admission: Admission[Response],
    ) -> None:
        self._settings = settings
        self._attempts = attempts
        self._clock = clock
        self._observe = observe
        self._policy = RetryPolicy(retries=settings.retries, wait_max=settings.retry_wait_max)
        self.admission = admission

    def use_dialect(self, dialect: str) -> None:
        """Name the service's dialect in events from now on."""
        self._attempts.dialect = dialect

    async def outcome(self, exchange: Exchange) -> Outcome:
        """Return the outcome of the last attempt.

        Raises what ``AttemptSender.send`` raises, but no httpx errors, and Overloaded.
        """
        scope = current_scope()
        if scope is None:
            return await self._outcome(exchange)
        scope.begin_wait()
        try:
            return await self._outcome(exchange)
        finally:
            scope.end_wait()

    async def _outcome(self, exchange: Exchange) -> Outcome:
        number = 0
        while True:
            number += 1
            outcome = await self._attempt(exchange, number)
            if outcome.wait is None or not exchange.may_repeat(outcome.failure, outcome.error):
                return outcome
            if exchange.reader is not None and exchange.reader.has_begun:
                return outcome
            if outcome.was_sent:
                self._observe(_retried(exchange.request, outcome, outcome.wait, number))
            if not outcome.waits_with_others:
                await self._clock.sleep(outcome.wait)

    async def _attempt(self, exchange: Exchange, number: int) -> Outcome:
        """Send once, when the pause and the slots allow it."""
        request, admission, work = exchange.request, self.admission, current_work()
        pause, breaker = admission.pauses.of(exchange.identity), admission.breaker
        asked_at = admission.now()
        try:
            while True:
                if breaker.blocks(request) and not (exchange.is_write or exchange.is_exempt):
                    await breaker.enter(request)
                closed = await self._wait_turn(exchange, pause) if pause.blocks(request) else None
                if closed is not None:
                    breaker.leave(request)
                    return self._not_sent(exchange, number, closed)
                if not exchange.is_exempt and not admission.begins(
                    work, is_write=exchange.is_write
                ):
                    await admission.turn(work, is_write=exchange.is_write)
                    # The way may have been closed while this one waited for a slot.
                    is_barred = not exchange.is_write and breaker.blocks(request)
                    if is_barred or pause.blocks(request):
                        admission.give_back(work, is_write=exchange.is_write)
                        continue
                return await self._send(exchange, number, pause, work, asked_at)
        except BaseException:
            pause.leave(request)
            breaker.leave(request)
            raise

    async def _send(
        self, exchange: Exchange, number: int, pause: Pause[Response], work: Work, asked_at: float
    ) -> Outcome:
        """Send once, in the slot that the request holds, and free it."""
        now = self.admission.now
        began_at, ending, closing = now(), Ending.OTHER, 0.0
        try:
            response = await self._attempts.send(
                exchange.request,
                number,
                exchange.auth,
                exchange.progress,
                exchange.begins,
                waited=began_at - asked_at,
                reader=exchange.reader,
            )
            self._is_answered()
            part = exchange.outcome_part(response)
            failure = failure_of(part)
            is_busy = part.status in BUSY or failure is Failure.SLOW
            ending = Ending.REFUSED if is_busy else Ending.ANSWERED
            if not is_busy and holds_file(exchange.request.sent_text, exchange.reader):
                # It took as long as the file is, and the gateway's client has let it.
                ending = Ending.OTHER
            if failure is Failure.THROTTLED:
                outcome = self._throttled(exchange, number, pause, response, part)
                closing = pause.remaining
                return outcome
            pause.open(exchange.request)
            wait = self._wait(failure, number, part, exchange)
            return Outcome(failure=failure, response=response, wait=wait)
        except httpx.RequestError as error:
            text = exchange.request.sent_text
            if text is not None and text.failure is not None:
                # The gateway's client is to blame, and the service cannot have read a body without its end.
                raise text.failure from error
            pause.open(exchange.request)
            failure = fault_of(error).failure
            self._is_unanswered(exchange, failure, error)
            if failure is Failure.SLOW:
                ending = Ending.REFUSED
            wait = self._wait(failure, number, None, exchange)
            return Outcome(failure=failure, error=error, wait=wait)
        finally:
            if not exchange.is_exempt:
                self._ended(
                    Sent(
                        work=work,
                        is_write=exchange.is_write,
                        kind=_kind_of(exchange.request),
                        outcome=ending,
                        waited=began_at - asked_at,
                        seconds=now() - began_at - _apart(exchange),
                        pause=closing,
                    )
                )

    def _is_answered(self) -> None:
        """Note that the service answers; say so if it did not before."""
        seconds = self.admission.breaker.answered()
        if seconds is not None:
            self._observe(BreakerClosed(seconds=seconds))

    def _is_unanswered(
        self, exchange: Exchange, failure: Failure, error: httpx.RequestError
    ) -> None:
        """Note that the service did not answer a request; say so if none are sent for now."""
        breaker = self.admission.breaker
        if failure is Failure.PERMANENT:  # it says nothing of the service
            breaker.leave(exchange.request)
            return
        reason = type(error).__name__
        pause = breaker.failed(exchange.request, reason)
        if pause is not None:
            self._observe(BreakerOpened(reason=reason, pause=pause))

    def _ended(self, sent: Sent) -> None:
        """Free the slot of a request, and say so if fewer may be under way now."""
        admission = self.admission
        before = admission.limit
        admission.ended(sent)
        if sent.outcome is Ending.REFUSED and admission.limit < before:
            lane = sent.work.lane.name.lower()
            limit, busy, waiting = admission.limit, admission.under_way, admission.waiting
            self._observe(LimitLowered(lane=lane, limit=limit, under_way=busy, waiting=waiting))

    def _throttled(
        self,
        exchange: Exchange,
        number: int,
        pause: Pause[Response],
        response: Response,
        part: Response,
    ) -> Outcome:
        """Return the outcome of a 429: the request waits by itself, or the way is closed for all of its identity."""
        alone = self.admission.is_refused_alone()
        if alone and self._requested_wait(part) is None:
            pause.open(exchange.request)
            wait = self._wait(Failure.REFUSED, number, part, exchange)
            return Outcome(failure=Failure.THROTTLED, response=response, wait=wait)
        wait = self._wait(Failure.THROTTLED, number, part, exchange)
        closed_for = self._pause_after(part, number) if wait is None else wait
        pause.close(exchange.request, part, closed_for)
        return Outcome(
            failure=Failure.THROTTLED, response=response, wait=wait, waits_with_others=True
        )

    def _not_sent(self, exchange: Exchange, number: int, closed: Closed[Response]) -> Outcome:
        """Return the outcome of a request that was not sent, because of a 429 that another got."""
        refusal = closed.refusal
        if closed.remaining is not None:
            headers = {"retry-after": str(max(1, ceil(closed.remaining)))}
            refusal = structs.replace(refusal, headers=headers)
        wait = self._wait(Failure.THROTTLED, number, refusal, exchange)
        return Outcome(
            failure=Failure.THROTTLED,
            response=refusal,
            wait=wait,
            was_sent=False,
            waits_with_others=True,
        )

    async def _wait_turn(
        self, exchange: Exchange, pause: Pause[Response]
    ) -> Closed[Response] | None:
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


def _apart(exchange: Exchange) -> float:
    """Return the seconds of an attempt that are not the service's, as the reader of its answer was busy."""
    return 0.0 if exchange.reader is None else exchange.reader.apart


def _kind_of(request: LazyRequest) -> str:
    """``GET https://fo.example/data/Customers(…)?$select=Name`` → ``GET https://fo.example/data/Customers()``."""
    path = request.address.partition("?")[0]
    opening = path.find("(")
    return f"{request.method} {path if opening < 0 else path[:opening] + '()'}"


def _retried(request: LazyRequest, outcome: Outcome, wait: float, number: int) -> RequestRetried:
    response = outcome.response
    reason = type(outcome.error).__name__ if response is None else str(response.status)
    return RequestRetried(url=loggable(request.address), reason=reason, wait=wait, attempt=number)
