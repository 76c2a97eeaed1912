"""What streams of rows have in common: exports and imports are checked, refused and ended in the same way."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from starlette.types import Scope

from gateway.errors import Forbidden, InvalidCursor
from gateway.request import Answer
from gateway.shutdown import STOPPING

from .endpoints import Endpoint
from .graphql_endpoint import GRAPHQL, is_foreign, status_of
from .refusals import HttpError, caller_error, cross_site_error, error_fields, overload_error
from .request_parameters import Headers

_OF_CALLERS = {Forbidden.code: 403, InvalidCursor.code: 400}
"""Statuses of errors of operations that are those of the request."""


def check_stream(
    endpoint: Endpoint, scope: Scope, headers: Headers, methods: Collection[str], wrong_method: str
) -> None:
    """Raise HttpError if a request is refused before its caller is known.

    ``wrong_method`` is the message to a request with none of the methods.
    """
    if scope["method"] not in methods:
        allow = (b"allow", ", ".join((*methods, "OPTIONS")).encode())
        raise HttpError(405, "METHOD_NOT_ALLOWED", wrong_method, fields=(allow,))
    if endpoint.waiting.is_full:
        raise overload_error()
    if endpoint.running.is_full:
        raise caller_error(endpoint.running.refusal())
    if is_foreign(headers, endpoint.settings.cors_origins):
        raise cross_site_error()


def operation_error(answer: Answer, code: str) -> HttpError:
    """Return an error with the errors of an operation that could not run."""
    status = _OF_CALLERS.get(code) or status_of(answer, GRAPHQL)
    # An operation that fails is 200 for clients of GraphQL, who read its errors.
    status = 502 if status == 200 else status
    refused = HttpError(status, code, answer.errors[0]["message"])
    refused.answer = Answer(errors=answer.errors)
    refused.fields = (*answer.fields, *error_fields(answer.errors))
    return refused


async def until_stopping(scope: Scope) -> None:
    """Return when the server stops."""
    event: asyncio.Event | None = scope.get("state", {}).get(STOPPING)
    await (asyncio.Event() if event is None else event).wait()


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, and return when they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
