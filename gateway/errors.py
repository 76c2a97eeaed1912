"""Every error that the gateway raises, and its GraphQL face.

    GatewayError
    ├── SettingsError               start-up only: a key, where its value stands, what is accepted
    ├── RequestError                the caller can correct it
    │   ├── BadArgument             BAD_ARGUMENT
    │   │   ├── InvalidCursor       INVALID_CURSOR
    │   │   └── InvalidId           INVALID_ID
    │   ├── UnknownSet              UNKNOWN_SET: a list that does not exist for the caller
    │   ├── PageLimitExceeded       PAGE_LIMIT_EXCEEDED
    │   ├── UnsupportedQuery        UNSUPPORTED_QUERY: valid GraphQL that this product cannot answer
    │   ├── BudgetExceeded          BUDGET_EXCEEDED: a document, or a list, is larger than it may be
    │   ├── CostExceeded            COST_EXCEEDED: an operation would cost more than it may
    │   ├── RateLimited             RATE_LIMITED: its caller has spent all points for now
    │   ├── InvalidOption           INVALID_OPTION: an option of an environment that cannot be stored
    │   ├── NoSuchEnvironment       UNKNOWN_ENVIRONMENT: the store has no environment of this name
    │   ├── UnknownJob, WrongJobState, TooManyJobs       what a caller cannot do with jobs
    │   ├── IdempotencyMismatch, IdempotencyInProgress   a key that was used with another input, or is in use
    │   ├── Forbidden               FORBIDDEN: outside company_limit or roles
    │   └── Unauthenticated         UNAUTHENTICATED: the caller must sign in, again or with further claims
    ├── IssuerUnavailable           ISSUER_UNAVAILABLE: a token cannot be verified for now
    ├── JobsUnavailable, JobSpaceExceeded                nothing has room for jobs
    ├── NotInstalled                NOT_INSTALLED: a format of exports whose extra is not installed
    ├── DeadlineExceeded            DEADLINE_EXCEEDED: an operation took longer than its time limit
    ├── NotSent                     NOT_SENT: a write that was not sent because the gateway shuts down
    ├── StoreUnavailable            STORE_UNAVAILABLE: the gateway's own database cannot be read or written
    │   └── StoreDamaged, StoreLayoutMismatch            its file must be restored, or its tables migrated
    ├── EnvironmentExists, VersionConflict               what cannot be done with environments of the store
    ├── SecretUnreadable            SECRET_UNREADABLE: a secret of the store that cannot be decrypted
    ├── Overloaded                  OVERLOADED: it would wait too long for its turn; nothing was sent
    ├── OutOfMemory                 OUT_OF_MEMORY: the process may have no more memory
    ├── EnvironmentUnavailable      ENVIRONMENT_UNAVAILABLE: an environment cannot be opened for now
    ├── AuditUnavailable            AUDIT_UNAVAILABLE: a write that was not sent because it cannot be recorded
    ├── AuthError                   the gateway's own credentials upstream
    │   ├── TokenError              AUTH_TOKEN_FAILED
    │   │   └── TokenRefused        AUTH_TOKEN_FAILED: the login host has answered, and issues none
    │   └── UpstreamForbidden       UPSTREAM_FORBIDDEN
    └── UpstreamError               Dynamics failed, or refused
        ├── UpstreamUnavailable     UPSTREAM_UNAVAILABLE: no connection, 5xx after the retries
        ├── UpstreamTimeout         UPSTREAM_TIMEOUT
        ├── UpstreamThrottled       UPSTREAM_THROTTLED: 429 after the retries
        ├── UpstreamRejected        UPSTREAM_REJECTED: 400, 404… for a request of the gateway
        │   └── UpstreamNotFound    UPSTREAM_REJECTED: OData's own 404: there is no such resource
        ├── UpstreamMalformed       UPSTREAM_MALFORMED: an answer that is not the requested OData JSON
        │   └── AnswerTooLarge      UPSTREAM_MALFORMED: more bytes than may be read
        ├── OutcomeUnknown          OUTCOME_UNKNOWN: a write without an answer: it may have happened
        ├── UpstreamTruncated       UPSTREAM_TRUNCATED: more rows than the gateway may read
        └── UnknownEnumValue, NotFinite                  values that GraphQL cannot have

``message`` and ``hint`` reach clients; ``detail`` (upstream bodies, addresses) goes to the log under
``error_id`` and nowhere else.
"""

