"""Secrets in files: ``D365_CLIENT_SECRET_FILE``, ``client_secret_file``, or a folder with a file for each setting.

Orchestrators mount secrets as files and replace these when a secret is rotated, so a file is read again when it has
changed. https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import SecretStr

SUFFIX = "_file"
_LARGEST = 64 * 1024


class FileSecret(SecretStr):
    """The secret in a file. ``get_secret_value`` returns the current content; an old one while it cannot be read."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises OSError, or ValueError if it holds no secret."""
        self.path = path
        self._stamp = _stamp(path)
        super().__init__(_text(path))

    def get_secret_value(self) -> str:
        """Return the secret, read again if the file has changed."""
        try:
            stamp = _stamp(self.path)
            if stamp != self._stamp:
                # Read before it is noted: a file that cannot be read now is tried again.
                self._secret_value = _text(self.path)
                self._stamp = stamp
        except (OSError, ValueError):
            pass
        return self._secret_value


def _stamp(path: Path) -> tuple[int, int, int]:
    # Kubernetes replaces a symbolic link, which changes the inode that it leads to.
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size, status.st_ino


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"holds more than {_LARGEST:,} bytes")
    text = content.decode("utf-8-sig").rstrip("\r\n")
    if not text:
        raise ValueError("is empty")
    return text


def read_secret_files(
    layer: Mapping[str, Any], secrets: Mapping[str, bool], place: str, problems: list[str]
) -> dict[str, Any]:
    """Return a layer of settings in which ``NAME_file`` is replaced by ``NAME`` with the content of the file.

    ``secrets``: names such as ``client_secret`` and ``credentials.certificate_password`` → whether each is a single
    one; of several, the file holds what the variable would.
    """
    result = {k: dict(v) if isinstance(v, Mapping) else v for k, v in layer.items()}
    for path, is_single in secrets.items():
        group, _, name = path.rpartition(".")
        table = result.get(group) if group else result
        if not isinstance(table, dict) or f"{name}{SUFFIX}" not in table:
            continue
        file = table.pop(f"{name}{SUFFIX}")
        if name in table:
            problems.append(f"{place}: {path} and {path}{SUFFIX} are both set; set one of them")
            continue
        secret = read_secret(Path(str(file)), f"{place}: {path}{SUFFIX}", problems)
        if secret is not None:
            table[name] = secret if is_single else secret.get_secret_value()
    return result


def read_secret(path: Path, place: str, problems: list[str]) -> FileSecret | None:
    """Return the secret in a file; None if there is a problem with it."""
    try:
        return FileSecret(path)
    except OSError as exc:
        problems.append(f"{place}: {path} cannot be read: {exc.strerror or exc}")
    except UnicodeDecodeError:
        problems.append(f"{place}: {path} is not UTF-8 text")
    except ValueError as exc:
        problems.append(f"{place}: {path} {exc}")
    return None


def secret_folder_files(
    folder: Path, settings: Iterable[str], problems: list[str]
) -> dict[str, Path]:
    """Return setting → file for each file of a folder that is named after a setting.

    ``client-secret``, ``CLIENT_SECRET`` and ``D365_CLIENT_SECRET`` are the same; the settings of a table are named
    ``credentials__certificate_password``. Files of other names are ignored unless one looks like a slip.
    """
    variables = {name.replace(".", "__"): name for name in settings}
    try:
        files = sorted(f for f in folder.iterdir() if not f.name.startswith(".") and f.is_file())
    except OSError as exc:
        problems.append(f"secrets_dir: {folder} cannot be read: {exc.strerror or exc}")
        return {}
    result: dict[str, Path] = {}
    for file in files:
        name = file.name.lower().replace("-", "_").removeprefix("d365_")
        if name in variables:
            result[variables[name]] = file
        elif close := get_close_matches(name, variables, n=1, cutoff=0.85):
            problems.append(f"secrets_dir: {file}: no such setting; did you mean {close[0]}?")
    return result
