"""Programs that a machine may lack."""

from __future__ import annotations

import os

import pytest


def need(condition: object, hint: str) -> None:
    """Skip the test with a hint if something is not installed; in CI, where everything must be, fail."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(hint)
    pytest.skip(hint)
