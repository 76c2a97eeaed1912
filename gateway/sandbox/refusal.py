"""Refusal, the one exception of the sandbox, and the error envelope of section 5.3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

ODATA_EXCEPTION = "Microsoft.OData.ODataException"
WRITE_EXCEPTION = "Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataWriteException"
_STACK = "   at Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataDelegatingHandler.SendAsync()"


class Refusal(Exception):
    """The request is refused; the application turns this into a response."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = ODATA_EXCEPTION,
        headers: Mapping[str, str] | None = None,
        body: tuple[bytes, str] | None = None,
        stack: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.headers = dict(headers or {})
        self.stack = stack
        self.body = body
        """Bytes and content type of an answer that is not the envelope."""


def envelope(message: str, kind: str = ODATA_EXCEPTION, stack: str | None = None) -> dict[str, Any]:
    """Return the error body: the outer message is always the same, the real one is inside."""
    inner = {"message": message, "type": kind, "stacktrace": stack or _STACK}
    return {"error": {"code": "", "message": "An error has occurred.", "innererror": inner}}


def error_body(refusal: Refusal) -> tuple[bytes, str]:
    """Return the bytes and the content type of a refusal's answer."""
    if refusal.body is not None:
        return refusal.body
    return (
        orjson.dumps(envelope(refusal.message, refusal.kind, refusal.stack)),
        "application/json; odata.metadata=minimal; charset=utf-8",
    )


def styled_body(style: str, status: int, message: str) -> tuple[bytes, str] | None:
    """Return the body of an answer whose form is unknown: ``empty``, ``html`` or (None) the envelope."""
    if style == "empty":
        return b"", "text/plain"
    if style == "html":
        head = f"<head><title>{status}</title></head>"
        page = f"<!DOCTYPE html><html>{head}<body><h2>{status} - {message}</h2></body></html>"
        return page.encode(), "text/html"
    return None


def unknown_property(name: str, type_name: str) -> Refusal:
    return Refusal(400, f"Could not find a property named '{name}' on type '{type_name}'.")


def not_found(message: str = "No resource was found that matches the request.") -> Refusal:
    return Refusal(404, message)


def internal() -> Refusal:
    """Return the 400 without a reason with which F&O answers contains() and the like (section 2.2, [R: S13])."""
    return Refusal(400, "Internal Server Error", kind="System.NotSupportedException")
