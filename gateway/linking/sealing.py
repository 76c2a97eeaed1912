"""What a link session must remember and nobody may read: encrypted with the secret in its browser's cookie.

The store has a digest of that secret only. So neither the store nor a copy of it says what is sealed, and a session
that ends leaves nothing behind that could be decrypted. A sealed text is of one session: it is of no use in another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

SECRET_BYTES = 32
_NONCE_BYTES = 12
_INFO = b"d365-graphql link session"


class LinkSecrets(Struct, frozen=True, kw_only=True):
    """What is sealed."""

    token: str
    """The token in the address of the session, to which the browser comes back."""
    client_secret: str | None = None
    """Of the customer's own application."""
    verifier: str | None = None
    """PKCE verifier of the sign-in that is under way."""
    nonce: str | None = None

    def __repr__(self) -> str:
        return "LinkSecrets(********)"


class Unsealable(Exception):
    """A text was not sealed with this secret, or for another session."""


def new_secret() -> str:
    """Return a random text of 256 bits, for addresses, cookies and states."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest_of(secret: str) -> str:
    """Return the digest by which a random secret is stored. It has 256 bits, so no slow digest is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_digest_of(digest: str | None, secret: str) -> bool:
    """Return whether a digest is of a secret, in constant time."""
    return digest is not None and hmac.compare_digest(digest, digest_of(secret))


def seal(content: LinkSecrets, secret: str, session: str) -> str:
    """Return secrets, encrypted for a session."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = _cipher(secret, session).encrypt(nonce, msgspec.json.encode(content), session.encode())
    return base64.b64encode(nonce + sealed).decode()


def unseal(text: str, secret: str, session: str) -> LinkSecrets:
    """Return decrypted secrets. Raises Unsealable."""
    try:
        data = base64.b64decode(text)
        nonce, sealed = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
        content = _cipher(secret, session).decrypt(nonce, sealed, session.encode())
        return msgspec.json.decode(content, type=LinkSecrets)
    except (ValueError, InvalidTag) as error:
        raise Unsealable from error


def _cipher(secret: str, session: str) -> AESGCM:
    derivation = HKDF(SHA256(), length=32, salt=session.encode(), info=_INFO)
    return AESGCM(derivation.derive(secret.encode()))
