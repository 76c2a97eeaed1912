"""How much the long proofs try: a sample in ``make test``, everything in ``make soak``.

``SOAK=1`` removes the bounds. Each bound keeps what finds the defects that its test is there for; what it leaves out
are repetitions at full size: more random examples, further documents of the same kind, longer runs.
"""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")
SOAK = bool(os.environ.get("SOAK"))


def bounded(sample: T, whole: T) -> T:
    """Return what a run of the tests tries: a sample of it, or all of it in ``make soak``."""
    return whole if SOAK else sample
