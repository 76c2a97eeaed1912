"""The secret from which keys are derived: that of the settings, or one of our own in ``data_dir``.

The own one is made at its first use, by whichever process comes first; all processes that share the folder read it.
Without a folder each process has one that ends with it.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.config.profiles import tag_in
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.storage.private_files import read_or_make

if TYPE_CHECKING:
    from gateway.storage.sealing import Sealer

FOLDER = "keys"
FILE = "secret_key"
_BYTES = 32


def open_sealer(settings: Settings) -> Sealer:
    """Return what seals under the settings: each environment has keys of its own, derived from the same secret.

    Reads or makes a file; raises SettingsError if that fails.
    """
    sealer, tag = _open_sealer(settings), tag_in(settings)
    return sealer.of(tag) if tag else sealer


def _open_sealer(settings: Settings) -> Sealer:
    """Return what seals under the settings of an environment. Reads or makes a file; raises SettingsError."""
    from gateway.storage.sealing import Sealer  # noqa: PLC0415 - needed with roles only

    old = [key.get_secret_value().encode() for key in settings.secret_key_old]
    if settings.secret_key is not None:
        return Sealer(settings.secret_key.get_secret_value().encode(), old)
    if settings.data_dir is None:
        return Sealer(secrets.token_bytes(_BYTES), old)
    path = settings.data_dir / FOLDER / FILE
    try:
        return Sealer(_read_or_make(path), old)
    except OSError as error:
        raise SettingsError(
            f"There is no secret_key, and none of our own can be read or stored: {error}.",
            hint=getattr(error, "hint", None)
            or "Set secret_key (D365_SECRET_KEY, such as the output of `openssl rand -base64 32`),"
            " or make data_dir writable.",
        ) from error


def _read_or_make(path: Path) -> bytes:
    """Return the key in the file, which is made if it is missing. Raises OSError."""
    key = read_or_make(path, lambda: secrets.token_bytes(_BYTES))
    if len(key) != _BYTES:
        raise OSError(f"{path} does not hold a key of {_BYTES} bytes")
    return key
