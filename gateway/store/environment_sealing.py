"""Encrypts and decrypts the secrets of environments with their data keys."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.config.environment_models import EnvironmentOptions
from gateway.errors import SecretUnreadable

from .encryption.data_keys import decrypt, encrypt, new_key, place
from .encryption.key_encryption import KeyRing, WrappedKey
from .stored_environment import SealedEnvironment, decode_options, with_secrets

_KEYS, _SECRETS = "data_keys", "environment_secrets"
"""Tables; their module imports SQLAlchemy, which takes 0.4 s."""


def new_data_key(keys: KeyRing, environment: str, version: int = 1) -> tuple[bytes, WrappedKey]:
    """Return a new data key for an environment, in clear and wrapped. Raises SettingsError, TokenError."""
    data_key = new_key()
    return data_key, keys.wrap(data_key, version, _place_of_key(environment, version))


def unwrapped_key(keys: KeyRing, sealed: SealedEnvironment) -> bytes:
    """Return the data key of an environment. Raises SecretUnreadable, SettingsError, TokenError."""
    if sealed.key is None:
        raise SecretUnreadable(f"The key of the secrets of {sealed.name} is missing in the store.")
    return keys.unwrap(sealed.key, _place_of_key(sealed.id, sealed.key.version))


def encrypted(
    environment: str, data_key: bytes, version: int, values: Mapping[str, str]
) -> dict[str, bytes]:
    """Return the ciphertexts of secrets by option."""
    return {
        option: encrypt(data_key, value.encode(), _place_of(environment, option, version))
        for option, value in values.items()
    }


def decrypted(keys: KeyRing, sealed: SealedEnvironment) -> dict[str, str]:
    """Return the secrets of an environment by option. Raises SecretUnreadable, SettingsError, TokenError."""
    if not sealed.secrets:
        return {}
    data_key = unwrapped_key(keys, sealed)
    version = 0 if sealed.key is None else sealed.key.version
    return {
        option: decrypt(data_key, text, _place_of(sealed.id, option, version)).decode()
        for option, text in sealed.secrets.items()
    }


def unsealed(keys: KeyRing, sealed: SealedEnvironment) -> EnvironmentOptions:
    """Return options with secrets. Raises as ``decrypted``, and StoreLayoutMismatch."""
    options = decode_options(sealed.name, sealed.options)
    return with_secrets(options, decrypted(keys, sealed))


def _place_of(environment: str, option: str, version: int) -> bytes:
    return place(environment, _SECRETS, option, version)


def _place_of_key(environment: str, version: int) -> bytes:
    return place(environment, _KEYS, "wrapped", version)
