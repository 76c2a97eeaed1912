"""Sends writes and tells what became of each: one by one, or several as one changeset.

A write is never sent twice on doubt (``ODataClient.write``). What cannot be told any more is an outcome too:
OUTCOME_UNKNOWN with what to check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.errors import GatewayError, OutcomeUnknown, UpstreamMalformed
from gateway.odata.answers import Response
from gateway.odata.batch import answers_of, changeset, refusing_part
from gateway.odata.client import Judge, itself
from gateway.odata.dialect import Dialect
from gateway.odata.infolog import NOT_FOUND
from gateway.odata.query import Request
from schema.fields import Verb

from .blame import refused_together
from .outcome import NameOf, Outcome, failed, outcome_of
from .plan import CallWrite, RowWrite
from .requests import call_request, row_request


class Writer(Protocol):
    """What is needed of the OData client."""

    root: str

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

    async def one(self, write: RowWrite) -> Outcome:
        """Write one row. An upsert is an update, and where there is no such row a create."""
        try:
            found = outcome_of(
                write, await self._send(row_request(write, self.dialect)), self.name_of
            )
        except GatewayError as error:
            return failed(write, told(error, write))
        is_missing = any(e.code == NOT_FOUND for e in found.errors)
        if write.verb is Verb.UPSERT and is_missing:
            made = await self.one(replace(write, verb=Verb.CREATE))
            return replace(made, write=write)
        return found

    async def together(self, writes: Sequence[RowWrite]) -> list[Outcome]:
        """Write rows in one changeset: all of them, or none."""
        requests = [row_request(write, self.dialect) for write in writes]
        try:
            answers = await self._changeset(requests)
        except GatewayError as error:
            return [failed(write, told(error, write)) for write in writes]
        bad = next((a for a in answers if a.status >= 300), None)
        if bad is not None:
            return refused_together(writes, bad, self.name_of)
        pairs = zip(writes, answers, strict=True)
        return [outcome_of(write, answer, self.name_of) for write, answer in pairs]

    async def _changeset(self, requests: Sequence[Request]) -> list[Response]:
        response = await self._send(changeset(requests), judge=refusing_part)
        try:
            answers = answers_of(response)
        except UpstreamMalformed as error:
            raise OutcomeUnknown(error.message, detail=error.detail) from error
        if len(answers) != len(requests) and all(a.status < 300 for a in answers):
            raise OutcomeUnknown(
                f"The upstream answered {len(answers)} of {len(requests)} writes of a changeset."
            )
        return answers

    async def call(self, call: CallWrite) -> Response:
        """Call an action or service and give the answer, good or bad. Raises GatewayError."""
        return await self._send(call_request(call))

    async def _send(self, request: Request, judge: Judge = itself) -> Response:
        self.sent.append(request)
        return await self.writer.write(request, judge)


def told(error: GatewayError, write: RowWrite) -> GatewayError:
    """Say of a lost answer what to check."""
    if isinstance(error, OutcomeUnknown):
        error.hint = what_to_check(write)
    return error


def what_to_check(write: RowWrite) -> str:
    """Tell which row to look at before the write is sent again."""
    key = ", ".join(f"{part.name} = {part.value.value}" for part in write.key or ())
    where = f"{write.entity_set} ({key})" if key else write.entity_set
    asked = {
        Verb.CREATE: "whether the row is there",
        Verb.DELETE: "whether the row is gone",
    }.get(write.verb, "whether the row has the new values")
    return f"Look in {where} {asked}, before you write again."
