"""Callers with tokens."""

from __future__ import annotations

import time
from typing import Any

from gateway.identity.caller import Assertion, Caller

from .login_host import LoginHost

HOUR = 3600.0


def caller_of(
    user: str, token: str = "token", *, ends_at: float = 8 * HOUR, **claims: Any
) -> Caller:
    return Caller(
        kind="token",
        issuer="login",
        subject=user,
        claims={"oid": user, "tid": "contoso", **claims},
        expires_at=ends_at,
        assertion=Assertion(f"{token}-of-{user}"),
    )


def real_caller(host: LoginHost, user: str, **claims: Any) -> Caller:
    """Return a caller whose token the login host accepts."""
    return Caller(
        kind="token",
        issuer=host.issuer,
        subject=user,
        claims={"oid": user, "tid": host.tenant, "upn": f"{user}@contoso.com", **claims},
        expires_at=time.time() + HOUR,
        assertion=Assertion(host.token_of(user, **claims)),
    )
