"""Reads ahead: a thread produces the next pieces while the current one is processed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

MAX_PIECES = 8
"""Pieces that are produced before they are taken."""


def read_ahead(pieces: Iterable[bytes], count: int = MAX_PIECES) -> Iterator[bytes]:
    """Yield the pieces in order, produced in a thread. Raises what their production raises, after those before it."""
    source = iter(pieces)
    # One thread: the pieces have an order, and reading, unzipping and hashing release the interpreter lock.
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        futures = deque(pool.submit(next, source, None) for _ in range(count))
        while (piece := futures.popleft().result()) is not None:
            futures.append(pool.submit(next, source, None))
            yield piece