from __future__ import annotations

import base64
import re
import secrets
import traceback
from copy import copy
from typing import ClassVar, Literal, Self

from gateway.process.bearer_challenge import bearer_challenge
from gateway.process.masking import mask
from schema.errors import SchemaError


class GatewayError(Exception):
    """An error with a code of the registry. Its message and hint are for the person who must act."""

    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        detail: str | None = None,
        retry_after: float | None = None,
        upstream_status: int | None = None,
        upstream_request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = None if detail is None else mask(detail)
        self.retry_after = retry_after
        self.upstream_status = upstream_status
        self.upstream_request_id = upstream_request_id
        self.error_id = secrets.token_hex(8)

    def extensions(self) -> dict[str, object]:
        """Return the ``extensions`` of the GraphQL error, without those that are None."""
        facts: dict[str, object | None] = {
            "code": self.code,
            "hint": self.hint,
            "retryAfter": self.retry_after,
            "upstreamStatus": self.upstream_status,
            "upstreamRequestId": self.upstream_request_id,
            "errorId": self.error_id,
        }
        return {name: fact for name, fact in facts.items() if fact is not None}

    def fresh_copy(self) -> Self:
        """Return an equal error for another caller, with its own id.

        Several callers may wait for one answer. An error that is raised for each would collect their tracebacks.
        """
        result = copy(self)
        result.error_id = secrets.token_hex(8)
        return result


class SettingsError(GatewayError):
    """A setting that cannot be used; the gateway does not start."""

    code = "SETTINGS_ERROR"


class RequestError(GatewayError):
    """The caller's request cannot be answered as it stands."""

    code = "BAD_REQUEST"


class BadArgument(RequestError):
    """An argument of the right type with a value that cannot be used."""

    code = "BAD_ARGUMENT"


class InvalidCursor(BadArgument):
    """A cursor that is not the gateway's, or belongs to another list, order, filter or company scope."""

    code = "INVALID_CURSOR"


class InvalidId(BadArgument):
    """A node id that is not the gateway's, or is of a type that is not served."""

    code = "INVALID_ID"


class PageLimitExceeded(RequestError):
    """``first`` or ``last`` above the maximum."""

    code = "PAGE_LIMIT_EXCEEDED"


class UnsupportedQuery(RequestError):
    """Valid GraphQL that this product's OData cannot answer."""

    code = "UNSUPPORTED_QUERY"


class BudgetExceeded(RequestError):
    """A document or a list that is larger than the settings allow."""

    code = "BUDGET_EXCEEDED"


