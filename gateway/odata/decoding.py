"""Reading the body of an answer: its content coding undone, its size bounded while that happens.

    identity            the pieces as they come
    gzip, deflate       unpacked in steps of ``STEP`` bytes, so that 4 kB which hold 4 GB cost one step beyond the limit
    anything else       malformed: two codings on top of each other, one that was not offered

httpx's own decoders unpack a whole piece before anybody can look at its size, and undo as many codings as an answer
names. They also pass a stream that ends too early; here that is malformed, because what it held may be incomplete.

https://www.rfc-editor.org/rfc/rfc9110#section-8.4 · https://www.rfc-editor.org/rfc/rfc1952 (members of gzip)
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

import httpx

from gateway.errors import UpstreamMalformed

OFFERED = "gzip, deflate"
"""Value of Accept-Encoding."""
STEP = 1 << 20
"""Bytes that are unpacked at a time."""
Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes received so far and, where the service says it, their total."""
_GZIP = 16 + zlib.MAX_WBITS


async def read_body(answer: httpx.Response, limit: int, progress: Progress | None = None) -> bytes:
    """Return the whole body, decoded, and release the connection.

    Raises UpstreamMalformed above ``limit`` bytes, httpx.DecodingError, and what the transport raises.
    """
    stream = answer.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in _decoded(answer, stream, progress):
            size += len(piece)
            if size > limit:
                raise UpstreamMalformed(
                    f"The upstream's answer is larger than {limit:,} bytes.",
                    hint="Request fewer rows or fields, or raise max_upstream_bytes.",
                    upstream_status=answer.status_code,
                )
            pieces.append(piece)
    finally:
        # Not ``answer.aclose()``, which does the same within a context manager that takes 7 µs.
        await stream.aclose()
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _decoded(
    answer: httpx.Response, stream: httpx.AsyncByteStream, progress: Progress | None
) -> AsyncIterator[bytes]:
    received = aiter(stream) if progress is None else _counted(answer, stream, progress)
    if "content-encoding" not in answer.headers:
        return received
    return _unpacked(received, answer.headers["content-encoding"].strip().lower())


async def _counted(
    answer: httpx.Response, stream: httpx.AsyncByteStream, progress: Progress
) -> AsyncIterator[bytes]:
    length = answer.headers.get("content-length", "")
    total = int(length) if length.isdecimal() and len(length) < 20 else None
    size = 0
    async for piece in stream:
        size += len(piece)
        progress(size, total)
        yield piece


async def _unpacked(received: AsyncIterator[bytes], coding: str) -> AsyncIterator[bytes]:
    """Yield the decoded content, at most ``STEP`` bytes at a time. Raises httpx.DecodingError."""
    if coding in {"", "identity"}:
        async for piece in received:
            yield piece
        return
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise httpx.DecodingError(f"the content coding {coding[:100]!r} was not offered")
    unpacker = _Unpacker(is_gzip=coding != "deflate")
    async for piece in received:
        rest, is_held_back = piece, False
        while rest or is_held_back:
            try:
                content, rest = unpacker.step(rest)
            except zlib.error as exc:
                raise httpx.DecodingError(str(exc)) from exc
            if content:
                yield content
            # A full step may leave content in the decompressor that needs no more input.
            is_held_back = len(content) == STEP and not unpacker.is_complete
            if rest or is_held_back:
                await asyncio.sleep(0)
    if not unpacker.is_complete:
        raise httpx.DecodingError("the compressed content ends too early")


class _Unpacker:
    """zlib's decompressor, over all members of a gzip file, and for both meanings of ``deflate``."""

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._zlib = zlib.decompressobj(_GZIP if is_gzip else zlib.MAX_WBITS)
        self._has_begun = False
        self._head = b""
        """The first byte, where it came alone: two tell zlib's format from the bare one."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing came, or a stream with its end."""
        return self._zlib.eof or not self._has_begun

    def step(self, packed: bytes) -> tuple[bytes, bytes]:
        """Return up to ``STEP`` bytes of content, and what of ``packed`` is left. Raises zlib.error."""
        if self._zlib.eof:
            if not self._is_gzip:
                raise zlib.error("there is content behind the end of the compressed content")
            self._zlib = zlib.decompressobj(_GZIP)
        is_first, self._has_begun = not self._has_begun or bool(self._head), True
        packed, self._head = self._head + packed, b""
        if is_first and len(packed) < 2:
            self._head = packed
            return b"", b""
        try:
            content = self._zlib.decompress(packed, STEP)
        except zlib.error:
            if self._is_gzip or not is_first:
                raise
            # Many servers take "deflate" for the bare format: RFC 9110, section 8.4.1.2.
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
            content = self._zlib.decompress(packed, STEP)
        return content, self._zlib.unconsumed_tail or self._zlib.unused_data
