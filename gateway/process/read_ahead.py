"""Reading ahead: a thread reads, unzips and sums up the next pieces while the last one is being worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

MOST = 8
"""Pieces that wait at the most."""


def ahead(pieces: Iterable[bytes], most: int = MOST) -> Iterator[bytes]:
    """Return the pieces in their order, made in a thread; what that raises is raised at its place."""
    made = iter(pieces)
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        waiting = deque(pool.submit(next, made, None) for _ in range(most))
        while (piece := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, made, None))
            yield piece
