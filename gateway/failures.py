"""Errors on their way to clients: each gets its id in the log, and no operation ends without an answer.

``Engine.execute`` answers for what fails inside it. What fails around it (reading the kind of an operation, encoding
the answer, a part of a subscription) becomes an answer here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.introspection.answers import LongAnswer

from .errors import Overloaded, RateLimited, to_gateway_error
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


def refused_answer(answer: Answer, keys: Iterable[str]) -> Answer:
    """Return the answer of a query that sent nothing: one that only waited has no data, so that it is a refusal.

    ``keys`` are those of its root fields. What others have read for it is an answer all the same.
    """
    data = answer.data or {}
    if any(error.get("extensions", {}).get("code") != Overloaded.code for error in answer.errors):
        return answer
    if not all(_is_empty(_value_at(data, key)) for key in keys):
        return answer
    last = max(answer.errors, key=lambda error: error["extensions"].get("retryAfter", 0.0))
    return Answer(errors=[{"message": last["message"], "extensions": last["extensions"]}])


def _value_at(data: Any, key: str) -> object:
    """Return what stands under a root key, which may be one below a unified model: ``directory.users``."""
    for part in key.split("."):
        data = data.get(part) if isinstance(data, Mapping) else None
    return data


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(item is None for item in value))


def encodable_answer(answer: Answer, observe: Observer) -> Answer:
    """Return an answer that can be encoded; one that cannot becomes a failure."""
    if answer.written is not None:
        return answer
    try:
        answer.encode()
    except Exception as error:
        failed = failure_answer(error, observe)
        failed.kind, failed.name = answer.kind, answer.name
        failed.requests, failed.rows = answer.requests, answer.rows
        failed.upstream_seconds, failed.changed = answer.upstream_seconds, answer.changed
        return failed
    return answer


def encode_answer(answer: Answer, observe: Observer) -> Answer:
    """Return the answer as JSON, so that sending it cannot fail; one that cannot be encoded becomes a failure."""
    # It was encoded when it was cached, and is sent in pieces.
    if isinstance(answer.written, LongAnswer):
        return answer
    try:
        return Answer(written=answer.encode(), changed=answer.changed, fields=answer.fields)
    except Exception as error:
        return failure_answer(error, observe)
