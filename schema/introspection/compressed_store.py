"""Texts kept compressed until they are wanted, by key, in any order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

import zstandard

BLOCK = 1 << 18
"""Bytes that are compressed together."""
OPEN = 2
"""Blocks that are kept as they are after a look into them."""
_LOW = (1 << 32) - 1


class Spool:
    """Keeps texts in compressed blocks: texts put one after another are best taken in about that order."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        """Key → block, start and size in one number: there may be 80,000."""
        self._packed: list[bytes] = []
        self._filling: list[bytes] = []
        self._filled = 0
        self._open: OrderedDict[int, bytes] = OrderedDict()
        self._compress = zstandard.ZstdCompressor(level=-3).compress
        self._decompress = zstandard.ZstdDecompressor().decompress

    def texts(self, keys: Iterable[str] | None = None) -> Iterator[bytes]:
        """Yield the texts of these keys, as far as there are any; without keys all texts as they were put."""
        for key in self._places if keys is None else keys:
            text = self.take(key)
            if text is not None:
                yield text

    def put(self, key: str, text: bytes) -> None:
        """Keep a text."""
        size = len(text)
        self._places[key] = (len(self._packed) << 64) | (self._filled << 32) | size
        self._filling.append(text)
        self._filled += size
        if self._filled >= BLOCK:
            self._close()

    def take(self, key: str) -> bytes | None:
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
