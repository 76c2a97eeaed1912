"""What F&O says when it refuses a write, taken apart: messages for people, the field, and a code.

    Write failed for table row of type 'CustCustomerV3Entity'. Infolog: Warning: The value 'x' in field 'Customer
    group' is not found in the related table 'Customer groups'.; Warning: validateField failed on field
    'CustCustomerV3Entity.CustomerGroupId'.

becomes one problem: RELATED_RECORD_NOT_FOUND, the sentence, ``CustomerGroupId``. Grammar and noise: reference
``d365-odata`` section 5.3. The texts follow the language of the F&O user, so a sentence that is not recognised is a
BUSINESS_RULE; nothing depends on more than that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct, structs

from .response_check import Envelope

CONFLICT = "CONFLICT"
DUPLICATE_KEY = "DUPLICATE_KEY"
RELATED_RECORD_NOT_FOUND = "RELATED_RECORD_NOT_FOUND"
MISSING_FIELD = "MISSING_FIELD"
INVALID_VALUE = "INVALID_VALUE"
BUSINESS_RULE = "BUSINESS_RULE"
NOT_FOUND = "NOT_FOUND"


class Problem(Struct, frozen=True):
    """One reason why a row was not written."""

    code: str
    message: str
    property: str | None = None
    """CSDL property that was refused."""
    value: str | None = None
    """The value that was refused, where the text quotes it."""
    label: str | None = None
    """The field as the text calls it, in the words that users of F&O see."""


_ENTRY = re.compile(r"(?:\A|;\s*|\n)(?:Info|Warning|Error): ")
_FIELD = re.compile(r"validateField failed on field '[^'.]*\.(?P<property>\w+)'")
_NOISE = re.compile(
    r"\A(?:validateField failed on field '|validateWrite failed on data source '|Update has been canceled)"
)
_SAYS_NOTHING = re.compile(
    r"\A(?:An error has occurred|Write failed for table row of type '[^']*')\.?\s*\Z"
)
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
_SAID_BY_ODATA = (
    re.compile(r"property '(?P<property>\w+)'", re.IGNORECASE),
    re.compile(r"property named '(?P<property>\w+)'", re.IGNORECASE),
)


def problems_of(envelope: Envelope) -> tuple[Problem, ...]:
    """Return what an error object says, at least one problem; stack traces and noise are left out."""
    said = envelope.inner_message or envelope.message
    _, found, infolog = said.partition("Infolog:")
    if found:
        said = ""
    return tuple(_infolog(infolog.strip())) or (_plain(said),)


def entity_in(envelope: Envelope) -> str | None:
    """Return the X++ name of the entity whose write failed, where an error object tells it."""
    found = _ENTITY.match(envelope.inner_message or envelope.message)
    return None if found is None else found["entity"]


def _infolog(text: str) -> Iterator[Problem]:
    """Return the entries that tell something; a ``validateField`` entry names the field of the one before it."""
    waiting: Problem | None = None
    for entry in (part.strip() for part in _ENTRY.split(text)):
        named = _FIELD.search(entry)
        if named is not None:
            told = waiting or Problem(INVALID_VALUE, "The value was refused.")
            yield structs.replace(told, property=named["property"])
            waiting = None
        elif entry and not _NOISE.match(entry):
            if waiting is not None:
                yield waiting
            waiting = _problem(entry)
    if waiting is not None:
        yield waiting


def _problem(entry: str) -> Problem:
    message = _sentence(entry)
    code = next((code for pattern, code in _CODES if pattern.search(message)), BUSINESS_RULE)
    value, label = _VALUE.match(message), _LABEL.search(message)
    return Problem(
        code,
        message,
        value=None if value is None else value["value"],
        label=None if label is None else label["label"],
    )


def _plain(said: str) -> Problem:
    """Read an error that is no Infolog: of an action, or of the service's own checks of the body."""
    text = _EXECUTING.sub("", said)
    if text != said:
        return _problem(text)
    found = next((m for pattern in _SAID_BY_ODATA if (m := pattern.search(said))), None)
    if not said or _SAYS_NOTHING.match(said):
        return Problem(BUSINESS_RULE, "The upstream refused the row without saying why.")
    return Problem(INVALID_VALUE, _sentence(said), None if found is None else found["property"])


def _sentence(text: str) -> str:
    """Return the text on one line with one full stop."""
    line = " ".join(text.split())
    stripped = line.rstrip(".")
    return f"{stripped}." if stripped != line else line
