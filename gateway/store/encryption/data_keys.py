"""Encrypts secrets with the data key of their environment, bound to the place in which they are stored.

AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits. A data key encrypts a few values, and a new version of it
after each rotation, so that no nonce repeats. A ciphertext that is moved to another environment, option or version of
the key cannot be opened.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import SecretUnreadable

_FORMAT = b"\x01"
_KEY_BITS = 256
_NONCE = 12


def new_key() -> bytes:
    """Return a random key."""
    return AESGCM.generate_key(_KEY_BITS)


def place(environment: str, table: str, column: str, version: int) -> bytes:
    """Return the context of a ciphertext: id of the environment, where it is, and the version of the data key."""
    return "|".join((environment, table, column, str(version))).encode()


def encrypt(key: bytes, value: bytes, context: bytes) -> bytes:
    """Return a ciphertext that opens in the same context only."""
    nonce = secrets.token_bytes(_NONCE)
    return _FORMAT + nonce + AESGCM(key).encrypt(nonce, value, context)


def decrypt(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """Return the value of a ciphertext. Raises SecretUnreadable, whatever is wrong with it."""
    nonce, text = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
    if sealed[:1] == _FORMAT:
        try:
            return AESGCM(key).decrypt(nonce, text, context)
        except (InvalidTag, ValueError):  # ValueError: too short
            pass
    raise SecretUnreadable("A secret in the store was damaged, or moved from where it was stored.")
