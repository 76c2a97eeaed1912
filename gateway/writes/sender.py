"""Sends writes and returns the outcome of each: one by one, or several as one changeset.

A write is never sent twice on doubt (``ODataClient.write``). A write whose fate is unknown has an outcome too:
OUTCOME_UNKNOWN, with what to check.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from gateway.errors import AuditUnavailable, GatewayError, OutcomeUnknown, UpstreamMalformed
from gateway.events import loggable
from gateway.odata.batch import BATCH_URL, changeset, parse_groups, refusing_part
from gateway.odata.batch_parts import holding
from gateway.odata.dialect import Dialect
from gateway.odata.error_details import NOT_FOUND, Problem
from gateway.odata.query import Request
from gateway.odata.response_check import Response, raise_for_answer
from gateway.odata.transport_errors import is_slow
from gateway.odata.upstream import OutcomePart, WriteUpstream, whole_response
from schema.catalog.records import Verb

from .audit_trail import WriteTrail, with_outcome
from .bounds import CompanyBounds
from .outcome import (
    FieldName,
    Outcome,
    failed_outcome,
    read_outcome,
    rolled_back_outcome,
    user_errors,
)
from .plan import CallWrite, RowWrite
from .refusal_attribution import ROLLED_BACK_REASON, attribute_refusal
from .requests import call_request, row_request
from .role_bounds import RoleBounds
from .shown_refusals import ShownRefusals
from .success import is_call_done, is_done

_PLAIN = (str, int, Decimal)
_TIMES_OUT = (408, 504)
_MAX_IDENTIFYING = 4
"""Properties that identify a row in a message if its key is not known."""


@dataclass(slots=True)
class WriteSender:
    """Sends the writes of one operation."""

    writer: WriteUpstream
    dialect: Dialect
    field_name: FieldName
    sent: list[Request]
    """The requests of the operation, to which each write is appended."""
    bounds: CompanyBounds | RoleBounds | None = None
    """Which writes must not be sent; None if all may."""
    refusals: ShownRefusals | None = None
    """How refusals are shown to callers with roles; None: as they are."""
    trail: WriteTrail | None = None
    """Where writes are recorded; None if they are not."""
    with_key: Callable[[Outcome], Outcome] = field(default=lambda outcome: outcome)
    """Returns an outcome with the key that the upstream gave a new row, for the record."""
    answer_id: str | None = field(default=None, init=False)
    """The upstream's id of the last write; None if it was not sent, or its answer has none."""
    has_sent: bool = field(default=False, init=False)
    """Whether anything was written or tried."""
    may_still_run: bool = field(default=False, init=False)
    """Whether the service has not answered a write in time: it may still be at it."""

    async def write_row(self, write: RowWrite) -> Outcome:
        """Write one row. An upsert is an update, and a create if there is no such row.

        Raises AuditUnavailable if it would be the first write of the operation, and cannot be recorded.
        """
        return (await self._recorded([write], self._write_one))[0]

    async def _recorded(
        self,
        writes: Sequence[RowWrite],
        send: Callable[[Sequence[RowWrite]], Awaitable[list[Outcome]]],
    ) -> list[Outcome]:
        """Send writes, and record them before and after."""
        trail = self.trail
        if trail is None:
            return await send(writes)
        entries = trail.entries_of(writes)
        try:
            await trail.announce(entries)
        except AuditUnavailable as error:
            if not self.has_sent:
                raise
            return [failed_outcome(write, error) for write in writes]
        self.answer_id = None
        try:
            outcomes = await send(writes)
            pairs = zip(entries, map(self.with_key, outcomes), strict=True)
            results = [with_outcome(e, o, self.answer_id) for e, o in pairs]
        except BaseException:
            trail.abandon(entries)
            raise
        await trail.close(results)
        return outcomes

    async def _write_one(self, writes: Sequence[RowWrite]) -> list[Outcome]:
        (write,) = writes
        try:
            ((checked, problem),) = await self._check([write])
        except GatewayError as error:
            return [failed_outcome(write, error)]
        if problem is not None:
            return [self._refuse(write, problem)]
        return [await self._write_checked(checked)]

    async def _check(self, writes: Sequence[RowWrite]) -> list[tuple[RowWrite, Problem | None]]:
        if self.bounds is None:
            return [(write, None) for write in writes]
        return await self.bounds.check_rows(writes)

    def _refuse(self, write: RowWrite, problem: Problem) -> Outcome:
        problems = (problem,)
        errors = user_errors(write, problems, self.field_name)
        return Outcome(write=write, errors=errors, problems=problems)

    async def _write_checked(self, write: RowWrite) -> Outcome:
        (outcome,) = await self._shown([await self._try(write)])
        is_missing = any(e.code == NOT_FOUND for e in outcome.errors)
        # F&O answers 404 to a PATCH of a missing row: an upsert costs a second request only then.
        if write.verb is Verb.UPSERT and is_missing:
            created = await self._write_checked(replace(write, verb=Verb.CREATE))
            return replace(created, write=write)
        return outcome

    async def _try(self, write: RowWrite) -> Outcome:
        addressed = () if write.verb is Verb.CREATE or write.key is None else write.key
        # A key that web servers would not let through in an address goes into the body of a $batch.
        if self.dialect.batches_hazards and not self.dialect.key_is_safe(
            addressed, write.entity_set
        ):
            return (await self._send_changeset([write]))[0]
        try:
            response = await self._send(row_request(write, self.dialect))
        except GatewayError as error:
            return failed_outcome(write, error, _advice(error, write))
        return self._outcome(write, response)

    def _outcome(self, write: RowWrite, response: Response) -> Outcome:
        """Return the outcome of a row by the answer to its write."""
        if response.status >= 300 or is_done(write, response):
            return read_outcome(write, response, self.field_name, self.dialect.errors)
        error = unknown_by(response)
        return failed_outcome(write, error, _advice(error, write))

    async def _shown(self, outcomes: list[Outcome]) -> list[Outcome]:
        return outcomes if self.refusals is None else await self.refusals.of_rows(outcomes)

    def refused_below(self, write: RowWrite) -> list[Outcome]:
        """Return the outcomes of rows below a new row that must not be written, whatever its key will be."""
        if not isinstance(self.bounds, RoleBounds):
            return []
        return [self._refuse(row, problem) for row, problem in self.bounds.check_below(write)]

    async def write_changeset(self, writes: Sequence[RowWrite]) -> list[Outcome]:
        """Write rows in one changeset: all of them, or none. Raises AuditUnavailable as ``write_row`` does."""
        if not writes:
            return []
        return await self._recorded(writes, self._write_group)

    async def _write_group(self, writes: Sequence[RowWrite]) -> list[Outcome]:
        try:
            checked = await self._check(writes)
        except GatewayError as error:
            return [failed_outcome(write, error) for write in writes]
        refused = self._refused_together(checked)
        if refused is not None:
            return refused
        return await self._send_changeset([write for write, _ in checked])

    def _refused_together(
        self, checked: Sequence[tuple[RowWrite, Problem | None]]
    ) -> list[Outcome] | None:
        """Return the outcomes of rows of one changeset of which some must not be sent; None if all may."""
        refused = {n: self._refuse(w, p) for n, (w, p) in enumerate(checked) if p is not None}
        if not refused:
            return None
        cause = next(iter(refused.values()))
        return [
            refused.get(number)
            or rolled_back_outcome(Outcome(write=write), ROLLED_BACK_REASON, cause=cause)
            for number, (write, _) in enumerate(checked)
        ]

    async def _send_changeset(self, writes: Sequence[RowWrite]) -> list[Outcome]:
        requests = [row_request(write, self.dialect) for write in writes]
        try:
            answers = await self._changeset_answers(requests)
        except GatewayError as error:
            return self._failed(writes, error)
        if answers[0].status >= 300:
            return await self._shown(
                attribute_refusal(writes, answers[0], self.field_name, self.dialect.errors)
            )
        pairs = zip(writes, answers, strict=True)
        return [self._outcome(write, answer) for write, answer in pairs]

    def _failed(self, writes: Sequence[RowWrite], error: GatewayError) -> list[Outcome]:
        """Return the outcomes of rows of one request that failed."""
        return [failed_outcome(write, error, _advice(error, write)) for write in writes]

    async def _changeset_answers(self, requests: Sequence[Request]) -> list[Response]:
        """Return the answer to each write, or the answers of a changeset that was refused. Raises GatewayError."""
        with holding(requests) as parts:
            response = await self._batch_answer(changeset(requests), refusing_part)
        answers = [answer for group in groups_in(response) for answer in group]
        parts.answered(answers)
        # A changeset is all or nothing; an answer that says otherwise cannot be believed.
        good = sum(answer.status < 300 for answer in answers)
        if good and good != len(requests):
            raise OutcomeUnknown(
                f"The upstream took {good} of the {len(requests)} writes of a changeset,"
                f" and answered {len(answers)}."
            )
        return answers

    async def _batch_answer(self, request: Request, outcome_part: OutcomePart) -> Response:
        """Return the answer to a batch of writes. Raises GatewayError if it is none."""
        response = await self._send(request, outcome_part)
        if response.status >= 500:
            what = "changeset" if outcome_part is refusing_part else "batch"
            raise OutcomeUnknown(f"The upstream failed on a {what} (status {response.status}).")
        raise_for_answer(request, response, BATCH_URL, time.time(), self.dialect.errors)
        return response

    async def check_call(self, call: CallWrite) -> Problem | None:
        """Return why a call must not be sent; None if it may. Raises GatewayError."""
        return None if self.bounds is None else await self.bounds.check_call(call)

    async def call(self, call: CallWrite) -> Response:
        """Call an action or service and return the answer, good or bad. Raises GatewayError."""
        try:
            response = await self._send(call_request(call))
            if response.status < 300 and not is_call_done(call, response):
                raise unknown_by(response)
            return response
        except OutcomeUnknown as error:
            name = call.path.partition("?")[0]
            error.hint = f"Check whether {name} was done before you call it again."
            raise

    async def _send(self, request: Request, outcome_part: OutcomePart = whole_response) -> Response:
        self.sent.append(request)
        self.has_sent = True
        try:
            response = await self.writer.write(request, outcome_part)
        except OutcomeUnknown as error:
            self.may_still_run |= error.upstream_status in _TIMES_OUT or is_slow(error.__cause__)
            raise
        self.answer_id = response.request_id
        return response


