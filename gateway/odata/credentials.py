"""What proves to the login host that the gateway is its application: secret, certificate, or a workload's token.

Each is read again when its file has changed, and on demand after the login host refused it, so that it can be rotated
without a restart. A new one that cannot be used leaves the old one in place: files are often written in two steps.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from gateway.errors import GatewayError, SettingsError, TokenError

from .certificates import CertificateError, read_certificate

Source: TypeAlias = Callable[[bool], bytes]
"""Returns the content of a secret; with True, as it is now, and not as it was cached. Raises OSError, TokenError."""


class CredentialForm(Struct, frozen=True):
    """A credential as msal takes it."""

    version: str
    """Differs for each content."""
    value: Any
    hidden: tuple[str, ...] = ()
    """Texts that must not be shown."""

    def __repr__(self) -> str:
        return "CredentialForm(********)"


class Credential(Protocol):
    """What proves who the gateway is."""

    def form(self, *, again: bool = False) -> CredentialForm:
        """Return it as it is now; ``again``: past any cache. Blocks. Raises SettingsError, TokenError."""
        ...


class SecretCredential:
    """A client secret."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def form(self, *, again: bool = False) -> CredentialForm:
        """Return the secret."""
        text = self._source(again).decode()
        return CredentialForm(_version(text.encode()), text, (text,))


class CertificateCredential:
    """A certificate with its private key."""

    def __init__(self, place: str, source: Source, password: Source | None) -> None:
        """``place`` is the setting's value, for messages."""
        self._place = place
        self._source = source
        self._password = password
        self._form: CredentialForm | None = None

    def form(self, *, again: bool = False) -> CredentialForm:
        """Return the certificate; the last usable one if the current one is not."""
        try:
            content = self._source(again)
            secret = None if self._password is None else self._password(again)
            version = _version(content + b"\0" + (secret or b""))
            if self._form is None or self._form.version != version:
                certificate = read_certificate(content, None if secret is None else secret.decode())
                value = {"private_key": certificate.key, "public_certificate": certificate.pem}
                self._form = CredentialForm(version, value)
        except (OSError, CertificateError, GatewayError) as error:
            if self._form is None:
                raise self._problem(error) from error
        return self._form

    def _problem(self, error: Exception) -> GatewayError:
        if isinstance(error, GatewayError):
            return error
        place = f"credentials.certificate: {self._place}"
        if isinstance(error, OSError):
            return SettingsError(f"{place} cannot be read: {error.strerror or error}")
        hint = "It must hold the certificate and its private key. credentials.certificate_password is its password."
        return SettingsError(f"{place} {error}.", hint=hint)


class WorkloadCredential:
    """The token that a platform projects for a workload, which is read for each request."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def form(self, *, again: bool = False) -> CredentialForm:  # noqa: ARG002 - it is never cached
        """Return the function that reads the token."""
        return CredentialForm("file", {"client_assertion": self.token})

    def token(self) -> str:
        """Return the token of now. Raises TokenError."""
        try:
            token = self._file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise TokenError(
                "The token of the workload cannot be read.",
                hint="Is credentials.federated_token_file right, and is the token projected into this container?",
                detail=f"{self._file}: {error}",
            ) from error
        if not token:
            raise TokenError("The file credentials.federated_token_file is empty.")
        return token


def file_source(path: Path) -> Source:
    """Return the source that reads a file, again if it has changed."""
    cached: tuple[tuple[int, int, int], bytes] | None = None

    def read(again: bool) -> bytes:
        nonlocal cached
        status = os.stat(path)
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if again or cached is None or cached[0] != stamp:
            cached = stamp, path.read_bytes()
        return cached[1]

    return read


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