class InvalidOption(RequestError):
    """An option of an environment that cannot be stored."""

    code = "INVALID_OPTION"

    def __init__(self, field: str | None, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.field = field
        """The option, such as ``credentials.certificate``; None if it is none in particular."""


class NoSuchEnvironment(RequestError):
    """The store has no environment of this name."""

    code = "UNKNOWN_ENVIRONMENT"


class UnknownSet(RequestError):
    """A list that is named outside of GraphQL, and does not exist for the caller."""

    code = "UNKNOWN_SET"


class UnknownJob(RequestError):
    """There is no such job, or it is not the caller's: nothing may tell which."""

    code = "UNKNOWN_JOB"


class WrongJobState(RequestError):
    """Something that a job cannot do in its state."""

    code = "WRONG_JOB_STATE"


class TooManyJobs(RequestError):
    """A job whose caller has as many as it may that have not ended."""

    code = "TOO_MANY_JOBS"


class CostExceeded(RequestError):
    """An operation whose price is above what one may cost."""

    code = "COST_EXCEEDED"


class RateLimited(RequestError):
    """An operation whose caller has too few points left; ``retry_after`` says when it has enough."""

    code = "RATE_LIMITED"
    fields: tuple[tuple[bytes, bytes], ...] = ()
    """Header fields of the response that tell of the budget."""


class IdempotencyMismatch(RequestError):
    """An idempotency key that was used with another input."""

    code = "IDEMPOTENCY_MISMATCH"


class IdempotencyInProgress(RequestError):
    """An idempotency key whose first request still runs."""

    code = "IDEMPOTENCY_IN_PROGRESS"


class Forbidden(RequestError):
    """Outside what the settings allow: ``company_limit``, and the roles of the caller."""

    code = "FORBIDDEN"


class JobsUnavailable(GatewayError):
    """There is no store for jobs, or no folder for their files."""

    code = "JOBS_UNAVAILABLE"


class JobSpaceExceeded(GatewayError):
    """The files of all jobs take as many bytes as the settings allow."""

    code = "JOB_SPACE_EXCEEDED"


class NotInstalled(GatewayError):
    """Something that needs a package which is not installed."""

    code = "NOT_INSTALLED"


class DeadlineExceeded(GatewayError):
    """An operation took longer than its time limit.

    ``seconds``, ``requests`` and ``rows`` were spent until then.
    """

    code = "DEADLINE_EXCEEDED"

    def __init__(
        self, message: str, *, hint: str, seconds: float, requests: int, rows: int
    ) -> None:
        super().__init__(message, hint=hint)
        self.spent = {"seconds": round(seconds, 3), "requests": requests, "rows": rows}

    def extensions(self) -> dict[str, object]:
        """Return the extensions, with what was spent."""
        return {**super().extensions(), "spent": self.spent}


class NotSent(GatewayError):
    """A write that was not sent because the gateway shuts down, or not to the end of its file."""

    code = "NOT_SENT"


class Unauthenticated(RequestError):
    """The caller must sign in, for the first time, again or with more: HTTP answers 401 with ``challenge``.

    ``error`` is that of RFC 6750, section 3.1; None if no credentials were sent.
    ``claims`` is JSON that a new token must satisfy, such as a second factor: the claims request that the identity
    provider or the service made (OpenID Connect Core, section 5.5). Clients pass it on when they sign in again.
    https://learn.microsoft.com/entra/identity-platform/claims-challenge
    """

    code = "UNAUTHENTICATED"
    named: str | None = None
    """Digest of whom the refused credentials name, unverified, for the logs (``Caller.log_id``)."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        detail: str | None = None,
        claims: str | None = None,
        error: Literal["invalid_request", "invalid_token"] | None = "invalid_token",
    ) -> None:
        super().__init__(message, hint=hint, detail=detail)
        self.claims = None if claims is None else base64.b64encode(claims.encode()).decode()
        self.error = error if claims is None else "insufficient_claims"

    @property
    def status(self) -> int:
        """The HTTP status: 400 if the request itself is wrong, as with two tokens."""
        return 400 if self.error == "invalid_request" else 401

    @property
    def challenge(self) -> str:
        """The header ``WWW-Authenticate`` (RFC 6750, section 3)."""
        if self.error is None:
            return bearer_challenge()
        described = re.sub(r"[^ !#-\[\]-~]", "'", self.message)
        return bearer_challenge(error=self.error, error_description=described, claims=self.claims)

    def extensions(self) -> dict[str, object]:
        """Return the extensions, with the claims for clients that read no headers."""
        claims = {} if self.claims is None else {"claims": self.claims}
        return {**super().extensions(), **claims}


class StoreUnavailable(GatewayError):
    """The gateway's own database cannot be read or written."""

    code = "STORE_UNAVAILABLE"


class StoreDamaged(StoreUnavailable):
    """The file of the gateway's own database is damaged, or no database: it is of no use until it is restored."""


class StoreLayoutMismatch(StoreUnavailable):
    """The tables of the gateway's own database are missing, or those of another version."""


class EnvironmentExists(GatewayError):
    """A name for a new environment of the store that another one has."""

    code = "ENVIRONMENT_EXISTS"


class VersionConflict(GatewayError):
    """An environment of the store that was changed since the caller has read it."""

    code = "VERSION_CONFLICT"


class SecretUnreadable(GatewayError):
    """A secret of the store that cannot be decrypted: with another key, or it was changed."""

    code = "SECRET_UNREADABLE"


class Overloaded(GatewayError):
    """A request that would wait too long for its turn: environment or gateway have more to do than they can."""

    code = "OVERLOADED"


class OutOfMemory(GatewayError):
    """An operation that needs more memory than the process may have now."""

    code = "OUT_OF_MEMORY"


class EnvironmentUnavailable(GatewayError):
    """An environment of the deployment that cannot be opened for now, or takes long to open."""

    code = "ENVIRONMENT_UNAVAILABLE"


class AuditUnavailable(GatewayError):
    """A write that was not sent because the audit log cannot record it, which ``audit.required`` demands."""

    code = "AUDIT_UNAVAILABLE"


class IssuerUnavailable(GatewayError):
    """A token cannot be verified because the keys of its issuer were never loaded."""

    code = "ISSUER_UNAVAILABLE"


class AuthError(GatewayError):
    """The gateway could not authenticate itself to Dynamics."""

    code = "AUTH_ERROR"


class TokenError(AuthError):
    """The identity provider did not issue a token."""

    code = "AUTH_TOKEN_FAILED"


class TokenRefused(TokenError):
    """The identity provider refused to issue a token: the same credentials will not get one later."""


class UpstreamForbidden(AuthError):
    """Dynamics answered 401 or 403."""

    code = "UPSTREAM_FORBIDDEN"


class UpstreamError(GatewayError):
    """Dynamics did not answer a request as it should."""

    code = "UPSTREAM_ERROR"


class UpstreamUnavailable(UpstreamError):
    """No connection, or a transient error that outlasted the retries."""

    code = "UPSTREAM_UNAVAILABLE"


class UpstreamTimeout(UpstreamError):
    """No answer in time."""

    code = "UPSTREAM_TIMEOUT"


class UpstreamThrottled(UpstreamError):
    """Status 429 that outlasted the retries."""

    code = "UPSTREAM_THROTTLED"


class UpstreamRejected(UpstreamError):
    """Dynamics understood the request and refused it."""

    code = "UPSTREAM_REJECTED"


class UpstreamNotFound(UpstreamRejected):
    """An OData error with status 404: there is no such row. A read by key answers null."""


class UpstreamMalformed(UpstreamError):
    """An answer that is not the requested OData JSON."""

    code = "UPSTREAM_MALFORMED"


class AnswerTooLarge(UpstreamMalformed):
    """An answer with more bytes than the gateway may read."""


class OutcomeUnknown(UpstreamError):
    """A write that may or may not have happened: it was sent, and no answer came back."""

    code = "OUTCOME_UNKNOWN"


class UpstreamTruncated(UpstreamError):
    """More rows than the gateway may read. Lists are never cut off silently."""

    code = "UPSTREAM_TRUNCATED"


class UnknownEnumValue(UpstreamError):
    """An enum member that the metadata does not list."""

    code = "UNKNOWN_ENUM_VALUE"


class NotFinite(UpstreamError):
    """A number that is infinite or not a number, which neither Float nor Decimal can hold (GraphQL section 3.5.2)."""

    code = "NOT_FINITE"


def to_gateway_error(error: Exception) -> GatewayError:
    """Return an error of the registry: any other is a bug of the gateway, and its traceback is for the log."""
    if isinstance(error, GatewayError):
        return error
    detail = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError):
        hint = "Read fewer rows or fields at a time, or try again later."
        return OutOfMemory("The gateway has too little memory.", hint=hint, detail=detail)
    return GatewayError("Something went wrong inside the gateway.", detail=detail)


def code_of(error: Exception) -> str:
    """Return the code of an error, whichever package raised it."""
    return "SCHEMA_ERROR" if isinstance(error, SchemaError) else to_gateway_error(error).code


def client_error_codes() -> frozenset[str]:
    """Return the codes of errors that clients cause; they are not logged individually above ``debug``.

    All clients together cause an overload, when thousands of lines a minute would help nobody.
    """
    kinds: list[type[GatewayError]] = [RequestError, Overloaded]
    # The list grows while it is iterated, so that subclasses of subclasses are reached.
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return frozenset(kind.code for kind in kinds)
