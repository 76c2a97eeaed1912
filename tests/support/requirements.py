"""What a machine may lack."""

from __future__ import annotations

import os

import pytest


def need(condition: object, hint: str) -> None:
    """Skip where something is not installed; in CI, where all must be, fail."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(hint)
    pytest.skip(hint)
