"""What an access token says of itself, for people who find out why a service refuses it: never the token as a whole.

Nothing is verified here, and nothing may depend on it.
"""

from __future__ import annotations

import base64

import msgspec
from msgspec import Struct


class TokenFacts(Struct, frozen=True):
    """The claims that decide whether a service takes a token."""

    aud: str | None = None
    """The service that it is for."""
    tid: str | None = None
    """Tenant."""
    oid: str | None = None
    """Object of the tenant: service principal or user."""
    appid: str | None = None
    azp: str | None = None

    @property
    def application(self) -> str | None:
        """Client id of the application."""
        return self.appid or self.azp


def token_facts(token: str) -> TokenFacts | None:
    """Return what a token says; None for one that is no JSON Web Token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    payload = parts[1]
    try:
        content = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return msgspec.json.decode(content, type=TokenFacts)
    except ValueError:  # base64's and msgspec's errors
        return None
