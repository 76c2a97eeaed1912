"""Seals values that clients hand back (cursors), and hashes values that they must not see (masks).

Both use keys derived from one secret by HKDF (RFC 5869), one for each purpose. Sealing is AES-SIV (RFC 5297): the same
value in the same context gives the same text, so that equal pages have equal cursors, and no nonce can repeat. What old
secrets sealed can be opened, but they seal nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FORMAT = b"\x01"
_SEALING = "seal"
_SEALING_BYTES = 64
_DIGEST_BYTES = 32


class NotSealed(ValueError):
    """Not sealed by one of these secrets, in this context."""


class Sealer:
    """Seals and hashes with keys of one secret; opens with those of older ones, too."""

    def __init__(self, secret: bytes, old: Sequence[bytes] = ()) -> None:
        self._secret = secret
        self._old = old
        self._ciphers = [AESSIV(_derive(s, _SEALING, _SEALING_BYTES)) for s in (secret, *old)]
        self._digest_key = lru_cache(maxsize=64)(self._derive_digest_key)

    def of(self, part: str) -> Sealer:
        """Return the sealer of a part of the deployment: what it seals and hashes means nothing to other parts."""
        secret, *old = (_derive(s, f"of {part}", _DIGEST_BYTES) for s in (self._secret, *self._old))
        return Sealer(secret, old)

    def seal(self, value: bytes, context: bytes) -> bytes:
        """Return an encrypted value that can be opened in the same context only."""
        return _FORMAT + self._ciphers[0].encrypt(value, [context])

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return a sealed value. Raises NotSealed, whatever is wrong with it."""
        if sealed[:1] == _FORMAT:
            for cipher in self._ciphers:
                try:
                    return cipher.decrypt(sealed[1:], [context])
                except (InvalidTag, ValueError):  # ValueError: too short
                    continue
        raise NotSealed

    def digest(self, purpose: str, value: bytes) -> bytes:
        """Return a hash of 32 bytes that only holders of the secret can compute, different for each purpose."""
        return hmac.digest(self._digest_key(purpose), value, "sha256")

    def _derive_digest_key(self, purpose: str) -> bytes:
        return _derive(self._secret, f"digest {purpose}", _DIGEST_BYTES)


def _derive(secret: bytes, purpose: str, length: int) -> bytes:
    info = f"d365-graphql {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)
