"""Bodies that are read while they arrive, so that the first rows of a long answer go on before the last ones come.

A reader pulls the pieces of one attempt. What it does not use it returns, and that is then the body of the answer as if
nobody had read along: so it may decide by what comes. From the moment it has begun to use a body the request is not
repeated, as somebody has the first rows already. The attempt goes on until the reader returns: the slot of the request
is held, its limits of time and size apply, and a reader that waits keeps the connection from reading on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol


class BodyReader(Protocol):
    """Reads the body of one answer."""

    size: int
    """Bytes that it has read of the latest attempt."""
    apart: float
    """Seconds of the latest attempt in which it did not read: they tell nothing of the service."""
    has_begun: bool
    """Whether somebody has parts of the answer, so that the request cannot be repeated."""
    is_alone: Callable[[], bool]
    """Returns whether nobody else waits for the answer. Afterwards nobody can."""

    async def read(self, pieces: AsyncIterator[bytes]) -> bytes:
        """Read the pieces of a good answer; return its body, or nothing if it was used."""
        ...
