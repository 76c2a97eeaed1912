"""The outcome of a write, read from the body of the upstream's answer and not from its status.

F&O refuses with 400 and with 500 alike; an OData error object says that business logic refused. Any other answer leaves
open whether the write happened: the client raises OutcomeUnknown for it.
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
    """Why a row was not written: the GraphQL type ``UserError``."""

    code: str
    message: str
    field: str | None = None
    path: Place = ()
    conflicts: tuple[Mapping[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return its fields as graphql-core's default resolver reads them."""
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
    """A failure of the upstream rather than of the row; rows of one request share it."""
    because: RowWrite | None = field(default=None, repr=False)
    """The row whose refusal rolled this one back."""
    row: Mapping[str, Any] | None = field(default=None, repr=False)
    """What is known of a row that was found by its natural key: property → JSON value."""
    is_new: bool = False
    """Of such a row: whether this operation has created it."""

    @property
    def is_done(self) -> bool:
        """Whether the row was written."""
        return not self.errors

    @property
    def is_conflict(self) -> bool:
        """Whether the row has another version than the caller named."""
        return any(e.code == CONFLICT for e in self.errors)

    @property
    def etag(self) -> str | None:
        """The version in the answer's header."""
        return None if self.response is None else self.response.headers.get("etag")


class FieldName(Protocol):
    """Finds the GraphQL field of a property, by its CSDL name or by its label."""

    def __call__(self, write: RowWrite, source: str | None, label: str | None = None) -> str | None:
        """Return the name of the field; None if none is meant."""
        ...


def read_outcome(
    write: RowWrite, response: Response, field_name: FieldName, details: ErrorDetails
) -> Outcome:
    """Return the outcome of one write by its answer."""
    if response.status < 300:
        return Outcome(write=write, response=response)
    problems = problems_in(response, details, write)
    return Outcome(write=write, errors=user_errors(write, problems, field_name), problems=problems)


def problems_in(
    response: Response, details: ErrorDetails, write: RowWrite | None = None
) -> tuple[Problem, ...]:
    """Return why an answer refuses ``write``, or a call if that is None.

    412 to an update without an etag, or with ``*``, says that there is no row: any version would have done
    (RFC 9110, section 13.1.1).
    """
    etag = None if write is None else write.version or write.if_match
    is_any = write is not None and write.verb is Verb.UPDATE and etag in (None, "*")
    if response.status == 412 and is_any:
        return (ABSENT,)
    if response.status == 412 and write is not None and write.if_match is None and etag:
        return (Problem(CONFLICT, "The row was changed by others while it was being written."),)
    if response.status in _CONFLICTS:
        return (Problem(CONFLICT, "The row has been changed since the version that was given."),)
    # The name of the set is from the metadata, so it is the row that does not exist.
    if response.status == 404:
        return (ABSENT,)
    return details.problems(refusal_of(response.body) or Envelope())


def user_errors(
    write: RowWrite, problems: tuple[Problem, ...], field_name: FieldName
) -> tuple[UserError, ...]:
    """Return the problems of a row as errors that point to the arguments of the mutation."""
    return tuple(_user_error(write, problem, field_name) for problem in problems)


def _user_error(write: RowWrite, problem: Problem, field_name: FieldName) -> UserError:
    name = None
    if problem.property is not None or problem.label is not None:
        name = field_name(write, problem.property, problem.label)
    place = _place_of(write, problem.code) if name is None else (*write.fields_at, name)
    return UserError(code=problem.code, message=problem.message, field=name, path=place)


def _place_of(write: RowWrite, code: str) -> Place:
    """Return the argument that a problem without a field is about."""
    if code == CONFLICT and write.if_match is not None:
        return (*write.place, "ifMatch")
    is_keyed = write.patched or write.verb is Verb.DELETE
    return (*write.place, "key") if code == NOT_FOUND and is_keyed else write.place


def absent_outcome(outcome: Outcome) -> Outcome:
    """Return the outcome of a write whose row turned out not to exist."""
    path = _place_of(outcome.write, NOT_FOUND)
    errors = (UserError(code=NOT_FOUND, message=ABSENT.message, path=path),)
    return replace(outcome, errors=errors, problems=(ABSENT,), response=None)


def failed_outcome(write: RowWrite, error: GatewayError, hint: str | None = None) -> Outcome:
    """Return the outcome of a write that could not be sent, or whose answer was lost.

    ``hint`` stands in the place of the error's own.
    """
    advice = hint or error.hint
    message = error.message if advice is None else f"{error.message} {advice}"
    user_error = UserError(code=error.code, message=message, path=write.place)
    return Outcome(write=write, errors=(user_error,), cause=error)


def unsent_outcome(write: RowWrite) -> Outcome:
    """Return the outcome of a row that was not tried, because the upstream failed at earlier ones."""
    message = "Nothing was sent: the upstream failed at the rows before it."
    error = UserError(code=NOT_SENT, message=message, path=write.place)
    return Outcome(write=write, errors=(error,))


def rolled_back_outcome(outcome: Outcome, reason: str, *, cause: Outcome) -> Outcome:
    """Return the outcome of a row that was taken back, or not written at all, because of another one.

    The path of its error leads to that one's.
    """
    error = UserError(code=ROLLED_BACK, message=reason, path=cause.errors[0].path)
    return replace(outcome, errors=(error,), response=None, because=cause.write)


def root_errors(outcomes: Sequence[Outcome]) -> tuple[UserError, ...]:
    """Return the errors of rows that were written together, one for each cause; none if all were written."""
    failed = next((o for o in outcomes if o.cause is not None), None)
    if failed is not None:
        return failed.errors
    errors = [e for o in outcomes for e in o.errors]
    # ROLLED_BACK is a consequence; its path leads to the cause, which is listed itself.
    causes = [e for e in errors if e.code != ROLLED_BACK]
    return tuple(causes or errors[:1])
