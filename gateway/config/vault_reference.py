"""Reads references to secrets in Azure Key Vault: ``@keyvault:https://VAULT.vault.azure.net/secrets/NAME``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct
from pydantic import BaseModel, SecretStr

from .value_types import LOOPBACK

PREFIX = "@keyvault:"
RESOLVED = frozenset(
    {
        *("client_secret", "credentials.certificate_password"),
        *("LANE.client_secret", "LANE.certificate_password"),
    }
)
"""Secrets that may be references; ``credentials.certificate`` may, too."""
_OF_ENVIRONMENT = re.compile(r"environments\.[^.]+\.")
_OF_LANE = re.compile(r"admission\.credentials\.[^.]+")
_PATH = re.compile(r"/secrets/[0-9A-Za-z-]{1,127}(?:/[0-9a-f]{32})?")
_CLOUDS = ("vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net")
"""Domains of vaults. Tokens for Key Vault are sent nowhere else."""


class VaultSecret(Struct, frozen=True):
    """A secret in a vault."""

    url: str
    """Address of the secret, with or without a version."""
    resource: str
    """For which the token must be: the cloud's Key Vault."""


def is_vault_reference(text: str) -> bool:
    """Return whether a text is a reference and not a secret itself."""
    return text.startswith(PREFIX)


def check_vault_reference(text: str) -> None:
    """Raise ValueError for a reference that names no secret of a vault; other texts pass."""
    if is_vault_reference(text):
        vault_secret(text)


def vault_secret(text: str) -> VaultSecret:
    """Return the secret that a reference names. Raises ValueError."""
    url = text.removeprefix(PREFIX).strip().rstrip("/")
    parts = urlsplit(url)
    cloud = cloud_of(parts)
    is_local = parts.scheme == "http" and parts.hostname in LOOPBACK
    if (
        (cloud is None and not is_local)
        or not _PATH.fullmatch(parts.path)
        or parts.query
        or "@" in url
    ):
        raise ValueError(
            "expected @keyvault:https://VAULT.vault.azure.net/secrets/NAME, optionally with a version"
        )
    return VaultSecret(url, f"https://{cloud or _CLOUDS[0]}")


def cloud_of(address: SplitResult) -> str | None:
    """Return the domain of the cloud in which a vault is; None if the address is no vault's."""
    host = address.hostname or ""
    is_https = (
        address.scheme == "https" and address.port in (None, 443) and "@" not in address.netloc
    )
    return next((c for c in _CLOUDS if is_https and host.endswith(f".{c}")), None)


def misplaced_references(values: object, path: str = "") -> Iterator[str]:
    """Yield the paths of secrets that are references, but are not those that the gateway signs in with.

    The text of such a reference would be the secret itself, which anybody can read in a manifest.
    """
    if isinstance(values, SecretStr):
        own = _OF_LANE.sub("LANE", _OF_ENVIRONMENT.sub("", path, count=1), count=1)
        if own not in RESOLVED and is_vault_reference(values.get_secret_value()):
            yield path
    elif isinstance(values, BaseModel):
        for name in type(values).model_fields:
            yield from misplaced_references(getattr(values, name), f"{path}.{name}".lstrip("."))
    elif isinstance(values, tuple | list):
        for number, value in enumerate(values):
            yield from misplaced_references(value, f"{path}[{number}]")
    elif isinstance(values, Mapping):
        for name, value in values.items():
            yield from misplaced_references(value, f"{path}.{name}")
