"""Sends writes and tells what became of each: one by one, or several as one changeset.

A write is never sent twice on doubt (``ODataClient.write``). What cannot be told any more is an outcome too:
OUTCOME_UNKNOWN with what to check.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Protocol

from gateway.errors import GatewayError, OutcomeUnknown, UpstreamMalformed
from gateway.events import loggable
from gateway.odata.batch import BATCH_URL, answers_of, changeset, refusing_part
from gateway.odata.dialect import Dialect
from gateway.odata.error_details import NOT_FOUND, Problem
from gateway.odata.query import Request
from gateway.odata.response_check import Response, raise_for_answer
from gateway.odata.sending import Judge, itself
from schema.catalog.records import Verb

from .bounds import Bounds
from .outcome import NameOf, Outcome, errors_of, failed, outcome_of, rolled_back
from .plan import CallWrite, RowWrite
from .refusal_attribution import BECAUSE, refused_together
from .requests import call_request, row_request
from .success import is_call_done, is_done

_PLAIN = (str, int, Decimal)
_NAMED = 4
"""Most properties that tell of a row which one it is, where its key is not known."""


class Writer(Protocol):
    """What is needed of the OData client."""

    root: str
    unfinished: set[asyncio.Task[Any]]
    """Tasks that must end before its connections are closed."""

    async def write(self, request: Request, judge: Judge = ...) -> Response:
        """Send a write once and give the service's answer, good or bad. Raises GatewayError."""
        ...


@dataclass(slots=True)
class Exchange:
    """The writes of one operation."""

    writer: Writer
    dialect: Dialect
    name_of: NameOf
    sent: list[Request]
    bounds: Bounds | None = None
    """What must not be sent; None: nothing is bounded."""

    async def one(self, write: RowWrite) -> Outcome:
        """Write one row. An upsert is an update, and where there is no such row a create."""
        try:
            ((judged, problem),) = await self._judged([write])
        except GatewayError as error:
            return failed(write, error)
        if problem is not None:
            return self._barred(write, problem)
        return await self._one(judged)

    async def _judged(self, writes: Sequence[RowWrite]) -> list[tuple[RowWrite, Problem | None]]:
        if self.bounds is None:
            return [(write, None) for write in writes]
        return await self.bounds.judged(writes)

    def _barred(self, write: RowWrite, problem: Problem) -> Outcome:
        problems = (problem,)
        errors = errors_of(write, problems, self.name_of)
        return Outcome(write=write, errors=errors, problems=problems)

    async def _one(self, write: RowWrite) -> Outcome:
        found = await self._tried(write)
        is_missing = any(e.code == NOT_FOUND for e in found.errors)
        if write.verb is Verb.UPSERT and is_missing:
            made = await self._one(replace(write, verb=Verb.CREATE))
            return replace(made, write=write)
        return found

    async def _tried(self, write: RowWrite) -> Outcome:
        addressed = () if write.verb is Verb.CREATE or write.key is None else write.key
        if self.dialect.batches_hazards and not self.dialect.key_is_safe(
            addressed, write.entity_set
        ):
            return (await self._together([write]))[0]
        try:
            response = await self._send(row_request(write, self.dialect))
        except GatewayError as error:
            return failed(write, error, advice(error, write))
        return self._outcome(write, response)

    def _outcome(self, write: RowWrite, response: Response) -> Outcome:
        """Return what became of a row by the answer to its write."""
        if response.status >= 300 or is_done(write, response):
            return outcome_of(write, response, self.name_of, self.dialect.errors)
        error = _unknown(response)
        return failed(write, error, advice(error, write))

    async def together(self, writes: Sequence[RowWrite]) -> list[Outcome]:
        """Write rows in one changeset: all of them, or none."""
        if not writes:
            return []
        try:
            judged = await self._judged(writes)
        except GatewayError as error:
            return [failed(write, error) for write in writes]
        barred = {n: self._barred(w, p) for n, (w, p) in enumerate(judged) if p is not None}
        if barred:
            cause = next(iter(barred.values()))
            return [
                barred.get(number) or rolled_back(Outcome(write=write), BECAUSE, cause=cause)
                for number, write in enumerate(writes)
            ]
        return await self._together([write for write, _ in judged])

    async def _together(self, writes: Sequence[RowWrite]) -> list[Outcome]:
        requests = [row_request(write, self.dialect) for write in writes]
        try:
            answers = await self._changeset(requests)
        except GatewayError as error:
            return [failed(write, error, advice(error, write)) for write in writes]
        if answers[0].status >= 300:
            return refused_together(writes, answers[0], self.name_of, self.dialect.errors)
        pairs = zip(writes, answers, strict=True)
        return [self._outcome(write, answer) for write, answer in pairs]

    async def _changeset(self, requests: Sequence[Request]) -> list[Response]:
        """Return the answer to each write, or the answers of a changeset that was refused. Raises GatewayError."""
        request = changeset(requests)
        response = await self._send(request, judge=refusing_part)
        if response.status >= 500:
            raise OutcomeUnknown(f"The upstream failed on a changeset (status {response.status}).")
        raise_for_answer(request, response, BATCH_URL, time.time(), self.dialect.errors)
        try:
            answers = answers_of(response)
        except UpstreamMalformed as error:
            raise OutcomeUnknown(error.message, detail=error.detail) from error
        good = sum(answer.status < 300 for answer in answers)
        if good and good != len(requests):
            raise OutcomeUnknown(
                f"The upstream took {good} of the {len(requests)} writes of a changeset,"
                f" and answered {len(answers)}."
            )
        return answers

    async def barred(self, call: CallWrite) -> Problem | None:
        """Return why a call must not be sent. Raises GatewayError."""
        return None if self.bounds is None else await self.bounds.judge_call(call)

    async def call(self, call: CallWrite) -> Response:
        """Call an action or service and give the answer, good or bad. Raises GatewayError."""
        try:
            response = await self._send(call_request(call))
            if response.status < 300 and not is_call_done(call, response):
                raise _unknown(response)
            return response
        except OutcomeUnknown as error:
            error.hint = (
                f"Look whether {call.path.partition('?')[0]} was done, before you call it again."
            )
            raise

    async def _send(self, request: Request, judge: Judge = itself) -> Response:
        self.sent.append(request)
        return await self.writer.write(request, judge)


def _unknown(response: Response) -> OutcomeUnknown:
    """Return the error for an answer below 300 that is not how the service says that a write was done."""
    return OutcomeUnknown(
        f"The upstream's answer (status {response.status}) does not tell whether it wrote.",
        detail=f"{response.status} {loggable(response.url)}: {response.body[:2_000]!r}",
        upstream_status=response.status,
        upstream_request_id=response.request_id,
    )


def advice(error: GatewayError, write: RowWrite) -> str | None:
    """Say of a lost answer what to check; None where the error says enough."""
    return what_to_check(write) if isinstance(error, OutcomeUnknown) else None


def what_to_check(write: RowWrite) -> str:
    """Tell which row to look at before the write is sent again."""
    if write.key is not None:
        known = [f"{part.name} = {part.value.value}" for part in write.key]
    else:
        known = [f"{n} = {v}" for n, v in write.body.items() if isinstance(v, _PLAIN)][:_NAMED]
    named = ", ".join(known)
    where = f"{write.entity_set} ({named})" if named else write.entity_set
    asked = {
        Verb.CREATE: "whether the row is there",
        Verb.DELETE: "whether the row is gone",
    }.get(write.verb, "whether the row has the new values")
    return f"Look in {where} {asked}, before you write again."
