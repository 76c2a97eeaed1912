"""What link sessions remember sealed: only the cookie of the browser opens it, in its own session."""

from __future__ import annotations

import base64

import pytest

from gateway.linking.sealing import (
    LinkSecrets,
    Unsealable,
    digest_of,
    is_digest_of,
    new_secret,
    seal,
    unseal,
)

SECRETS = LinkSecrets(token="t0ken", client_secret="s3cret", verifier="v", nonce="n")


def test_what_is_sealed_opens_with_the_same_secret() -> None:
    secret = new_secret()
    text = seal(SECRETS, secret, "1")

    assert unseal(text, secret, "1") == SECRETS
    assert b"s3cret" not in base64.b64decode(text)
    assert text != seal(SECRETS, secret, "1")


def test_other_secrets_sessions_and_texts_open_nothing() -> None:
    secret = new_secret()
    text = seal(SECRETS, secret, "1")
    data = bytearray(base64.b64decode(text))
    data[-1] ^= 1

    for args in (
        (text, new_secret(), "1"),
        (text, secret, "2"),
        (base64.b64encode(data).decode(), secret, "1"),
        ("", secret, "1"),
        ("nonsense", secret, "1"),
    ):
        with pytest.raises(Unsealable):
            unseal(*args)


def test_secrets_have_256_bits_and_are_stored_as_digests() -> None:
    secret = new_secret()

    assert len(base64.urlsafe_b64decode(secret + "=")) == 32
    assert is_digest_of(digest_of(secret), secret)
    assert not is_digest_of(digest_of(secret), new_secret())
    assert not is_digest_of(None, secret)


def test_secrets_are_not_shown() -> None:
    assert "s3cret" not in repr(SECRETS)
