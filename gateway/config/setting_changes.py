"""What a reload of the settings changes: by name, and which changes need another process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct
from pydantic import BaseModel

from .settings import GROUPS, Settings

NEEDS_RESTART: Mapping[str, str] = MappingProxyType(
    {
        "host": "The address is bound once.",
        "port": "The address is bound once.",
        "admin.host": "The address is bound once.",
        "admin.port": "The address is bound once.",
        "metrics.enabled": "Metrics count from the start.",
        "metrics.series": "Metrics count from the start.",
    }
)
"""Settings that a running process keeps → why. All others are in force after a reload."""
_TABLES = ("roles", "profiles", "environments")
"""Settings whose entries are named one by one."""


class SettingsAttempt(Struct, frozen=True, kw_only=True):
    """A reload of the settings, and how it ended."""

    reason: Literal["signal", "admin"]
    at: float
    """When it began, in seconds since the epoch."""
    outcome: Literal["changed", "unchanged", "failed"]
    changed: tuple[str, ...] = ()
    """Settings that have another value now."""
    restart: tuple[str, ...] = ()
    """Settings that have another value only after a restart."""
    message: str | None = None
    hint: str | None = None


def changed_settings(old: Settings, new: Settings) -> tuple[str, ...]:
    """Return the names of the settings that differ: ``include``, ``admin.port``, ``roles.clerk``."""
    return tuple(_changes(old, new))


def _changes(old: Settings, new: Settings) -> Iterator[str]:
    for name in Settings.model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if name in GROUPS:
            for nested in GROUPS[name].model_fields:
                if getattr(before, nested) != getattr(after, nested):
                    yield f"{name}.{nested}"
        elif name in _TABLES:
            for key in (*after, *(k for k in before if k not in after)):
                if before.get(key) != after.get(key):
                    yield f"{name}.{key}"
        else:
            yield name


def in_force(running: Settings, new: Settings) -> tuple[Settings, tuple[str, ...]]:
    """Return new settings as a running process can have them, and the names of those that it cannot change."""
    restart = tuple(name for name in changed_settings(running, new) if name in NEEDS_RESTART)
    values: dict[str, Any] = {}
    for name in restart:
        group, _, nested = name.partition(".")
        if not nested:
            values[name] = getattr(running, name)
            continue
        model: BaseModel = values.get(group, getattr(new, group))
        values[group] = model.model_copy(update={nested: getattr(getattr(running, group), nested)})
    return (new.model_copy(update=values) if values else new), restart


def files_read(settings: Settings) -> Mapping[str, bytes]:
    """Return the settings that name files which are read with them → a digest of these. Blocks.

    Files that are followed anyway are not among them, such as metadata and manifests.
    """
    files: dict[str, list[Path]] = {
        "unified.folder": _mapping_files(settings.unified.folder),
        "sandbox.metadata": _one(settings.sandbox.metadata),
        "inbound.issuers": [
            file for issuer in settings.inbound.issuers for file in _one(issuer.jwks_file)
        ],
    }
    return {name: _digest(paths) for name, paths in files.items() if paths}


def _mapping_files(folder: Path | None) -> list[Path]:
    return [] if folder is None else sorted(folder.glob("*.toml"))


def _one(file: Path | None) -> list[Path]:
    return [] if file is None else [file]


def _digest(files: list[Path]) -> bytes:
    content = hashlib.sha256()
    for file in files:
        content.update(f"{file}\0".encode())
        try:
            content.update(file.read_bytes())
        except OSError:  # whoever needs it says so
            content.update(b"\0")
    return content.digest()
