"""Compressed texts by key, readable in any order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

import zstandard

BLOCK = 1 << 18
"""Bytes that are compressed together."""
OPEN = 2
"""Decompressed blocks that are kept."""
_LOW = (1 << 32) - 1


class Spool:
    """Keeps texts in compressed blocks; reading them in about the order of writing is cheapest."""

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
        """Yield the texts of these keys, skipping keys without one; by default all texts in the order of ``put``."""
        for key in self._places if keys is None else keys:
            text = self.take(key)
            if text is not None:
                yield text

    def put(self, key: str, text: bytes) -> None:
        """Store a text."""
        size = len(text)
        self._places[key] = (len(self._packed) << 64) | (self._filled << 32) | size
        self._filling.append(text)
        self._filled += size
        if self._filled >= BLOCK:
            self._close()

    def take(self, key: str) -> bytes | None:
        """Return a text; None if there is none of that key. Call ``put`` only before the first ``take``."""
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
        # A copy: the compressor's result keeps a buffer as large as the worst case.
        self._packed.append(bytes(memoryview(self._compress(b"".join(self._filling)))))
        self._filling = []
        self._filled = 0

    def _opened(self, block: int) -> bytes:
        text = self._open.get(block)
        if text is None:
            text = self._open[block] = self._decompress(self._packed[block])
            # Texts are read in about the order of writing, so a few open blocks suffice.
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
        return text
