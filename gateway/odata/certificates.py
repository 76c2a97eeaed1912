"""Reads the certificate of an application with its private key: PEM, or PFX (PKCS #12)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import pkcs12
from msgspec import Struct

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)


class CertificateError(ValueError):
    """A certificate that cannot be used; its text says why."""


class ClientCertificate(Struct, frozen=True):
    """A certificate and its key. msal computes the thumbprint."""

    key: RSAPrivateKey
    pem: str

    def __repr__(self) -> str:
        return "ClientCertificate(********)"


def read_certificate(content: bytes, password: str | None) -> ClientCertificate:
    """Return the certificate in a file, with its key. Raises CertificateError."""
    secret = password.encode() if password else None
    try:
        key, certificates = (
            _pem(content, secret) if _BLOCK.search(content) else _pfx(content, secret)
        )
    except TypeError as exc:
        # A password for a key that is not encrypted, or none for one that is.
        reason = "has a password, which is not set" if secret is None else "has no password"
        raise CertificateError(reason) from exc
    except ValueError as exc:
        if isinstance(exc, CertificateError):
            raise
        raise CertificateError("is no PEM or PFX file, or its password is wrong") from exc
    if not isinstance(key, RSAPrivateKey):
        raise CertificateError("has no RSA key: Microsoft Entra accepts no other")
    public = key.public_key().public_numbers()
    for certificate in certificates:
        theirs = certificate.public_key()
        if getattr(theirs, "public_numbers", lambda: None)() == public:
            return _current(key, certificate)
    raise CertificateError("has no certificate of its private key")


def _current(key: RSAPrivateKey, certificate: x509.Certificate) -> ClientCertificate:
    end = certificate.not_valid_after_utc
    if end < datetime.now(UTC):
        raise CertificateError(f"expired on {end:%Y-%m-%d}")
    return ClientCertificate(key, certificate.public_bytes(serialization.Encoding.PEM).decode())


def _pem(content: bytes, password: bytes | None) -> tuple[object, list[x509.Certificate]]:
    blocks = [(match[1], match[0]) for match in _BLOCK.finditer(content)]
    keys = [block for kind, block in blocks if kind.endswith(b"PRIVATE KEY")]
    if len(keys) != 1:
        raise CertificateError(f"has {len(keys)} private keys instead of one")
    certificates = [block for kind, block in blocks if kind == b"CERTIFICATE"]
    key = serialization.load_pem_private_key(keys[0], password)
    return key, [x509.load_pem_x509_certificate(block) for block in certificates]


def _pfx(content: bytes, password: bytes | None) -> tuple[object, list[x509.Certificate]]:
    key, certificate, others = pkcs12.load_key_and_certificates(content, password)
    if key is None:
        raise CertificateError("has no private key")
    return key, [*([] if certificate is None else [certificate]), *others]
