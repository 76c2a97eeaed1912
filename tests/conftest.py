"""Hypothesis looks for new examples at a desk; in CI it tries the same ones each time, so a red run is about the change."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")
