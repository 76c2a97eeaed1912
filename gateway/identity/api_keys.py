"""Verifies API keys (``d365_<id>_<secret>``) by the store's copy in memory, so that a revoked one ends in seconds."""

from __future__ import annotations

from gateway.store.api_keys import PREFIX, ApiKeys, parse_key

from .caller import Caller
from .refusals import CredentialsRefused

BEGINNING = f"{PREFIX}_"
"""How a key begins, by which it differs from a token."""
ISSUER = "api-key"
"""Issuer of callers with a key."""


async def verify_key(text: str, keys: ApiKeys) -> Caller:
    """Return the caller with an API key. Raises CredentialsRefused, StoreUnavailable."""
    parsed = parse_key(text)
    if parsed is None:
        raise _refused("malformed", "")
    key = await keys.find(parsed.id)
    if key is None or not key.proves(parsed.secret):
        raise _refused("unknown_api_key", parsed.id)
    if not key.is_valid():
        # Only its owner learns that there was such a key.
        reason, ending = (
            ("expired", "has expired") if key.revoked is None else ("revoked", "was revoked")
        )
        raise _refused(reason, parsed.id, f"The API key {ending}.")
    keys.used(key.id)
    return Caller(
        kind="key",
        issuer=ISSUER,
        subject=key.id,
        name=key.name,
        roles=tuple(sorted(key.roles)),
        environments=key.environments,
        expires_at=key.expires_at,
    )


def _refused(
    reason: str, key_id: str, message: str = "The API key is not valid."
) -> CredentialsRefused:
    refused = CredentialsRefused(reason, message)
    refused.describe(issuer=ISSUER, kid=key_id, subject=key_id)
    return refused
