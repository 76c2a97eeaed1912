"""Content codings of responses: negotiation (RFC 9110, section 12.5.3) and compression.

A body of a few hundred bytes fits into one packet and is not compressed. Larger ones are compressed at the fastest
level of each coding, in a thread if that would hold up other requests.
"""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Protocol

import brotli
import zstandard
from msgspec import Struct

from .accept import coding_quality

IDENTITY = "identity"
CODINGS = ("zstd", "br", "gzip")
"""Offered codings, the fastest first."""
_NOT_BROWSERS = ("br", "zstd", "gzip")
"""Order of preference for other clients than browsers: some of them accept zstd and cannot read it, such as
``@whatwg-node/fetch`` (GraphQL Code Generator) under Node 20. All of those read Brotli."""
OFF_LOOP = 1 << 18
"""Bytes from which a body is compressed in a thread, because it takes more than 2 ms."""
_BLOCK = 1 << 18
"""Bytes of a long text that are compressed at a time."""
_SHORT = 128
"""Bytes of zstd that are decompressed at a time."""
_WINDOW = 1 << 27
"""Bytes of a zstd window at most: what ``zstd`` itself accepts without an option."""
_GZIP = 16 + zlib.MAX_WBITS
"""``wbits`` for a gzip header instead of zlib's."""
_FAST: Mapping[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstandard.ZstdCompressor(level=1).compress(body),
    "br": lambda body: brotli.compress(body, quality=1),
    "gzip": lambda body: zlib.compress(body, 1, wbits=_GZIP),
}


class _OfThread(threading.local):
    """What a thread compresses short bodies with: to make it takes as long as compressing 10 kB."""

    def __init__(self) -> None:
        # Not for several threads at a time, and longer bodies would enlarge it.
        self.compressor = zstandard.ZstdCompressor(level=1)


_of_thread = _OfThread()


def accepted_coding(headers: Mapping[str, str]) -> str:
    """Return the coding for a request with these headers, whose names are in lower case."""
    is_browser = headers.get("user-agent", "").startswith("Mozilla/")
    return negotiate_coding(headers.get("accept-encoding"), is_browser=is_browser)


@lru_cache(maxsize=256)
def negotiate_coding(accept: str | None, *, is_browser: bool = False) -> str:
    """Return the coding for an ``Accept-Encoding``; ``identity`` if the client accepts none that is offered."""
    if not accept:
        return IDENTITY
    order = CODINGS if is_browser else _NOT_BROWSERS
    offered = {coding: coding_quality(accept, coding) for coding in order}
    best = max(order, key=lambda coding: offered[coding])
    unchanged = coding_quality(accept, IDENTITY, is_named=True)
    return best if offered[best] > unchanged else IDENTITY


class Compression(Struct, frozen=True, kw_only=True):
    """The settings of compression."""

    enabled: bool = True
    over: int = 1_024
    """Bytes that a compressed body must exceed."""

    async def encode(self, body: bytes, headers: Mapping[str, str]) -> tuple[bytes, str]:
        """Return a body in the best coding for a request's headers, and the coding."""
        if not self.enabled or len(body) <= self.over:
            return body, IDENTITY
        coding = accepted_coding(headers)
        if coding == IDENTITY:
            return body, IDENTITY
        if len(body) < OFF_LOOP:
            if coding == "zstd":
                return _of_thread.compressor.compress(body), coding
            return _FAST[coding](body), coding
        return await asyncio.to_thread(_FAST[coding], body), coding


