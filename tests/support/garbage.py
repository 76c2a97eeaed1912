"""Python's garbage collector while tests run."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

STANDARD = gc.get_threshold()
RARE = (100_000, 20, 10)
"""Rarer than in a serving process, which knows by its own thresholds whether it has frozen its objects."""


def pass_over_what_is_here() -> None:
    """Freeze all objects, modules and tests among them: to scan them anew takes a sixth of the time of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*RARE)


@contextmanager
def unfrozen() -> Iterator[None]:
    """Run a test of the collector itself: nothing is frozen, and the thresholds are Python's own."""
    gc.unfreeze()
    gc.set_threshold(*STANDARD)
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
        pass_over_what_is_here()
