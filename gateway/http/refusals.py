"""Errors of HTTP requests that are refused: status, code, message and hint."""

from __future__ import annotations

from gateway.request import Answer


class HttpError(Exception):
    """An HTTP request that is refused before it becomes a GraphQL operation."""

    def __init__(self, status: int, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        extensions = {"code": code} if hint is None else {"code": code, "hint": hint}
        self.answer = Answer(errors=[{"message": message, "extensions": extensions}])


def overload_error() -> HttpError:
    """Return the error of a request that arrives while clients leave too many bytes unread."""
    return HttpError(
        503,
        "OVERLOADED",
        "Too many bytes of answers wait for clients that do not read them.",
        "Try again soon, or ask for less at a time. Setting: max_waiting_bytes.",
    )


def persisted_query_error() -> HttpError:
    """Return the error of a request with the hash of a persisted query instead of a document.

    Apollo's clients react by sending documents from then on:
    https://www.apollographql.com/docs/apollo-server/performance/apq.
    """
    return HttpError(
        400,
        "PERSISTED_QUERY_NOT_SUPPORTED",
        "PersistedQueryNotSupported",
        "Send the document itself.",
    )


def cross_site_error() -> HttpError:
    """Return the error of a GET that a browser sends for a page of another site."""
    return HttpError(
        403,
        "CROSS_SITE_REQUEST",
        "A page of another site sent this GET.",
        "Add its origin to cors_origins, or send a POST.",
    )


def shutdown_error(*, is_write: bool) -> HttpError:
    """Return the error of an operation that the shutdown of the server interrupted."""
    message = "The gateway shut down before the operation was done."
    if is_write:
        hint = "Check whether it was done before you send it again."
        return HttpError(503, "OUTCOME_UNKNOWN", message, hint)
    return HttpError(503, "STOPPING", message, "Send it again: another instance answers.")
