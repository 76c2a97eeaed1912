"""Checks that an answer is of the kind that was requested; here every other one becomes an error of the gateway.

    status            becomes                     what the public message says
    200 with HTML     UpstreamMalformed           what kind of content came
    200 {"error": …}  UpstreamRejected            entity set, status
    3xx to a login    UpstreamForbidden           that the service requests another sign-in
    401, 403          UpstreamForbidden           which account lacks a right
    404 of OData      UpstreamNotFound            entity set: there is no such row or resource
    400, 404…, 501    UpstreamRejected            entity set, status, the outer message unless a rule was sent
    408               UpstreamTimeout
    429               UpstreamThrottled           after how many seconds to try again
    500 + refusal     UpstreamRejected            entity set, status (``ErrorDetails.is_refusal`` of the dialect)
    5xx               UpstreamUnavailable

Inner messages, types and bodies go to ``detail``, which only the log shows: they may hold values of rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypedDict
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from gateway.errors import (
    GatewayError,
    UpstreamForbidden,
    UpstreamMalformed,
    UpstreamNotFound,
    UpstreamRejected,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.events import loggable
from gateway.process.masking import mask

from .error_details import ErrorDetails
from .error_envelope import Envelope, envelope_of, refusal_of, service_failure_of
from .query import Request
from .retry import Failure, retry_after


class Response(Struct, frozen=True, weakref=True):
    """An upstream answer. Names in ``headers`` are case-insensitive; ``url`` is the absolute address of the request."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def media_type(self) -> str:
        """``application/json; odata.metadata=minimal`` → ``application/json``."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def request_id(self) -> str | None:
        """The id by which the service's operators find the request, of Dynamics 365 or of OData."""
        return self.headers.get("ms-dyn-aid") or self.headers.get("request-id")


TRANSIENT = frozenset({502, 503, 504})
SLOW = frozenset({408})
UNPROCESSED = frozenset({401, 403, 429})
"""Statuses of services that refuse a write before they read it."""
_MARKUP = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body)", re.IGNORECASE)
_SIGN_IN = re.compile(r"login|signin|sign-in|adfs|/oauth2?/|/authorize", re.IGNORECASE)
PLAIN = ("/$count", "/$value")
JSON = "application/json"
_CONDITIONS = frozenset({"if-none-match", "if-modified-since"})
_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_GOOD = (b'{"@odata.', b'{"value":')


def failure_of(response: Response) -> Failure:
    """Return by status whether and how the request may be repeated."""
    if response.status == 429:
        return Failure.THROTTLED
    if response.status in TRANSIENT:
        return Failure.TRANSIENT
    return Failure.SLOW if response.status in SLOW else Failure.PERMANENT


def is_expected_json(request: Request, response: Response) -> bool:
    """Return whether OData JSON was requested and came, judged by a few bytes; False if a closer look is needed."""
    return (
        response.status == 200
        and response.body.startswith(_GOOD)
        and request.headers.get("Accept", "").startswith(JSON)
        and response.headers.get("content-type", "").startswith(JSON)
    )


class Account(Struct, frozen=True):
    """Whose request it is, for messages."""

    name: str
    hint: str
    """What to do if the service does not know it."""


GATEWAY = Account(
    "the gateway",
    "Are tenant_id and scope those of this environment (the scope is its address + /.default)?",
)
CALLER = Account(
    "the caller",
    "Is the caller an enabled user of this environment, with the same Microsoft Entra account?",
)


def raise_for_answer(
    request: Request,
    response: Response,
    subject: str,
    now: float,
    errors: ErrorDetails,
    account: Account = GATEWAY,
) -> None:
    """Raise the error for an answer that is not of the kind that was requested.

    ``subject`` is what messages call the resource, ``now`` the time in seconds of the epoch, ``errors`` the dialect's.

    304 answers a conditional request only, and 1xx none (RFC 9110, sections 15.2 and 15.4.5).
    """
    if 200 <= response.status < 300 or (response.status == 304 and _is_conditional(request)):
        _check_content(request, response, subject)
        return
    raise _error(request, response, subject, now, errors, account)


