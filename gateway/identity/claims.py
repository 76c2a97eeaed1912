"""Reads the caller from the claims of a verified token, by the paths that the settings name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gateway.config.inbound_models import Issuer

from .caller import Assertion, Caller


def claim_at(claims: Mapping[str, Any], path: str) -> Any:
    """Return a claim: that of this name, or what a path such as ``realm_access.roles`` leads to; None if absent."""
    # Names may have dots of their own: "https://example.com/roles".
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def values_at(claims: Mapping[str, Any], paths: Iterable[str]) -> Iterator[str]:
    """Yield the texts at all paths, those of lists one by one."""
    for path in paths:
        value = claim_at(claims, path)
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, str) and each:
                yield each


def missing_claim(claims: Mapping[str, Any], required: Mapping[str, Sequence[str]]) -> str | None:
    """Return the first of the required claims that is absent or has none of its values; None if all are there."""
    for path, accepted in required.items():
        value = claim_at(claims, path)
        texts = [_text(each) for each in (value if isinstance(value, list) else (value,))]
        if value is None or (accepted and not any(text in accepted for text in texts)):
            return path
    return None


def _text(value: object) -> str:
    """``True`` → ``true``, as in the settings."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_id_token(claims: Mapping[str, Any]) -> bool:
    """Return whether a token is about a sign-in, for the client alone, and not for access.

    If a client and the API are one registration, both kinds of tokens have the same issuer and audience, and neither
    Entra nor Keycloak tells them apart by ``typ``. https://openid.net/specs/openid-connect-core-1_0.html#IDToken
    """
    if claims.get("typ") == "ID" or "at_hash" in claims or "c_hash" in claims:
        return True
    return "nonce" in claims and claims.keys().isdisjoint(_OF_ACCESS)


_OF_ACCESS = frozenset({"azp", "appid", "client_id", "scp", "scope"})


def subject_of(claims: Mapping[str, Any], options: Issuer) -> str | None:
    """Return the subject of a token; None if it has none."""
    return next(values_at(claims, options.subject_claims), None)


def caller_of(
    claims: Mapping[str, Any], options: Issuer, *, issuer: str, subject: str, token: str
) -> Caller:
    """Return the caller whose token has these claims."""
    scopes = {scope for text in values_at(claims, options.scope_claims) for scope in text.split()}
    named = set(values_at(claims, options.role_claims))
    groups = set(values_at(claims, options.group_claims))
    return Caller(
        kind="token",
        issuer=issuer,
        subject=subject,
        application=next(values_at(claims, ("azp", "appid", "client_id")), None),
        name=next(values_at(claims, options.name_claims), None),
        roles=tuple(sorted(_roles(options.role_map, named, groups | scopes))),
        scopes=tuple(sorted(scopes)),
        claims=claims,
        user_claims=options.names_users_in,
        expires_at=float(claims["exp"]),
        assertion=Assertion(token),
    )


def _roles(
    role_map: Mapping[str, Sequence[str]], named: Iterable[str], others: Iterable[str]
) -> set[str]:
    """Return the mapped roles, and those that role claims name. A group or scope alone is no role."""
    roles: set[str] = set()
    for value in named:
        roles.update(role_map.get(value, (value,)))
    for value in others:
        roles.update(role_map.get(value, ()))
    return roles
