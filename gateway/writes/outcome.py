"""What became of a write, read from the upstream's answer by its body and not by its status.

F&O refuses with 400 and with 500 alike; the error object tells that business logic said no. What is no such answer
leaves open whether the write happened: the client raises OutcomeUnknown for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from gateway.errors import GatewayError
from gateway.odata.error_details import CONFLICT, NOT_FOUND, ErrorDetails, Problem
from gateway.odata.error_envelope import Envelope, refusal_of
from gateway.odata.response_check import Response
from schema.catalog.records import Verb

from .plan import Place, RowWrite

ROLLED_BACK = "ROLLED_BACK"
OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
NOT_SENT = "NOT_SENT"
PARTLY_WRITTEN = "PARTLY_WRITTEN"
ABSENT = Problem(NOT_FOUND, "There is no row with this key that may be written.")
_CONFLICTS = frozenset({409, 412})


@dataclass(frozen=True, slots=True, kw_only=True)
class UserError:
    """Why a row was not written; the GraphQL type ``UserError``."""

    code: str
    message: str
    field: str | None = None
    path: Place = ()
    conflicts: tuple[Mapping[str, Any], ...] = ()

    def as_value(self) -> dict[str, Any]:
        """Return it as the resolvers read it."""
        return {
            "code": self.code,
            "message": self.message,
            "field": self.field,
            "path": list(self.path),
            "conflicts": list(self.conflicts),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one row."""

    write: RowWrite
    errors: tuple[UserError, ...] = ()
    response: Response | None = None
    """The answer that holds the new row, or its version."""
    problems: tuple[Problem, ...] = field(default=(), repr=False)
    cause: GatewayError | None = field(default=None, repr=False)
    """What is wrong with the upstream rather than with the row; rows of one request share it."""
    because: RowWrite | None = field(default=None, repr=False)
    """The row for which this one was rolled back."""

    @property
    def is_done(self) -> bool:
        """Whether the row was written."""
        return not self.errors

    @property
    def is_conflict(self) -> bool:
        """Whether another version of the row stands in the way."""
        return any(e.code == CONFLICT for e in self.errors)

    @property
    def etag(self) -> str | None:
        """The version that the answer's header tells."""
        return None if self.response is None else self.response.headers.get("etag")


class NameOf(Protocol):
    """Returns the GraphQL field of a property, named by its CSDL name or by its label; None where none is meant."""

    def __call__(self, write: RowWrite, source: str | None, label: str | None = None) -> str | None:
        """Return the name of the field."""
        ...


def outcome_of(
    write: RowWrite, response: Response, name_of: NameOf, errors: ErrorDetails
) -> Outcome:
    """Read the answer to one write."""
    if response.status < 300:
        return Outcome(write=write, response=response)
    problems = problems_in(response, errors, write)
    return Outcome(write=write, errors=errors_of(write, problems, name_of), problems=problems)


def problems_in(
    response: Response, errors: ErrorDetails, write: RowWrite | None = None
) -> tuple[Problem, ...]:
    """Return why an answer refuses, in respect of one row.

    412 to an update without an etag, or with ``*``, says that there is no row: any version would have done
    (RFC 9110, section 13.1.1).
    """
    is_any = write is not None and write.verb is Verb.UPDATE and write.if_match in (None, "*")
    if response.status == 412 and is_any:
        return (ABSENT,)
    if response.status in _CONFLICTS:
        return (Problem(CONFLICT, "The row has been changed since the version that was given."),)
    if response.status == 404:
        return (ABSENT,)
    return errors.problems(refusal_of(response.body) or Envelope())


def errors_of(
    write: RowWrite, problems: tuple[Problem, ...], name_of: NameOf
) -> tuple[UserError, ...]:
    """Put problems at the fields of the arguments."""
    return tuple(_error(write, p, name_of) for p in problems)


def _error(write: RowWrite, problem: Problem, name_of: NameOf) -> UserError:
    name = None
    if problem.property is not None or problem.label is not None:
        name = name_of(write, problem.property, problem.label)
    place = _place_of(write, problem.code) if name is None else (*write.fields_at, name)
    return UserError(code=problem.code, message=problem.message, field=name, path=place)


def _place_of(write: RowWrite, code: str) -> Place:
    """Say which argument a problem without a field is about."""
    if code == CONFLICT and write.if_match is not None:
        return (*write.place, "ifMatch")
    is_keyed = write.patched or write.verb is Verb.DELETE
    return (*write.place, "key") if code == NOT_FOUND and is_keyed else write.place


def missing(outcome: Outcome) -> Outcome:
    """Return the outcome of a write whose row turned out not to be there."""
    path = _place_of(outcome.write, NOT_FOUND)
    errors = (UserError(code=NOT_FOUND, message=ABSENT.message, path=path),)
    return replace(outcome, errors=errors, problems=(ABSENT,), response=None)


def failed(write: RowWrite, error: GatewayError, hint: str | None = None) -> Outcome:
    """Say that the upstream could not be asked, or that its answer was lost; ``hint`` instead of the error's own."""
    advice = hint or error.hint
    said = error.message if advice is None else f"{error.message} {advice}"
    told = UserError(code=error.code, message=said, path=write.place)
    return Outcome(write=write, errors=(told,), cause=error)


def not_sent(write: RowWrite) -> Outcome:
    """Say that a row was not tried, because of what the upstream said to those before it."""
    said = "Nothing was sent: the upstream failed at the rows before it."
    return Outcome(write=write, errors=(UserError(code=NOT_SENT, message=said, path=write.place),))


def rolled_back(outcome: Outcome, because: str, *, cause: Outcome) -> Outcome:
    """Return the outcome of a row that was taken back, or not written at all, because of another one.

    The error's path leads to that one's.
    """
    error = UserError(code=ROLLED_BACK, message=because, path=cause.errors[0].path)
    return replace(outcome, errors=(error,), response=None, because=cause.write)


def reasons_of(outcomes: Sequence[Outcome]) -> tuple[UserError, ...]:
    """Return the errors of rows that were written together, one for each cause."""
    lost = next((o for o in outcomes if o.cause is not None), None)
    if lost is not None:
        return lost.errors
    errors = [e for o in outcomes for e in o.errors]
    reasons = [e for e in errors if e.code != ROLLED_BACK]
    return tuple(reasons or errors[:1])
