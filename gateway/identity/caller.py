"""The verified caller of a request."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

CallerKind: TypeAlias = Literal["anonymous", "token", "key", "certificate"]


class Caller(Struct, frozen=True, kw_only=True):
    """Who calls, as far as it was verified. Its ``repr`` holds no token."""

    kind: CallerKind = "anonymous"
    issuer: str = ""
    """Issuer of the token (``iss``), or the name under which a key or certificate is known."""
    subject: str = ""
    """Subject (``sub``, Entra's ``oid``), the key's id or the certificate's subject."""
    application: str | None = None
    """Client application (``azp``, ``appid``)."""
    name: str | None = None
    """Name for people: the badge of GraphiQL, the audit log."""
    roles: tuple[str, ...] = ()
    """Roles that the issuer, key or certificate names, sorted; those that the policy does not know are ignored."""
    scopes: tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)
    """All verified claims."""
    user: Mapping[str, Any] = field(default_factory=dict)
    """The user of the environment: ``id``, ``company``, ``language``, ``roles``; empty if not looked up or absent."""
    expires_at: float | None = None
    """When the token or key ends, in seconds since the epoch."""
    assertion: Assertion | None = None
    """The token itself, for calls on behalf of the caller."""

    @property
    def log_id(self) -> str:
        """A digest that tells callers apart in logs and names nobody."""
        text = f"{len(self.issuer)}:{self.issuer}{self.subject}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Assertion(Struct, frozen=True):
    """A caller's token, which must not be printed."""

    token: str

    def __repr__(self) -> str:
        return "Assertion(…)"

    __str__ = __repr__


ANONYMOUS = Caller()
"""A caller that has not signed in."""
