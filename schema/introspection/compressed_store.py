"""Texts kept compressed until they are wanted, by key, in any order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import zstandard

BLOCK = 1 << 18
"""Bytes that are compressed together."""
OPEN = 2
"""Blocks that are kept as they are after a look into them."""
_LOW = (1 << 32) - 1

Key = TypeVar("Key", int, str)


class Spool(Generic[Key]):
    """Keeps texts in compressed blocks: texts put one after another are best taken in about that order.

    Pickled it is but its blocks: a spool may be filled in another process.
    """

    def __init__(self) -> None:
        self._places: dict[Key, int] = {}
        """Key → block, start and size in one number: there may be 80,000."""
        self._packed: list[bytes] = []
        self._filling: list[bytes] = []
        self._filled = 0
        self._get_ready()

    def _get_ready(self) -> None:
        self._open: OrderedDict[int, bytes] = OrderedDict()
        self._compress = zstandard.ZstdCompressor(level=-3).compress
        self._decompress = zstandard.ZstdDecompressor().decompress

    def __getstate__(self) -> tuple[dict[Key, int], list[bytes]]:
        self._close()
        return self._places, self._packed

    def __setstate__(self, state: tuple[dict[Key, int], list[bytes]]) -> None:
        self._places, self._packed = state
        self._filling, self._filled = [], 0
        self._get_ready()

    def __iter__(self) -> Iterator[Key]:
        """Return the keys as they were put."""
        return iter(self._places)

    def put(self, key: Key, text: bytes) -> None:
        """Keep a text."""
        size = len(text)
        self._places[key] = (len(self._packed) << 64) | (self._filled << 32) | size
        self._filling.append(text)
        self._filled += size
        if self._filled >= BLOCK:
            self._close()

    def take(self, key: Key) -> bytes | None:
        """Return a text; None where there is none of that key. Every ``put`` comes before the first ``take``."""
        place = self._places.get(key)
        if place is None:
            return None
        if self._filling:
            self._close()
        start, size = (place >> 32) & _LOW, place & _LOW
        return self._opened(place >> 64)[start : start + size]

    def _close(self) -> None:
        if not self._filling:
            return
        # A copy: what zstandard gives holds on to as much memory as the text might have taken.
        self._packed.append(bytes(memoryview(self._compress(b"".join(self._filling)))))
        self._filling = []
        self._filled = 0

    def _opened(self, block: int) -> bytes:
        found = self._open.get(block)
        if found is None:
            found = self._open[block] = self._decompress(self._packed[block])
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
        return found


class Spools(Generic[Key]):
    """Spools that several have filled, as one: no key is in two of them."""

    def __init__(self, parts: Iterable[Spool[Key]]) -> None:
        self._parts: tuple[Spool[Key], ...] = tuple(parts)

    def take(self, key: Key) -> bytes | None:
        """Return a text; None where there is none of that key."""
        for part in self._parts:
            found = part.take(key)
            if found is not None:
                return found
        return None

    def taken(self, keys: Iterable[Key]) -> Iterator[bytes]:
        """Return the texts of those keys of which there are any."""
        return (text for text in map(self.take, keys) if text is not None)

    def ordered(self) -> Iterator[bytes]:
        """Return all texts by the order of their keys."""
        return self.taken(sorted(key for part in self._parts for key in part))
