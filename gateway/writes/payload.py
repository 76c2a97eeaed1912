"""The payloads of mutations, as graphql-core reads them when it completes the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.operations.pages import Failure
from schema.catalog.records import PayloadField, PayloadRole, Verb

from .outcome import Outcome, UserError
from .payload_reader import PayloadRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One payload; fields that its GraphQL type does not have are empty."""

    row: Any = None
    """A row, None, or a Failure."""
    etag: str | None = None
    created: bool | None = None
    """Of a row that is there after a create: whether it is new."""
    errors: tuple[UserError, ...] = ()
    results: tuple[Payload, ...] = ()
    """Those of the rows of a list."""
    result: Any = None
    """What an action returned: rows, a plain value, or a Failure."""
    output: Mapping[str, Any] = field(default_factory=dict)
    """What a custom service returned, by JSON property."""


def row_payload(outcome: Outcome, row: PayloadRow, verb: Verb) -> Payload:
    """Return the payload of one row; ``verb`` is that of the mutation."""
    created = _is_created(outcome) if verb is Verb.CREATE else None
    return Payload(row=row.row, etag=row.etag, created=created, errors=outcome.errors)


def _is_created(outcome: Outcome) -> bool | None:
    """Return whether a create has made the row that is there; None if there is none."""
    if outcome.row is not None:
        return outcome.is_new
    return True if outcome.is_done or outcome.response is not None else None


def list_payload(outcomes: Sequence[Outcome], rows: Sequence[PayloadRow], verb: Verb) -> Payload:
    """Return the payload of a list of rows; a failure of the upstream stands beside the rows, once."""
    causes = {(o.cause.code, o.cause.message): None for o in outcomes if o.cause is not None}
    errors = tuple(UserError(code=code, message=text, path=("input",)) for code, text in causes)
    results = tuple(row_payload(o, row, verb) for o, row in zip(outcomes, rows, strict=True))
    return Payload(results=results, errors=errors)


def with_conflicts(outcome: Outcome, conflicts: tuple[Mapping[str, Any], ...]) -> Outcome:
    """Return the outcome with the fields that differ in the error of its conflict."""
    errors = tuple(
        replace(e, conflicts=conflicts) if e.code == "CONFLICT" else e for e in outcome.errors
    )
    return replace(outcome, errors=errors)


_READ: Mapping[PayloadRole, Callable[[Payload, PayloadField], Any]] = {
    PayloadRole.ROW: lambda payload, _: payload.row,
    PayloadRole.ETAG: lambda payload, _: payload.etag,
    PayloadRole.CREATED: lambda payload, _: payload.created,
    PayloadRole.RESULT: lambda payload, _: payload.result,
    PayloadRole.RESULTS: lambda payload, _: list(payload.results),
    PayloadRole.OUTPUT: lambda payload, field: payload.output.get(field.source),
    PayloadRole.USER_ERRORS: lambda payload, _: [e.to_dict() for e in payload.errors],
}


def read_field(field: PayloadField, payload: Payload) -> Any:
    """Return the value of a field. Raises the GatewayError for which a row could not be read."""
    value = _READ[field.role](payload, field)
    if isinstance(value, Failure):
        raise value.error
    return value
