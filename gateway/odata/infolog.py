"""Reads the error texts of Finance & Operations: messages for people, the field, and a code.

    Write failed for table row of type 'CustCustomerV3Entity'. Infolog: Warning: The value 'x' in field 'Customer
    group' is not found in the related table 'Customer groups'.; Warning: validateField failed on field
    'CustCustomerV3Entity.CustomerGroupId'.

becomes one problem: RELATED_RECORD_NOT_FOUND, the sentence, ``CustomerGroupId``. The grammar and its noise are those of
captured answers; Microsoft documents neither. The texts follow the language of the F&O user, so a sentence that is not
recognised is a BUSINESS_RULE; nothing depends on more than that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import structs

from .error_details import (
    BUSINESS_RULE,
    CONFLICT,
    DUPLICATE_KEY,
    INVALID_VALUE,
    MISSING_FIELD,
    RELATED_RECORD_NOT_FOUND,
    ErrorDetails,
    Problem,
    message_problem,
    one_line,
)
from .error_envelope import Envelope

_INFOLOG = "Infolog:"
_ENTRY = re.compile(r"(?:\A|;\s*|\n)(?:Info|Warning|Error): ")
_FIELD = re.compile(r"validateField failed on field '[^'.]*\.(?P<property>\w+)'")
_NOISE = re.compile(
    r"\A(?:validateField failed on field '|validateWrite failed on data source '|Update has been canceled)"
)
_BARE_FAILURE = re.compile(r"\AWrite failed for table row of type '[^']*'\.?\s*\Z")
_ENTITY = re.compile(r"Write failed for table row of type '(?P<entity>[^']*)'")
_EXECUTING = re.compile(
    r"\A(?:Exception occurred while executing action \S+ on Entity \S+: "
    r"|An exception occ?ur+ed when invoking the operation - )"
)
_VALUE = re.compile(r"\AThe value '(?P<value>[^']*)' in field '")
_LABEL = re.compile(r"\b[Ff]ield '(?P<label>[^']+)'")
_CODES = (
    (re.compile(r"record already exists", re.IGNORECASE), DUPLICATE_KEY),
    (re.compile(r"is not found in the related table", re.IGNORECASE), RELATED_RECORD_NOT_FOUND),
    (
        re.compile(
            r"update conflict|changed by another user|record .* has been changed", re.IGNORECASE
        ),
        CONFLICT,
    ),
    (
        re.compile(
            r"must be (?:filled in|specified|entered)|is mandatory|cannot be empty", re.IGNORECASE
        ),
        MISSING_FIELD,
    ),
)


def problems_of(envelope: Envelope) -> tuple[Problem, ...]:
    """Return the reasons in an error object, at least one; stack traces and noise are left out."""
    message, is_infolog, infolog = envelope.innermost_message.partition(_INFOLOG)
    # An Infolog of nothing but noise is still a refusal: without any problem, the row would count as written.
    if is_infolog:
        return tuple(_infolog_problems(infolog.strip())) or (message_problem(""),)
    return (_plain_problem(message),)


def entity_of(envelope: Envelope) -> str | None:
    """Return the X++ name of the entity whose write failed; None if the text does not name it."""
    match = _ENTITY.match(envelope.innermost_message)
    return None if match is None else match["entity"]


def is_refusal(envelope: Envelope) -> bool:
    """Return whether business logic refused the request: F&O sends such refusals with 400 and with 500."""
    message = envelope.innermost_message or envelope.cut
    return envelope.inner_type.endswith("AxODataWriteException") or _INFOLOG in message


INFOLOG = ErrorDetails(
    problems=problems_of,
    entity=entity_of,
    is_refusal=is_refusal,
    forbidden_hint=(
        "Finance & Operations: is client_id listed under Microsoft Entra ID applications,"
        " and does its user have the roles?"
    ),
)


def _infolog_problems(text: str) -> Iterator[Problem]:
    """Yield a problem for each entry that says something.

    A ``validateField`` entry is no problem of its own: it names the field of the entry before it.
    """
    pending: Problem | None = None
    for entry in (part.strip() for part in _ENTRY.split(text)):
        field = _FIELD.search(entry)
        if field is not None:
            problem = pending or Problem(INVALID_VALUE, "The value was refused.")
            yield structs.replace(problem, property=field["property"])
            pending = None
        elif entry and not _NOISE.match(entry):
            if pending is not None:
                yield pending
            pending = _entry_problem(entry)
    if pending is not None:
        yield pending


def _entry_problem(entry: str) -> Problem:
    message = one_line(entry)
    code = next((code for pattern, code in _CODES if pattern.search(message)), BUSINESS_RULE)
    value, label = _VALUE.match(message), _LABEL.search(message)
    return Problem(
        code,
        message,
        value=None if value is None else value["value"],
        label=None if label is None else label["label"],
    )


def _plain_problem(message: str) -> Problem:
    """Return the problem in an error without an Infolog: that of an action, or of the service's check of the body."""
    action_message = _EXECUTING.sub("", message)
    if action_message != message:
        return _entry_problem(action_message)
    return message_problem("" if _BARE_FAILURE.match(message) else message)
