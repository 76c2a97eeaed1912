"""Reads the error object of an OData answer.

    {"error": {"code": "", "message": "…", "innererror": {"message": "…", "type": "…"}}}

OData JSON Format 4.0, section 19, defines the object; version 2 and 3 put the message into ``{"lang": …, "value": …}``.
https://docs.oasis-open.org/odata/odata-json-format/v4.0/odata-json-format-v4.0.html (section 19)
"""

from __future__ import annotations

import re
from typing import Any

import orjson
from msgspec import Struct

_BOM = b"\xef\xbb\xbf"
_ERROR = re.compile(rb'\A(?:\xef\xbb\xbf)?\s*\{\s*"error"\s*:\s*\{')
_SERVICE_FAILURE = re.compile(rb'\A(?:\xef\xbb\xbf)?\s*\{\s*"(?:Message|ExceptionType)"\s*:')
_LONGEST_EXCERPT = 2_000
"""Bytes of a malformed error object that are put into the log."""


class Envelope(Struct, frozen=True):
    """The ``error`` object of OData JSON, with the inner error that .NET services add."""

    code: str = ""
    message: str = ""
    inner_message: str = ""
    inner_type: str = ""
    cut: str = ""
    """The start of an error object that cannot be decoded: for the log, never for a client."""

    @property
    def innermost_message(self) -> str:
        """The most specific message: F&O says in the outer one only that an error occurred."""
        return self.inner_message or self.message


def envelope_of(body: bytes) -> Envelope | None:
    """Return the OData error object of a body; None if it holds none. Never raises."""
    if not _ERROR.match(body):
        return None
    try:
        error: dict[str, Any] = orjson.loads(body.removeprefix(_BOM))["error"]
    except orjson.JSONDecodeError:
        return Envelope(cut=body[:_LONGEST_EXCERPT].decode("utf-8", "replace"))
    if not error.keys() & {"code", "message", "innererror"}:
        return None
    inner = error.get("innererror")
    inner = inner if isinstance(inner, dict) else {}
    message = error.get("message")
    if isinstance(message, dict):  # OData 2 and 3: {"lang": …, "value": …}
        message = message.get("value")
    return Envelope(
        str(error.get("code") or ""),
        str(message or ""),
        str(inner.get("message") or ""),
        str(inner.get("type") or ""),
    )


def refusal_of(body: bytes) -> Envelope | None:
    """Return why a write was refused: an OData error object, or an ASP.NET failure. Never raises."""
    return envelope_of(body) or service_failure_of(body)


def service_failure_of(body: bytes) -> Envelope | None:
    """Return ``{"Message": …, "ExceptionType": …}``, which ASP.NET answers if a service operation fails.

    https://learn.microsoft.com/aspnet/web-api/overview/error-handling/exception-handling
    """
    if not _SERVICE_FAILURE.match(body):
        return None
    try:
        failure: dict[str, Any] = orjson.loads(body.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        return None
    if "ExceptionType" not in failure:
        return None
    message = failure.get("ExceptionMessage") or failure.get("Message")
    return Envelope(message=str(message or ""), inner_type=str(failure["ExceptionType"] or ""))
