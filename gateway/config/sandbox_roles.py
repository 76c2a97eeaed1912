"""The roles that the sandbox has if the setting ``sandbox.roles`` is true and no others are set."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .setting_models import SandboxOptions

FILE = Path(__file__).with_suffix(".toml")


def has_sandbox_roles(options: object) -> bool:
    """Return whether an unchecked value of the setting ``sandbox`` switches its roles on."""
    try:
        return options is not None and SandboxOptions.model_validate(options).roles
    except ValidationError:  # reported with the other problems of the settings
        return False


def sandbox_roles() -> dict[str, Any]:
    """Return the tables of the roles, as in the setting ``roles``."""
    tables: dict[str, Any] = tomllib.loads(FILE.read_text("utf-8"))["roles"]
    return tables