def compress_pieces(pieces: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Yield a long text compressed, well rather than fast: it is compressed once and sent many times.

    A thread compresses a block while the next one is produced.
    """
    compressor = _compressor(coding)
    with ThreadPoolExecutor(1) as thread:
        pending = None
        for block in _in_blocks(pieces):
            done, pending = pending, thread.submit(compressor.compress, block)
            if done is not None and (packed := done.result()):
                yield packed
        if pending is not None:
            yield pending.result()
    yield compressor.flush()


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


class StreamCompressor(Protocol):
    """Compresses a body that is sent piece by piece."""

    def compress(self, piece: bytes, /) -> bytes:
        """Return what is complete by now; that may be nothing."""
        ...

    def flush(self) -> bytes:
        """Return the rest, and end the body."""
        ...


def flush_block(compressor: Any, coding: str) -> bytes:
    """Return what a stream's compressor still holds of a body that goes on, so that its reader has all by now."""
    mode = zstandard.COMPRESSOBJ_FLUSH_BLOCK if coding == "zstd" else zlib.Z_SYNC_FLUSH
    rest: bytes = compressor.flush_block() if coding == "br" else compressor.flush(mode)
    return rest


def stream_compressor(coding: str) -> StreamCompressor | None:
    """Return a compressor at the fastest level; None for ``identity``."""
    compressor: StreamCompressor
    match coding:
        case "zstd":
            compressor = zstandard.ZstdCompressor(level=1).compressobj()
        case "br":
            compressor = _Brotli(quality=1)
        case "gzip":
            compressor = zlib.compressobj(1, wbits=_GZIP)
        case _:
            return None
    return compressor


class _Brotli:
    """brotli's compressor with the method names of the others."""

    def __init__(self, quality: int = 5) -> None:
        self._compressor = brotli.Compressor(quality=quality, lgwin=22)
        self.flush: Callable[[], bytes] = self._compressor.finish
        self.compress: Callable[[bytes], bytes] = self._compressor.process
        self.flush_block: Callable[[], bytes] = self._compressor.flush


def _compressor(coding: str) -> Any:
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=3).compressobj()
    if coding == "br":
        return _Brotli()
    return zlib.compressobj(6, wbits=_GZIP)


class StreamDecompressor(Protocol):
    """Decompresses a body that arrives piece by piece."""

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        """Yield plain pieces of a few megabytes at most. Raises ValueError if it is not in this coding."""
        ...

    def end(self) -> None:
        """Raise ValueError if the body is not complete."""
        ...


def stream_decompressor(coding: str) -> StreamDecompressor | None:
    """Return what decompresses a body; None for a coding that is not known."""
    known: Mapping[str, Callable[[], StreamDecompressor]] = {
        IDENTITY: _Identity,
        "gzip": _Gunzip,
        "zstd": _Unzstd,
    }
    make = known.get(coding)
    return None if make is None else make()


class _Identity:
    def pieces(self, packed: bytes) -> Iterator[bytes]:
        yield packed

    def end(self) -> None:
        pass


class _Gunzip:
    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(wbits=_GZIP)
        self._is_within = False
        """Whether a member has begun that has not ended."""

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            try:
                yield self._decompressor.decompress(packed, _BLOCK)
            except zlib.error as error:
                raise ValueError("not gzip") from error
            packed = self._decompressor.unconsumed_tail
            self._is_within = not self._decompressor.eof
            if self._decompressor.eof:
                # Another member may follow (RFC 1952, section 2.2).
                packed = self._decompressor.unused_data
                self._decompressor = zlib.decompressobj(wbits=_GZIP)

    def end(self) -> None:
        if self._is_within:
            raise ValueError("gzip that does not end")


class _Unzstd:
    def __init__(self) -> None:
        self._decompressor = self._begin()
        self._is_within = False

    def _begin(self) -> Any:
        return zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        view = memoryview(packed)
        # Four bytes may stand for 128 KiB: a short piece bounds what comes of it.
        for start in range(0, len(view), _SHORT):
            rest = bytes(view[start : start + _SHORT])
            while rest:
                try:
                    yield self._decompressor.decompress(rest)
                except zstandard.ZstdError as error:
                    raise ValueError("not zstd") from error
                rest = b""
                self._is_within = not self._decompressor.eof
                if self._decompressor.eof:
                    rest = self._decompressor.unused_data
                    self._decompressor = self._begin()

    def end(self) -> None:
        if self._is_within:
            raise ValueError("zstd that does not end")


def decompress_pieces(packed: memoryview, step: int = 1 << 18) -> Iterator[bytes]:
    """Yield the plain text of zstd in pieces of ``step`` bytes."""
    with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
        while text := reader.read(step):
            yield text