def _is_conditional(request: Request) -> bool:
    return any(name.lower() in _CONDITIONS for name in request.headers)


def is_page(response: Response) -> bool:
    """Return whether the answer is a web page: of a web server or proxy, not of an OData service."""
    return response.media_type in _PAGES or _MARKUP.match(response.body) is not None


def is_row_absent(response: Response) -> bool:
    """Return whether a 404 comes from an OData service, which means that there is no such row.

    That is an ``error`` object in JSON (OData JSON Format 4.0, section 19), or an empty body if a header shows that
    an OData service answered: ``OData-Version`` (OData 4.0 Protocol, section 8.1.5) or a request id of Dynamics 365.
    A web server answers 404 too, to addresses that are too long or hold characters that it refuses.
    """
    if response.status != 404:
        return False
    if response.body:
        return envelope_of(response.body) is not None
    return "odata-version" in response.headers or response.request_id is not None


def shows_outcome(response: Response) -> bool:
    """Return whether an answer to a write shows its outcome.

    Errors are judged by their body, because F&O refuses with 500 too. For a status below 300 it also depends on what
    was written: ``gateway.writes.success``.
    """
    status = response.status
    if is_page(response) or status < 200 or 300 <= status < 400 or status in TRANSIENT | SLOW:
        return False  # of a proxy or gateway: the service behind it may have continued
    if status < 300:
        return envelope_of(response.body) is None
    if status == 404:
        return is_row_absent(response) or service_failure_of(response.body) is not None
    return refusal_of(response.body) is not None or (
        status < 500 and not nested_too_deeply(response.body)
    )


def nested_too_deeply(body: bytes) -> bool:
    """Return whether a body is JSON nested more deeply than the decoders here allow."""
    try:
        msgspec.json.decode(body)
    except RecursionError:
        return True
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    return False


def malformed_answer(
    response: Response, reason: str, kind: type[UpstreamMalformed] = UpstreamMalformed
) -> UpstreamMalformed:
    """Return the error for an answer that cannot be decoded: ``reason`` is public, the body's start is not."""
    return kind(
        f"The upstream's answer cannot be used: {reason}.",
        detail=_detail(response, None),
        upstream_status=response.status,
        upstream_request_id=response.request_id,
    )


def subject_of(path: str) -> str:
    """``CustomersV3(CustomerAccount='1')/Lines?$top=5`` → ``CustomersV3/Lines``: what a message may name."""
    named = path.partition("?")[0].replace("%28", "(")
    return "/".join(segment.partition("(")[0] for segment in named.split("/"))


def _check_content(request: Request, response: Response, subject: str) -> None:
    accepted = request.headers.get("Accept", "")
    if not response.body or accepted.startswith("application/xml"):
        return  # the reader of metadata checks XML itself
    if is_page(response):
        raise _unexpected_content(response, "a web page")
    if not accepted.startswith(JSON):
        return
    # Some services send errors with status 200.
    if (envelope := envelope_of(response.body)) is not None:
        raise _rejected(request, response, subject, envelope)
    plain = request.url.partition("?")[0].endswith(PLAIN)
    if not plain and "json" not in (response.media_type or "json"):
        raise _unexpected_content(response, response.media_type)


def _unexpected_content(response: Response, content: str) -> UpstreamMalformed:
    error = malformed_answer(response, f"{content} came, not OData")
    error.hint = (
        "Is the service root (D365_URL) complete, such as https://x.operations.dynamics.com/data?"
    )
    return error


def _error(
    request: Request,
    response: Response,
    subject: str,
    now: float,
    errors: ErrorDetails,
    account: Account,
) -> GatewayError:
    status = response.status
    if status < 200 or status == 304:
        return malformed_answer(response, f"status {status} answers no such request")
    if status < 400:
        return _redirected(response)
    if status in {401, 403}:
        return _forbidden(response, subject, errors, account)
    envelope = envelope_of(response.body)
    if status == 429:
        return UpstreamThrottled(
            "The upstream is too busy to answer.",
            hint="Try again later, or request fewer rows at a time.",
            retry_after=retry_after(response.headers.get("retry-after"), now),
            **_facts(response, envelope),
        )
    if status == 408:
        return UpstreamTimeout(
            f"The upstream gave up waiting for the request on {subject}.",
            **_facts(response, envelope),
        )
    if envelope is not None and (status == 501 or (status == 500 and errors.is_refusal(envelope))):
        return _rejected(request, response, subject, envelope)
    if status >= 500:
        return UpstreamUnavailable(
            f"The upstream failed on {subject} (status {status}).", **_facts(response, envelope)
        )
    return _rejected(request, response, subject, envelope)


