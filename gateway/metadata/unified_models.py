"""The unified models of the settings: those of the product, with the mapping files of the settings' folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from schema.unified.load import FOLDER, load_models, product_models
from schema.unified.records import ModelSpec


def unified_models(settings: Settings) -> tuple[ModelSpec, ...]:
    """Return the unified models that the settings serve. Raises MappingError, SettingsError."""
    if not settings.unified.enabled:
        return ()
    files = _own_files(settings)
    return load_models(files) if files else product_models()


def models_digest(settings: Settings) -> str:
    """Return a digest of all mapping files, on which the schema depends."""
    content = hashlib.sha256()
    for file in (*sorted(FOLDER.glob("*.toml")), *_own_files(settings)):
        content.update(file.read_bytes())
    return content.hexdigest()


def _own_files(settings: Settings) -> list[Path]:
    folder = settings.unified.folder
    if folder is None:
        return []
    if not folder.is_dir():
        raise SettingsError(
            f"unified.folder: there is no folder {folder}.",
            hint="Name the folder with your mapping files (*.toml).",
        )
    return sorted(folder.glob("*.toml"))
