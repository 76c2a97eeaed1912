"""Content codings of responses: which one a client takes best, and how bodies are put into it.

A body of a few hundred bytes fits one packet anyway and goes out as it is. Larger ones are compressed at the fastest
level of each coding, in a thread where that takes longer than a request should hold up others.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import brotli
import zstandard
from msgspec import Struct

from .accept import coding_quality

IDENTITY = "identity"
CODINGS = ("zstd", "br", "gzip")
"""Offered codings, the fastest first."""
_CAREFULLY = ("br", "zstd", "gzip")
"""The order for clients without a preference that are no browsers: some name zstd and cannot read it, such as
``@whatwg-node/fetch`` (GraphQL Code Generator) under Node 20; what names it does read Brotli."""
OFF_LOOP = 1 << 18
"""Bytes from which a body is compressed in a thread: some 2 ms."""
_BLOCK = 1 << 18
"""Bytes of a long text that are compressed together."""
_GZIP = 16 + zlib.MAX_WBITS
_FAST: Mapping[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstandard.ZstdCompressor(level=1).compress(body),
    "br": lambda body: brotli.compress(body, quality=1),
    "gzip": lambda body: zlib.compress(body, 1, wbits=_GZIP),
}


def accepted_coding(headers: Mapping[str, str]) -> str:
    """Return the coding of the answer to a request with these headers, whose names are in lower case."""
    is_browser = headers.get("user-agent", "").startswith("Mozilla/")
    return negotiate_coding(headers.get("accept-encoding"), is_browser=is_browser)


@lru_cache(maxsize=256)
def negotiate_coding(accept: str | None, *, is_browser: bool = False) -> str:
    """Choose the coding for an ``Accept-Encoding`` (RFC 9110, section 12.5.3).

    Where a client takes nothing that is offered, it gets the body as it is.
    """
    if not accept:
        return IDENTITY
    order = CODINGS if is_browser else _CAREFULLY
    offered = {coding: coding_quality(accept, coding) for coding in order}
    best = max(order, key=lambda coding: offered[coding])
    unchanged = coding_quality(accept, IDENTITY, is_named=True)
    return best if offered[best] > unchanged else IDENTITY


class Compression(Struct, frozen=True, kw_only=True):
    """What the settings say of compressing answers."""

    enabled: bool = True
    over: int = 1_024
    """Bytes above which a body is compressed."""

    async def encoded(self, body: bytes, headers: Mapping[str, str]) -> tuple[bytes, str]:
        """Put a body into the best coding for a request's headers; gives the coding too."""
        if not self.enabled or len(body) <= self.over:
            return body, IDENTITY
        coding = accepted_coding(headers)
        if coding == IDENTITY:
            return body, IDENTITY
        if len(body) < OFF_LOOP:
            return _FAST[coding](body), coding
        return await asyncio.to_thread(_FAST[coding], body), coding


def compress_pieces(pieces: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Compress a long text piece by piece, well rather than fast: it is done once and sent many times.

    A thread does it while the next piece is being made.
    """
    packer = _packer(coding)
    with ThreadPoolExecutor(1) as thread:
        packed = None
        for piece in _in_blocks(pieces):
            done, packed = packed, thread.submit(packer.compress, piece)
            if done is not None and (found := done.result()):
                yield found
        if packed is not None:
            yield packed.result()
    yield packer.flush()


def _in_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


class _Brotli:
    """brotli's compressor under the names of the others."""

    def __init__(self) -> None:
        self._packer = brotli.Compressor(quality=5, lgwin=22)
        self.flush: Callable[[], bytes] = self._packer.finish
        self.compress: Callable[[bytes], bytes] = self._packer.process


def _packer(coding: str) -> Any:
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=3).compressobj()
    if coding == "br":
        return _Brotli()
    return zlib.compressobj(6, wbits=_GZIP)


def decompress_pieces(packed: memoryview, step: int = 1 << 18) -> Iterator[bytes]:
    """Return the text of zstd in pieces of ``step`` bytes."""
    with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
        while text := reader.read(step):
            yield text
