"""Reads ``encryption_key``: base64 of 32 bytes, or the address of a key in Azure Key Vault."""

from __future__ import annotations

import base64
import re
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from msgspec import Struct
from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from .value_types import LOOPBACK, split
from .vault_reference import cloud_of

KEY_BYTES = 32
_PATH = re.compile(r"/keys/[0-9A-Za-z-]{1,127}(?:/[0-9a-f]{32})?")


class VaultKey(Struct, frozen=True):
    """A key in a vault, which never leaves it."""

    url: str
    """Address of the key, with or without a version."""
    resource: str
    """For which the token must be: the cloud's Key Vault."""


def read_encryption_key(text: str) -> bytes | VaultKey:
    """Return the key itself, or the one in a vault that an address names. Raises ValueError, which quotes nothing."""
    if "://" in text:
        return _vault_key(text.strip().rstrip("/"))
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(
            "expected base64 of 32 bytes (`openssl rand -base64 32`), or the address of a key in Key Vault"
        )
    return key


def _vault_key(url: str) -> VaultKey:
    parts = urlsplit(url)
    cloud = cloud_of(parts)
    is_local = parts.scheme == "http" and parts.hostname in LOOPBACK
    if (cloud is None and not is_local) or not _PATH.fullmatch(parts.path) or parts.query:
        raise ValueError(
            "expected https://VAULT.vault.azure.net/keys/NAME, optionally with a version"
        )
    return VaultKey(url, f"https://{cloud or 'vault.azure.net'}")


def _check(value: SecretStr) -> SecretStr:
    read_encryption_key(value.get_secret_value())
    return value


EncryptionKey: TypeAlias = Annotated[SecretStr, AfterValidator(_check)]
EncryptionKeys: TypeAlias = Annotated[tuple[EncryptionKey, ...], NoDecode, BeforeValidator(split)]
