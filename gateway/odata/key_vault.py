"""Reads secrets of Azure Key Vault over its REST API, with a token of the machine's or workload's identity.

https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

import httpx
import msgspec
from msgspec import Struct

from gateway.config.vault_reference import VaultSecret
from gateway.errors import TokenError

from .credentials import Source
from .login_http import LoginHttp

_VERSION = "7.4"
MAX_AGE = 600.0
"""Seconds after which a secret is read again for the next token."""
_PFX = "application/x-pkcs12"
_HINTS = {
    401: "Is the vault of the tenant of this identity?",
    403: "Give the identity the role Key Vault Secrets User, and this machine access to the vault's network.",
    404: "Is the name of the secret right, and is it enabled?",
}


class _Secret(Struct, rename="camel"):
    value: str
    content_type: str | None = None


def vault_source(
    secret: VaultSecret,
    http: LoginHttp,
    token: Callable[[], str],
    now: Callable[[], float] = time.monotonic,
) -> Source:
    """Return the source that reads a secret; ``token`` returns one for Key Vault. A PFX certificate comes as bytes.

    While the vault cannot be reached, an old value is used.
    """
    cached: tuple[float, bytes] | None = None

    def read(again: bool) -> bytes:
        nonlocal cached
        if cached is None or again or now() - cached[0] > MAX_AGE:
            try:
                cached = now(), _read(secret, http, token())
            except TokenError:
                if cached is None:
                    raise
        return cached[1]

    return read


def _read(secret: VaultSecret, http: LoginHttp, token: str) -> bytes:
    headers = {"Authorization": f"Bearer {token}"}
    try:
        answer = http.get(secret.url, params={"api-version": _VERSION}, headers=headers)
    except httpx.HTTPError as exc:
        raise TokenError(
            "Key Vault cannot be reached.",
            hint="Is the address of the reference right, and can this machine reach it?",
            detail=f"{secret.url}: {type(exc).__name__}: {exc}",
        ) from exc
    if answer.status_code != 200:
        raise TokenError(
            f"Key Vault did not return the secret (status {answer.status_code}).",
            hint=_HINTS.get(answer.status_code),
            detail=secret.url,
        )
    try:
        content = msgspec.json.decode(answer.content, type=_Secret)
        is_pfx = content.content_type == _PFX
        return base64.b64decode(content.value) if is_pfx else content.value.encode()
    except ValueError as exc:  # msgspec's and base64's errors
        raise TokenError("Key Vault's answer holds no secret.", detail=secret.url) from exc
