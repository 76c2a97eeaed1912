"""Hypothesis: new examples at a desk, the same ones in every CI run, so that a red run is about the change."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")
