"""Errors on their way to clients: each gets its id in the log, and no operation ends without an answer.

``Engine.execute`` answers for what fails inside it. What fails around it (reading the kind of an operation, encoding
the answer, a part of a subscription) becomes an answer here.
"""

from __future__ import annotations

from typing import Any

from gateway.introspection.answers import LongAnswer

from .errors import RateLimited, to_gateway_error
from .events import ErrorRaised, Observer
from .request import Answer


def report_error(error: Exception, observe: Observer) -> dict[str, Any]:
    """Log an error with its details, and return the GraphQL error that clients may see of it."""
    reported = to_gateway_error(error)
    observe(
        ErrorRaised(
            code=reported.code,
            error_id=reported.error_id,
            message=reported.message,
            detail=reported.detail,
        )
    )
    return {"message": reported.message, "extensions": reported.extensions()}


def failure_answer(error: Exception, observe: Observer) -> Answer:
    """Return the answer to an operation that failed as a whole."""
    fields = error.fields if isinstance(error, RateLimited) else ()
    return Answer(errors=[report_error(error, observe)], fields=fields)


def encode_answer(answer: Answer, observe: Observer) -> Answer:
    """Return the answer as JSON, so that sending it cannot fail; one that cannot be encoded becomes a failure."""
    # It was encoded when it was cached, and is sent in pieces.
    if isinstance(answer.written, LongAnswer):
        return answer
    try:
        return Answer(written=answer.encode(), changed=answer.changed, fields=answer.fields)
    except Exception as error:
        return failure_answer(error, observe)