def groups_in(response: Response) -> list[list[Response]]:
    """Return the answers in the answer to a batch of writes. Raises OutcomeUnknown if it cannot be read."""
    try:
        return parse_groups(response)
    except UpstreamMalformed as error:
        raise OutcomeUnknown(error.message, detail=error.detail) from error


def unknown_by(response: Response) -> OutcomeUnknown:
    """Return the error for an answer below 300 that is not how the service says that a write was done."""
    return OutcomeUnknown(
        f"The upstream's answer (status {response.status}) does not show whether it wrote.",
        detail=f"{response.status} {loggable(response.url)}: {response.body[:2_000]!r}",
        upstream_status=response.status,
        upstream_request_id=response.request_id,
    )


def _advice(error: GatewayError, write: RowWrite) -> str | None:
    """Return what to check after a lost answer; None if the error says enough."""
    return what_to_check(write) if isinstance(error, OutcomeUnknown) else None


def what_to_check(write: RowWrite) -> str:
    """Return a sentence that says which row to check before the write is sent again."""
    if write.key is not None:
        values = [f"{name} = {value}" for name, value in write.key_values.items()]
    else:
        sent = {n: v for n, v in write.body.items() if n not in write.presets}
        plain = [f"{n} = {v}" for n, v in sent.items() if isinstance(v, _PLAIN)]
        values = plain[:_MAX_IDENTIFYING]
    row = f"{write.entity_set} ({', '.join(values)})" if values else write.entity_set
    question = {
        Verb.CREATE: "whether the row exists",
        Verb.DELETE: "whether the row is gone",
    }.get(write.verb, "whether the row has the new values")
    return f"Check in {row} {question} before you write again."
