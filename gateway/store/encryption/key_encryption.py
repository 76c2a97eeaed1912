"""The keys that wrap data keys: of the settings, in a file of our own, or in a vault.

Each wrapped key names the one that wrapped it, so that several can be in use while they are exchanged.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct
from pydantic import SecretStr

from gateway.config.encryption_keys import KEY_BYTES, VaultKey, read_encryption_key
from gateway.config.settings import Settings
from gateway.errors import SecretUnreadable, SettingsError
from gateway.storage.private_files import read_or_make, read_private

from .data_keys import decrypt, encrypt

KeyRole: TypeAlias = Literal["current", "old", "unknown"]
"""``encryption_key``; one of ``encryption_key_old``; neither, so that nothing can be read."""
FOLDER = "keys"
FILE = "encryption_key"


class WrappedKey(Struct, frozen=True):
    """A data key as it is stored."""

    version: int
    wrapped: bytes
    wrapped_by: str
    created: float
    """Seconds since the epoch."""


class KeyEncryption(Protocol):
    """A key that wraps others. Its methods block."""

    def has_wrapped(self, wrapped_by: str) -> bool:
        """Return whether it is the one that is named so."""
        ...

    def wrap(self, key: bytes, context: bytes) -> tuple[bytes, str]:
        """Return a key wrapped for a context, and the name of this one. Raises SettingsError, TokenError."""
        ...

    def unwrap(self, wrapped: bytes, wrapped_by: str, context: bytes) -> bytes:
        """Return a key that it has wrapped. Raises SecretUnreadable, TokenError if a vault does not answer."""
        ...


class LocalKey:
    """A key of the settings."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        # Says nothing about the key, which has 256 random bits.
        digest = hashlib.blake2b(key, digest_size=8, person=b"d365-graphql kek").hexdigest()
        self._name = f"local:{digest}"

    def has_wrapped(self, wrapped_by: str) -> bool:
        """Return whether it is the one that is named so."""
        return wrapped_by == self._name

    def wrap(self, key: bytes, context: bytes) -> tuple[bytes, str]:
        """Return a key wrapped for a context, and the name of this one."""
        return encrypt(self._key, key, context), self._name

    def unwrap(self, wrapped: bytes, wrapped_by: str, context: bytes) -> bytes:  # noqa: ARG002 - there is one version
        """Return a key that it has wrapped. Raises SecretUnreadable."""
        return decrypt(self._key, wrapped, context)


class FileKey:
    """A key in a file of our own, which is made when the first data key is wrapped."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def has_wrapped(self, wrapped_by: str) -> bool:
        """Return whether it is the one that is named so. Raises SettingsError."""
        key = self._read()
        return key is not None and key.has_wrapped(wrapped_by)

    def wrap(self, key: bytes, context: bytes) -> tuple[bytes, str]:
        """Return a key wrapped for a context, and the name of this one. Raises SettingsError."""
        try:
            local = self._local(read_or_make(self._path, lambda: secrets.token_bytes(KEY_BYTES)))
        except OSError as error:
            raise self._unusable(error) from error
        return local.wrap(key, context)

    def unwrap(self, wrapped: bytes, wrapped_by: str, context: bytes) -> bytes:
        """Return a key that it has wrapped. Raises SecretUnreadable, SettingsError."""
        key = self._read()
        if key is None:
            raise SecretUnreadable(f"The key of the store's secrets, {self._path}, is missing.")
        return key.unwrap(wrapped, wrapped_by, context)

    def _read(self) -> LocalKey | None:
        try:
            return self._local(read_private(self._path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error) from error

    def _local(self, content: bytes) -> LocalKey:
        if len(content) != KEY_BYTES:
            raise OSError(f"{self._path} does not hold a key of {KEY_BYTES} bytes")
        return LocalKey(content)

    @staticmethod
    def _unusable(error: OSError) -> SettingsError:
        return SettingsError(
            f"There is no encryption_key, and none of our own can be read or stored: {error}.",
            hint="Set encryption_key (D365_ENCRYPTION_KEY, the output of `openssl rand -base64 32`),"
            " or make data_dir writable.",
        )


class KeyRing:
    """The key that wraps, and those that have wrapped before it."""

    def __init__(self, current: KeyEncryption, old: Sequence[KeyEncryption] = ()) -> None:
        self.current = current
        self._all = (current, *old)

    def wrap(self, key: bytes, version: int, context: bytes) -> WrappedKey:
        """Wrap a key for a context with the current one. Raises SettingsError, TokenError."""
        wrapped, wrapped_by = self.current.wrap(key, context)
        return WrappedKey(version, wrapped, wrapped_by, time.time())

    def unwrap(self, key: WrappedKey, context: bytes) -> bytes:
        """Return a wrapped key. Raises SecretUnreadable, SettingsError, TokenError if a vault does not answer."""
        for candidate in self._all:
            if candidate.has_wrapped(key.wrapped_by):
                return candidate.unwrap(key.wrapped, key.wrapped_by, context)
        raise foreign_key()

    def role_of(self, wrapped_by: str) -> KeyRole:
        """Return what the key that is named so is to the deployment."""
        if self.current.has_wrapped(wrapped_by):
            return "current"
        return "old" if any(key.has_wrapped(wrapped_by) for key in self._all) else "unknown"

    def check(self, names: Iterable[str]) -> None:
        """Raise SecretUnreadable if another key has wrapped one of these: what we wrap, others could not read."""
        for name in names:
            if not any(key.has_wrapped(name) for key in self._all):
                raise foreign_key()


def foreign_key() -> SecretUnreadable:
    """Return the error of a key that is not of this deployment."""
    return SecretUnreadable(
        "Secrets of the store are encrypted with another key than encryption_key.",
        hint="Set encryption_key to the one of the other replicas, or add the earlier one to encryption_key_old. If it"
        " is lost, remove the environments that `d365-graphql secrets status` names, and add them again.",
    )


def open_key_ring(
    settings: Settings, open_vault_key: Callable[[VaultKey], KeyEncryption]
) -> KeyRing:
    """Return the keys of the settings. Nothing is read or made before the first use. Raises SettingsError."""

    def opened(setting: SecretStr) -> KeyEncryption:
        key = read_encryption_key(setting.get_secret_value())
        return LocalKey(key) if isinstance(key, bytes) else open_vault_key(key)

    old = [opened(key) for key in settings.encryption_key_old]
    own = None if settings.data_dir is None else FileKey(settings.data_dir / FOLDER / FILE)
    if settings.encryption_key is not None:
        # Of the time before the setting, if there was one.
        return KeyRing(opened(settings.encryption_key), [*old, *([] if own is None else [own])])
    if isinstance(settings.store, SecretStr) or own is None:
        raise SettingsError(
            "There is no encryption_key, and the replicas of this store share no folder for one of our own.",
            hint="Set encryption_key (D365_ENCRYPTION_KEY) to the output of `openssl rand -base64 32`.",
        )
    return KeyRing(own, old)
