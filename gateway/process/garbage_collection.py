"""Python's garbage collector in a serving process.

A start makes long-lived objects: models, types, modules. By default the collector scans all of them again and again,
while they are being made (a quarter of the time that 41 MB of metadata take) and while requests run (1.5 to 1.7 times
their time, measured on every way to execute them). So it is paused during the start; then all objects are frozen, and
collections become rarer: a request makes some thousand objects and hardly a cycle. Frozen objects are never scanned:
before replaced metadata can be freed, they have to be unfrozen.

See https://docs.python.org/3/library/gc.html#gc.freeze.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

THRESHOLDS = (50_000, 20, 10)
"""Arguments of ``gc.set_threshold``: new objects before a collection of the youngest generation (which takes 10 ms),
and collections of a generation before the next older one is collected.

The second and third bound how much cyclic garbage accumulates: documents that leave the cache are that.
"""

ENTRIES_PER_STEP = 20
"""Entries of tables that are removed in one step; a document has some 500 objects."""


@contextmanager
def paused() -> Iterator[None]:
    """Disable the collector until ``freeze``, or the end of the block."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def freeze() -> None:
    """Freeze all objects and enable the collector for those that are made from now on."""
    # Without gc.collect() before: a start leaves 2,000 objects in cycles, and finding them takes 50 ms.
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()


def clear_in_steps(
    tables: Iterable[MutableMapping[Any, Any]], step: int = ENTRIES_PER_STEP
) -> Iterator[None]:
    """Clear the tables and yield after every ``step`` entries. What nobody else refers to is freed at once."""
    count = 0
    for table in tables:
        while table:
            table.popitem()
            count += 1
            if count % step == 0:
                yield


def collect_new() -> None:
    """Free garbage that was made since the last ``freeze``."""
    gc.collect()


def collect_all() -> None:
    """Collect also what ``freeze`` has frozen, and freeze the rest again."""
    # gc.get_freeze_count() would walk all of them, which takes 5 to 10 ms.
    if gc.get_threshold() != THRESHOLDS:
        gc.collect()
        return
    gc.unfreeze()
    gc.collect()
    gc.freeze()
