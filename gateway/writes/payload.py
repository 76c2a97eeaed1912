"""Payloads: what became of a mutation, as graphql-core reads it when it completes the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.operations.pages import Failure
from schema.catalog.records import PayloadField, PayloadRole

from .outcome import Outcome, UserError
from .payload_rows import Read


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One payload; what does not belong to its type is empty."""

    row: Any = None
    etag: str | None = None
    errors: tuple[UserError, ...] = ()
    results: tuple[Payload, ...] = ()
    result: Any = None
    output: Mapping[str, Any] = field(default_factory=dict)


def row_payload(outcome: Outcome, read: Read) -> Payload:
    """Return the payload of one row."""
    return Payload(row=read.row, etag=read.etag, errors=outcome.errors)


def list_payload(outcomes: Sequence[Outcome], reads: Sequence[Read]) -> Payload:
    """Return the payload of a list of rows; what is wrong with the upstream stands beside the rows, once."""
    pairs = zip(outcomes, reads, strict=True)
    said = {(o.cause.code, o.cause.message): None for o in outcomes if o.cause is not None}
    errors = tuple(UserError(code=code, message=text, path=("input",)) for code, text in said)
    return Payload(results=tuple(row_payload(o, read) for o, read in pairs), errors=errors)


def with_conflicts(outcome: Outcome, conflicts: tuple[Mapping[str, Any], ...]) -> Outcome:
    """Put the fields that differ into the conflict's error."""
    errors = tuple(
        replace(e, conflicts=conflicts) if e.code == "CONFLICT" else e for e in outcome.errors
    )
    return replace(outcome, errors=errors)


_READ: Mapping[PayloadRole, Callable[[Payload, PayloadField], Any]] = {
    PayloadRole.ROW: lambda payload, _: payload.row,
    PayloadRole.ETAG: lambda payload, _: payload.etag,
    PayloadRole.RESULT: lambda payload, _: payload.result,
    PayloadRole.RESULTS: lambda payload, _: list(payload.results),
    PayloadRole.OUTPUT: lambda payload, asked: payload.output.get(asked.source),
    PayloadRole.USER_ERRORS: lambda payload, _: [e.as_value() for e in payload.errors],
}


def read_field(asked: PayloadField, payload: Payload) -> Any:
    """Return the value of a field; raises what kept its row from being read."""
    value = _READ[asked.role](payload, asked)
    if isinstance(value, Failure):
        raise value.error
    return value
