"""Stores of environments in both databases, for tests of those who use them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.config.settings import Settings

KEY = SecretStr(base64.b64encode(bytes(range(32))).decode())
URL = "https://acme.operations.dynamics.com/data"


def stored_settings(request: pytest.FixtureRequest, folder: Path, **values: Any) -> Settings:
    """Return settings with a new store: PostgreSQL or SQLite, as the parameter of the fixture says."""
    values = {
        "stored_environments": True,
        "encryption_key": KEY,
        "data_dir": folder / "data",
        **values,
    }
    if request.param == "postgresql":
        values["store"] = request.getfixturevalue("postgresql").new_database()
    return Settings.model_validate(values)


def audited(settings: Settings) -> list[dict[str, Any]]:
    """Return the audit lines of what was done with environments, in the order of their files."""
    assert settings.data_dir is not None
    texts = [file.read_text("utf-8") for file in sorted((settings.data_dir / "audit").iterdir())]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    return [line for line in lines if line.get("act", "").startswith("environment.")]
