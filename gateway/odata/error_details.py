"""What a product's error texts say: the reasons why a row was not written, each with a code and perhaps a property.

Every product writes these texts in its own way, so a dialect brings its own reader (``Dialect.errors``). Here is what
all of them produce, and the reader for services of which nothing special is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from .error_envelope import Envelope

CONFLICT = "CONFLICT"
DUPLICATE_KEY = "DUPLICATE_KEY"
RELATED_RECORD_NOT_FOUND = "RELATED_RECORD_NOT_FOUND"
MISSING_FIELD = "MISSING_FIELD"
INVALID_VALUE = "INVALID_VALUE"
BUSINESS_RULE = "BUSINESS_RULE"
NOT_FOUND = "NOT_FOUND"

_SAYS_NOTHING = re.compile(r"\AAn error has occurred\.?\s*\Z")
"""What ASP.NET says if details are switched off."""
_PROPERTY = re.compile(r"property (?:named )?'(?P<property>\w+)'", re.IGNORECASE)
"""How Microsoft's OData library names the property that it cannot read or does not know."""


class Problem(Struct, frozen=True):
    """One reason why a row was not written."""

    code: str
    message: str
    property: str | None = None
    """CSDL property that was refused."""
    value: str | None = None
    """The value that was refused, if the text quotes it."""
    label: str | None = None
    """What the text calls the field: the product's label of it, not its name."""


def generic_problems(envelope: Envelope) -> tuple[Problem, ...]:
    """Return the one problem that an error object states; its message must name a property to be more than that."""
    return (message_problem(envelope.innermost_message),)


def message_problem(message: str) -> Problem:
    """Return the problem for a check of the request's body: ``property 'Qty' has an invalid value`` → ``Qty``."""
    if not message or _SAYS_NOTHING.match(message):
        return Problem(BUSINESS_RULE, "The upstream refused the row without saying why.")
    named = _PROPERTY.search(message)
    return Problem(INVALID_VALUE, one_line(message), None if named is None else named["property"])


def one_line(text: str) -> str:
    """Return the text on one line, with at most one full stop at its end."""
    line = " ".join(text.split())
    stripped = line.rstrip(".")
    return f"{stripped}." if stripped != line else line


def names_no_entity(_envelope: Envelope) -> str | None:
    """Return None: the error texts of this product do not name the entity."""
    return None


def is_never_refusal(_envelope: Envelope) -> bool:
    """Return False: status 500 of this product is always a failure."""
    return False


class ErrorDetails(Struct, frozen=True, kw_only=True):
    """How one product's errors are read."""

    problems: Callable[[Envelope], tuple[Problem, ...]] = generic_problems
    """Returns the reasons of a refused write, at least one; stack traces and noise are left out."""

    entity: Callable[[Envelope], str | None] = names_no_entity
    """Returns the product's name of the entity whose write failed; None if the text does not name it."""

    is_refusal: Callable[[Envelope], bool] = is_never_refusal
    """Returns whether business logic refused the request although the status is 500, so that nothing was written and
    repeating it is useless."""

    forbidden_hint: str = "Does the gateway's account have the rights that the request needs?"
    """What to check after status 403."""


GENERIC_ERRORS = ErrorDetails()
"""For services that follow the specification: the message is the problem, status 500 is a failure."""
