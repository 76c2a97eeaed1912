"""What holds for every test: the same names and examples in each process and each run of CI.

Hypothesis tries new examples at a desk and the same ones in CI, so that a red run is about the change.
"""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are no name: they may hold the time of their making, and workers must agree on all names."""
    return argname if isinstance(val, bytes) else None
