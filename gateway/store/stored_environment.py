"""Environments as they are stored: their options, and which of these are secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct
from pydantic import SecretStr, ValidationError

from gateway.config.credential_models import CredentialOptions
from gateway.config.environment_models import EnvironmentOptions
from gateway.config.environment_secrets import SECRETS
from gateway.errors import StoreLayoutMismatch

from .encryption.key_encryption import WrappedKey

State = Literal["active", "disabled"]


class Linked(Struct, frozen=True, kw_only=True):
    """Who has proved to administer an environment."""

    tenant: str
    subject: str
    """Object id of the user."""
    name: str
    at: float
    """Seconds since the epoch."""


class StoredEnvironment(Struct, frozen=True, kw_only=True):
    """An environment of the store, without its secrets. Times are seconds since the epoch."""

    id: str
    """Of this environment alone: one that has the name later has another."""
    name: str
    options: EnvironmentOptions
    """Without secrets."""
    secrets: frozenset[str]
    """Names of the options that are secret and set, such as ``credentials.certificate_password``."""
    state: State
    version: int
    """Grows with each change."""
    reloads: int
    """Grows with each request to reload it."""
    created: float
    updated: float
    linked: Linked | None
    problem: str | None = None
    """Why ``options`` are not those that are stored: this version cannot read them."""


class SealedEnvironment(Struct, frozen=True, kw_only=True):
    """An environment as it is in the store, which says nothing without the key of its secrets."""

    id: str
    name: str
    options: str
    """JSON."""
    state: State
    version: int
    reloads: int
    revision: int
    key: WrappedKey | None
    """None: it has no secrets."""
    secrets: Mapping[str, bytes]
    """Option → ciphertext."""


class EnvironmentChanges(Struct, frozen=True, kw_only=True):
    """What has changed in the store since a revision."""

    names: Mapping[str, str]
    """Id → name of all environments that there are."""
    changed: tuple[SealedEnvironment, ...]


def encode_options(options: EnvironmentOptions) -> str:
    """Return options as JSON; without secrets, which the caller has taken out."""
    return options.model_dump_json(exclude_defaults=True)


def decode_options(name: str, text: str) -> EnvironmentOptions:
    """Return options of JSON. Raises StoreLayoutMismatch if they have what this version does not know."""
    try:
        return EnvironmentOptions.model_validate_json(text)
    except ValidationError as error:
        places = ", ".join(
            ".".join(map(str, e["loc"])) or "options" for e in error.errors(include_input=False)
        )
        raise StoreLayoutMismatch(
            f"The options of the environment {name} cannot be read: {places}.",
            hint="Was it stored by a newer version of the gateway? If not, remove it and add it again.",
        ) from None


def split_secrets(
    options: EnvironmentOptions,
) -> tuple[EnvironmentOptions, Mapping[str, str]]:
    """Return options without secrets, and the secrets by name."""
    secrets = {name: value for name in SECRETS if (value := _secret(options, name)) is not None}
    return _changed(options, dict.fromkeys(secrets)), secrets


def with_secrets(options: EnvironmentOptions, secrets: Mapping[str, str]) -> EnvironmentOptions:
    """Return options with secrets by name."""
    return _changed(options, {name: SecretStr(value) for name, value in secrets.items()})


def _secret(options: EnvironmentOptions, name: str) -> str | None:
    group, _, field = name.rpartition(".")
    owner = getattr(options, group) if group else options
    value = None if owner is None else getattr(owner, field)
    return None if value is None else str(value.get_secret_value())


def _changed(
    options: EnvironmentOptions, secrets: Mapping[str, SecretStr | None]
) -> EnvironmentOptions:
    changes: dict[str, object] = {}
    credentials = options.credentials
    for name, value in secrets.items():
        group, _, field = name.rpartition(".")
        if group:
            credentials = credentials or CredentialOptions()
            credentials = credentials.model_copy(update={field: value})
            changes[group] = credentials
        else:
            changes[field] = value
    return options.model_copy(update=changes)
