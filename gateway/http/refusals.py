"""HTTP requests that are refused: a status, a code of the registry, and what to do about it."""

from __future__ import annotations

from gateway.request import Answer


class HttpError(Exception):
    """A request that never becomes a GraphQL request."""

    def __init__(self, status: int, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        extensions = {"code": code} if hint is None else {"code": code, "hint": hint}
        self.answer = Answer(errors=[{"message": message, "extensions": extensions}])


def overload_error() -> HttpError:
    """Return the error of a request that comes while too much waits for other clients."""
    return HttpError(
        503,
        "OVERLOADED",
        "Too many bytes of answers wait for clients that do not read them.",
        "Try again soon, or ask for less at a time. Setting: max_waiting_bytes.",
    )


def persisted_query_error() -> HttpError:
    """Return the error of a request that names a persisted query by its hash and brings no document.

    Apollo's clients then send the document, and no hash any more:
    https://www.apollographql.com/docs/apollo-server/performance/apq.
    """
    return HttpError(
        400,
        "PERSISTED_QUERY_NOT_SUPPORTED",
        "PersistedQueryNotSupported",
        "Send the document itself.",
    )


def cross_site_error() -> HttpError:
    """Return the error of a GET that a page of another site makes the browser send."""
    return HttpError(
        403,
        "CROSS_SITE_REQUEST",
        "A page of another site asked this by GET.",
        "Name its origin in cors_origins, or POST.",
    )


def shutdown_error(*, is_write: bool) -> HttpError:
    """Return the error of an operation that a server's end broke off."""
    message = "The gateway shut down before the operation was done."
    if is_write:
        hint = "Look whether it was done, before you send it again."
        return HttpError(503, "OUTCOME_UNKNOWN", message, hint)
    return HttpError(503, "STOPPING", message, "Send it again: another instance answers.")
