"""The verified caller of a request."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

CallerKind: TypeAlias = Literal["anonymous", "token", "key", "certificate", "os"]
"""``os``: a user of the machine, who runs a command."""


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
    environments: tuple[str, ...] = ()
    """Patterns of the environments that its key may use; empty: all."""
    scopes: tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)
    """All verified claims."""
    user_claims: tuple[str, ...] = ()
    """Claims that name the user of the environment; empty if the issuer does not know its users."""
    user: Mapping[str, Any] = field(default_factory=dict)
    """The user of the environment: ``id``, ``company``, ``language``, ``roles``; empty if not looked up or absent."""
    expires_at: float | None = None
    """When the token or key ends, in seconds since the epoch."""
    assertion: Assertion | None = None
    """The token itself, for calls on behalf of the caller."""

    @property
    def log_id(self) -> str:
        """A digest that tells callers apart in logs and names nobody."""
        return _log_id(self.issuer, self.subject)

    def is_same(self, other: Caller) -> bool:
        """Return whether another caller is the same person, application or key."""
        own, others = ((c.kind, c.issuer, c.subject) for c in (self, other))
        return own == others

    def has_rights_of(self, other: Caller) -> bool:
        """Return whether nothing differs from an earlier token of the same caller that rights may depend on."""
        own, others = ((c.roles, c.scopes, _lasting(c.claims)) for c in (self, other))
        return own == others


@lru_cache(maxsize=2_048)
def _log_id(issuer: str, subject: str) -> str:
    text = f"{len(issuer)}:{issuer}{subject}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _lasting(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the claims that are no facts of one token alone."""
    return {
        name: value
        for name, value in claims.items()
        if name not in _OF_ONE_TOKEN and not name.startswith("xms_")
    }


_OF_ONE_TOKEN = frozenset(
    {"exp", "iat", "nbf", "jti", "nonce", "auth_time", "aio", "uti", "rh", "sid"}
)


class Assertion(Struct, frozen=True):
    """A caller's token, which must not be printed."""

    token: str

    def __repr__(self) -> str:
        return "Assertion(…)"

    __str__ = __repr__


ANONYMOUS = Caller()
"""A caller that has not signed in."""
