"""Wraps and unwraps keys with a key of Azure Key Vault, which never leaves the vault.

A vault's RSA key binds nothing to a context, so the digest of the context is wrapped with the key and compared. What
was unwrapped stays in memory while it is in use: an environment that is opened again needs no vault.
https://learn.microsoft.com/rest/api/keyvault/keys/wrap-key/wrap-key
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import threading
import time
from collections.abc import Callable
from functools import lru_cache

import httpx
import msgspec
from msgspec import Struct

from gateway.config.encryption_keys import KEY_BYTES, VaultKey
from gateway.errors import SecretUnreadable, TokenError

from .login_http import LoginHttp
from .token_requests import IssuedToken

_API = "7.4"
_ALGORITHM = "RSA-OAEP-256"
_MARGIN = 60.0
"""Seconds before its end at which a token is replaced."""
_UNWRAPPED = 2_000
"""Keys that stay in memory."""
_HINTS = {
    400: f"Is the key an RSA key, for {_ALGORITHM}, with the operations wrapKey and unwrapKey?",
    401: "Is the vault of the tenant of this identity?",
    403: "Give the identity the role Key Vault Crypto Service Encryption User, and this machine access to the vault's"
    " network.",
    404: "Is the name of the key right, and is it enabled?",
}


class _Answer(Struct):
    kid: str
    value: str


class VaultKeyEncryption:
    """A key of a vault. Its methods block, for as long as two exchanges take at most."""

    def __init__(
        self,
        key: VaultKey,
        http: LoginHttp,
        token: Callable[[], IssuedToken],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``token`` returns a new one for Key Vault."""
        self._url = key.url
        # The address of a key with a version begins with that of the key.
        self._versions = re.compile(rf"{re.escape(key.url)}(?:/[0-9a-f]{{32}})?", re.IGNORECASE)
        self._http = http
        self._new_token = token
        self._now = now
        self._token: tuple[float, str] | None = None
        self._lock = threading.Lock()
        self._unwrapped = lru_cache(_UNWRAPPED)(self._unwrap)

    def has_wrapped(self, wrapped_by: str) -> bool:
        """Return whether a version of this key is named so."""
        return self._versions.fullmatch(wrapped_by) is not None

    def wrap(self, key: bytes, context: bytes) -> tuple[bytes, str]:
        """Return a key wrapped for a context, and the address of the version that has wrapped it. Raises TokenError."""
        answer = self._ask(self._url, "wrapkey", key + _digest(context))
        if not self.has_wrapped(answer.kid):
            raise TokenError("Key Vault's answer is of another key.", detail=answer.kid)
        return _bytes(answer.value), answer.kid

    def unwrap(self, wrapped: bytes, wrapped_by: str, context: bytes) -> bytes:
        """Return a key that a version has wrapped. Raises SecretUnreadable, TokenError if the vault does not answer."""
        content = self._unwrapped(wrapped, wrapped_by)
        key, digest = content[:KEY_BYTES], content[KEY_BYTES:]
        if not hmac.compare_digest(digest, _digest(context)):
            raise SecretUnreadable("The key of a secret was damaged, or moved from where it was.")
        return key

    def _unwrap(self, wrapped: bytes, wrapped_by: str) -> bytes:
        return _bytes(self._ask(wrapped_by, "unwrapkey", wrapped).value)

    def _ask(self, url: str, act: str, value: bytes) -> _Answer:
        text = base64.urlsafe_b64encode(value).decode().rstrip("=")
        try:
            answer = self._http.post(
                f"{url}/{act}",
                params={"api-version": _API},
                headers={"Authorization": f"Bearer {self._valid_token()}"},
                json={"alg": _ALGORITHM, "value": text},
            )
        except httpx.HTTPError as exc:
            raise TokenError(
                "Key Vault cannot be reached.",
                hint="Is the address in encryption_key right, and can this machine reach it?",
                detail=f"{url}: {type(exc).__name__}: {exc}",
            ) from exc
        if answer.status_code != 200:
            raise TokenError(
                f"Key Vault refused {act} (status {answer.status_code}).",
                hint=_HINTS.get(answer.status_code),
                detail=url,
            )
        try:
            return msgspec.json.decode(answer.content, type=_Answer)
        except ValueError as exc:
            raise TokenError("Key Vault's answer holds no key.", detail=url) from exc

    def _valid_token(self) -> str:
        with self._lock:
            if self._token is None or self._now() >= self._token[0]:
                issued = self._new_token()
                self._token = self._now() + issued.lifetime - _MARGIN, issued.value
            return self._token[1]


def _digest(context: bytes) -> bytes:
    return hashlib.sha256(context).digest()


def _bytes(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as exc:
        raise TokenError("Key Vault's answer holds no key.") from exc
