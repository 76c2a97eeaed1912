"""Requests and responses as plain values: the same for ASGI and for the parts of a ``$batch``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from .refusal import Refusal, error_body

if TYPE_CHECKING:
    from .sign_in import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One request."""

    method: str
    path: str
    """Still percent-encoded."""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    origin: str = ""
    """Scheme and host."""
    user: User | None = None
    """Who has signed in; None if the sandbox does not require it."""

    @property
    def url(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def accept(self) -> str:
        return self.headers.get("accept", "")


@dataclass(slots=True, kw_only=True)
class Outgoing:
    """One response."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    created: str = ""
    """Path of the row that was created, for references to it within a changeset."""

    @classmethod
    def of_json(
        cls, value: Any, *, level: str = "minimal", headers: Mapping[str, str] | None = None
    ) -> Outgoing:
        kind = f"application/json; odata.metadata={level}; charset=utf-8"
        return cls(headers={"content-type": kind, **(headers or {})}, body=orjson.dumps(value))

    @classmethod
    def of_text(cls, text: str, kind: str = "text/plain; charset=utf-8") -> Outgoing:
        return cls(headers={"content-type": kind}, body=text.encode())

    @classmethod
    def of_refusal(cls, refusal: Refusal) -> Outgoing:
        body, kind = error_body(refusal)
        headers = {"content-type": kind} if body else {}
        return cls(status=refusal.status, headers={**headers, **refusal.headers}, body=body)
