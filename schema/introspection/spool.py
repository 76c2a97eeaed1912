"""Texts kept compressed until they are wanted, by key, in any order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

import zstandard

BLOCK = 1 << 19
"""Bytes that are compressed together."""
OPEN = 4
"""Blocks that are kept as they are after a look into them."""
_LOW = (1 << 32) - 1


class Spool:
    """Keeps texts in compressed blocks: texts put one after another are best taken in about that order."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        """Key → block, start and size in one number: there may be 80,000."""
        self._packed: list[bytes] = []
        self._open: OrderedDict[int, bytes] = OrderedDict()
        self._filling: list[bytes] = []
        self._filled = 0
        self._compress = zstandard.ZstdCompressor(level=-3).compress
        self._decompress = zstandard.ZstdDecompressor().decompress

    def put(self, key: str, text: bytes) -> None:
        """Keep a text."""
        size = len(text)
        self._places[key] = (len(self._packed) << 64) | (self._filled << 32) | size
        self._filling.append(text)
        self._filled += size
        if self._filled >= BLOCK:
            self._close()

    def take(self, key: str) -> bytes | None:
        """Give a text; None where there is none of that key. Every ``put`` comes before the first ``take``."""
        place = self._places.get(key)
        if place is None:
            return None
        if self._filling:
            self._close()
        start, size = (place >> 32) & _LOW, place & _LOW
        return self._opened(place >> 64)[start : start + size]

    def taken(self, keys: Iterable[str]) -> Iterator[bytes]:
        """Give the texts of those keys of which there are any."""
        return (text for text in map(self.take, keys) if text is not None)

    def all(self) -> Iterator[bytes]:
        """Give all texts as they were put."""
        return self.taken(self._places)

    def _close(self) -> None:
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
