"""Python's garbage collector in a serving process.

What a start makes, it keeps: models, types, modules. Left alone, the collector walks all of it again and again, while
it is being made (a quarter of the time that 41 MB of metadata take) and while requests run (1.5 to 1.7 times their
time, measured on every way to execute them). So it rests during the start; then everything alive is put aside, and the
generations are looked at less often: requests make some thousand objects each and hardly a cycle. What is put aside is
never looked at again: before replaced metadata can be freed, all of it has to be taken back.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

THRESHOLDS = (50_000, 20, 10)
"""New objects before the youngest are looked at (10 ms), times before the older ones are, and before all are.

The second and third bound how much garbage in circles waits: documents that leave the cache are that.
"""

AT_ONCE = 20
"""Entries of tables that are taken out at once; a document takes some 500 objects."""


@contextmanager
def resting() -> Iterator[None]:
    """Let the collector rest: until ``settle``, or the end."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settle() -> None:
    """Put everything alive aside, and let the collector work again, on what comes from now on."""
    # Without gc.collect() before: a start leaves 2,000 objects in cycles, and finding them takes 50 ms.
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()


def clear_in_steps(
    tables: Iterable[MutableMapping[Any, Any]], at_once: int = AT_ONCE
) -> Iterator[None]:
    """Take the entries out of tables, so many between two steps: what nobody else holds is freed at once."""
    count = 0
    for table in tables:
        while table:
            table.popitem()
            count += 1
            if count % at_once == 0:
                yield


def collect() -> None:
    """Free the garbage that came about since the last ``settle``."""
    gc.collect()


def reclaim() -> None:
    """Free all garbage, also what was put aside when it was none; what is alive is put aside again."""
    was_settled = (
        gc.get_threshold() == THRESHOLDS
    )  # gc.get_freeze_count() walks all of it, 5 to 10 ms
    gc.unfreeze()
    gc.collect()
    if was_settled:
        gc.freeze()
