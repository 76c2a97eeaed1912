"""Work that a copy of this process does beside it: for a process with one task."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable
from typing import Any

Work = Callable[[], Any]
Beside = Callable[[Work], Work]
"""Starts some work, and gives the way to what came of it."""


def other_process() -> Beside | None:
    """Return the way to have work done beside one's own; None where a copy would be of no help, or cannot be made."""
    has_forks = "fork" in multiprocessing.get_all_start_methods()
    return in_a_copy if has_forks and _processors() > 1 else None


def in_a_copy(work: Work) -> Work:
    """Start some work in a copy of this process.

    What this gives waits for the result, which is pickled; it raises EOFError where the copy failed. A process that has
    other threads cannot be copied in peace: there, the work is done when its result is waited for.

    The copy ends with whoever started it: at an exit at once, else when there is nobody to take the result.
    """
    if threading.active_count() > 1:
        return work
    context = multiprocessing.get_context("fork")
    result, end = context.Pipe(duplex=False)

    def send() -> None:
        result.close()  # else the copy itself would keep the pipe open, and wait for a reader for ever
        found = work()
        with contextlib.suppress(BrokenPipeError):
            end.send(found)

    copy = context.Process(target=send, daemon=True)
    copy.start()
    end.close()

    def wait() -> Any:
        with result:
            found = result.recv()
        copy.join()
        return found

    return wait


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