def _rejected(
    request: Request, response: Response, subject: str, envelope: Envelope | None
) -> UpstreamRejected:
    """Return the error with set and status, and for a 4xx the outer message; the inner one is for the log.

    The message may quote the filter, so it is for the log, too, if that holds a rule.
    """
    message = ""
    if envelope is not None and 400 <= response.status < 500 and request.shown is None:
        message = mask(_one_line(envelope.message))
    sentence = f"The upstream refused the request on {subject} (status {response.status})"
    is_absent = is_row_absent(response)
    kind = UpstreamNotFound if is_absent else UpstreamRejected
    is_web_server = response.status == 404 and not is_absent
    return kind(
        f"{sentence}: {message}" if message else f"{sentence}.",
        hint=_NOT_ODATA if is_web_server else _HINTS.get(response.status),
        **_facts(response, envelope),
    )


_HINTS = {
    404: "If the record should exist: are the key and the companies right, and is the metadata still current?",
    414: "Lower max_url_length.",
}
_NOT_ODATA = (
    "A web server or proxy answered, not the OData service: is the service root (D365_URL) complete, and does the"
    " address hold characters or a length that the web server refuses (max_url_length)?"
)


def _forbidden(
    response: Response, subject: str, errors: ErrorDetails, account: Account
) -> UpstreamForbidden:
    if response.status == 401:
        sentence = f"The upstream does not accept {account.name}'s sign-in"
        hint = account.hint
    else:
        sentence = f"{account.name.capitalize()}'s account may not use {subject}"
        hint = errors.forbidden_hint
    return UpstreamForbidden(
        f"{sentence} (status {response.status}).",
        hint=hint,
        **_facts(response, envelope_of(response.body)),
    )


def _redirected(response: Response) -> GatewayError:
    """Return the error for a redirect: to a login page we are not signed in, elsewhere the address is wrong."""
    location = response.headers.get("location", "")
    target = urlsplit(location)
    facts = _facts(response, None)
    if _SIGN_IN.search(f"{target.netloc}{target.path}"):
        return UpstreamForbidden(
            "The upstream sends the gateway to a sign-in page.",
            hint="It requires other credentials: check D365_AUTH, tenant_id, client_id and scope.",
            **facts,
        )
    return UpstreamMalformed(
        f"The upstream redirects to another address (status {response.status}).",
        hint="Set D365_URL to the address that answers without a redirect; redirects are not followed.",
        **facts,
    )


class _Facts(TypedDict):
    detail: str
    upstream_status: int
    upstream_request_id: str | None


def _facts(response: Response, envelope: Envelope | None) -> _Facts:
    return {
        "detail": _detail(response, envelope),
        "upstream_status": response.status,
        "upstream_request_id": response.request_id,
    }


def _detail(response: Response, envelope: Envelope | None) -> str:
    """Return text for the log: the address without values, and the error without its stack trace."""
    if envelope is None:
        content = response.body[:2_000].decode("utf-8", "replace")
        if location := response.headers.get("location"):
            content = f"Location: {location[:500]} {content}"
    else:
        parts = (
            *(envelope.code, envelope.message, envelope.inner_type, envelope.inner_message),
            envelope.cut,
        )
        content = " | ".join(part for part in parts if part)[:2_000]
    return f"{response.status} {loggable(response.url)} {response.media_type}: {content}"


def _one_line(text: str) -> str:
    """Return the first line, at most 300 characters, for the public message."""
    line = text.strip().partition("\n")[0].strip()
    return line if len(line) <= 300 else f"{line[:299]}…"
