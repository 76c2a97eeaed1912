"""Errors of HTTP requests that are refused: status, code, message and hint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.errors import (
    GatewayError,
    IdempotencyInProgress,
    Overloaded,
    RateLimited,
    StoreUnavailable,
    Unauthenticated,
    UpstreamUnavailable,
)
from gateway.process.bearer_challenge import bearer_challenge
from gateway.request import Answer
from gateway.store.faults import for_clients


class HttpError(Exception):
    """An HTTP request that is refused before it becomes a GraphQL operation."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str | None = None,
        *,
        fields: Sequence[tuple[bytes, bytes]] = (),
        retry_after: float | None = None,
        plain_status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.plain_status = status if plain_status is None else plain_status
        """The status for clients that accept ``application/json`` only, which may take others for no answer."""
        self.code = code
        self.fields = fields
        """Header fields of the response, besides those of its status."""
        extensions: dict[str, object] = {"code": code}
        if hint is not None:
            extensions["hint"] = hint
        if retry_after is not None:
            extensions["retryAfter"] = retry_after
            self.fields = (*fields, (b"retry-after", b"%d" % retry_after))
        self.answer = Answer(errors=[{"message": message, "extensions": extensions}])
        self.is_recorded = False
        """Whether the audit log has it, or is not for it."""


class UnknownApi(HttpError):
    """There is no such API, or it is bound to roles that the caller lacks: nothing may tell which."""

    def __init__(self) -> None:
        super().__init__(404, "UNKNOWN_PROFILE", "There is no such profile.")


class UnknownEnvironment(HttpError):
    """There is no such environment, it is not the caller's, or the request names two: nothing may tell which."""

    def __init__(self) -> None:
        super().__init__(404, "UNKNOWN_ENVIRONMENT", "There is no such environment.")


async def no_route(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as for an address that does not exist."""
    await PlainTextResponse("Not Found", 404)(scope, receive, send)


def caller_error(error: GatewayError) -> HttpError:
    """Return the error of a request whose caller could not be authenticated."""
    if isinstance(error, Unauthenticated):
        fields = (challenge_field(error.challenge),)
        return HttpError(error.status, error.code, error.message, error.hint, fields=fields)
    # What verifies the credentials is away: they may be good.
    if isinstance(error, StoreUnavailable):
        # Its own message names the database; that is in the log.
        error = for_clients(error, "API keys cannot be checked")
    return HttpError(503, error.code, error.message, error.hint, retry_after=error.retry_after)


def starting() -> HttpError:
    """Return the error of a request that comes while the gateway starts."""
    return HttpError(503, "STARTING", "The gateway is starting.", "Try again soon.")


def admin_error() -> HttpError:
    """Return the error of a request without the admin token."""
    message = "The admin token is missing or wrong."
    hint = "Set Authorization: Bearer <admin_token>."
    fields = (challenge_field(bearer_challenge()),)
    return HttpError(401, "UNAUTHENTICATED", message, hint, fields=fields)


def challenge_field(challenge: str) -> tuple[bytes, bytes]:
    """Return the header field that says how to sign in."""
    return b"www-authenticate", challenge.encode("latin-1")


def answered_challenge(errors: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the challenge of an operation that failed because its caller must sign in again; None if none did."""
    for error in errors:
        extensions = error.get("extensions", {})
        if extensions.get("code") == Unauthenticated.code:
            claims = extensions.get("claims")
            kind = "invalid_token" if claims is None else "insufficient_claims"
            return bearer_challenge(error=kind, claims=claims)
    return None


_WAITING = frozenset(
    {
        *(RateLimited.code, Overloaded.code, IdempotencyInProgress.code, StoreUnavailable.code),
        UpstreamUnavailable.code,
    }
)
"""Codes of operations that were refused, and may be repeated later."""


def error_fields(errors: Sequence[Mapping[str, Any]]) -> tuple[tuple[bytes, bytes], ...]:
    """Return the header fields that the errors of an operation require: how to sign in, when to try again."""
    if not errors:
        return ()
    fields: list[tuple[bytes, bytes]] = []
    challenge = answered_challenge(errors)
    if challenge is not None:
        fields.append(challenge_field(challenge))
    waits = [
        e["extensions"]["retryAfter"]
        for e in errors
        if _code(e) in _WAITING and "retryAfter" in e["extensions"]
    ]
    if waits:
        fields.append((b"retry-after", b"%d" % ceil(max(waits))))
    return tuple(fields)


def _code(error: Mapping[str, Any]) -> object:
    return error.get("extensions", {}).get("code")


def overload_error() -> HttpError:
    """Return the error of a request that arrives while clients leave too many bytes unread."""
    return HttpError(
        503,
        "OVERLOADED",
        "Too many bytes of answers wait for clients that do not read them.",
        "Try again soon, or ask for less at a time. Setting: max_waiting_bytes.",
    )


def persisted_query_error() -> HttpError:
    """Return the error of a request with the name of a document, if there are no trusted documents.

    Apollo's clients react by sending documents from then on:
    https://www.apollographql.com/docs/apollo-server/performance/apq.
    """
    return HttpError(
        400,
        "PERSISTED_QUERY_NOT_SUPPORTED",
        "PersistedQueryNotSupported",
        "Send the document itself.",
    )


def unknown_document_error(*, in_path: bool, registers: bool) -> HttpError:
    """Return the error of a request with the name of a document that does not exist.

    Clients go by this code and message, and send the document with its hash if they can.
    ``registers``: whether that makes it known.
    """
    hint = (
        "Send the document with its hash once."
        if registers
        else "The manifest has no such document: publish it before the client that needs it."
    )
    status, plain = (404, 404) if in_path else (400, 200)
    return HttpError(
        status, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound", hint, plain_status=plain
    )


def untrusted_document_error() -> HttpError:
    """Return the error of a request with a document of its own, if only trusted ones may run."""
    return HttpError(
        400,
        "PERSISTED_QUERY_REQUIRED",
        "Only trusted documents run here.",
        "Name one (documentId, or extensions.persistedQuery), or add this one to the manifest.",
        plain_status=200,
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
