"""Reading the body of an answer: its content coding undone, its size bounded while that happens.

    identity            the pieces as they come
    gzip, deflate       decompressed in steps of ``STEP`` bytes: 4 kB that expand to 4 GB cost one step beyond the limit
    anything else       malformed: two codings on top of each other, or one that was not offered

httpx's own decoders decompress a whole piece before its size can be checked, and undo as many codings as an answer
names. They also accept a stream that ends too early; here that is malformed, because content may be missing.

https://www.rfc-editor.org/rfc/rfc9110#section-8.4 · https://www.rfc-editor.org/rfc/rfc1952 (members of gzip)
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TypeAlias

import httpx

from gateway.errors import AnswerTooLarge

from .body_reader import BodyReader

OFFERED = "gzip, deflate"
"""Value of Accept-Encoding."""
STEP = 1 << 20
"""Bytes that are decompressed at a time."""
Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes received so far, and their total if the service states it."""
_MEDIA = ("application/json", "multipart/mixed")
"""Media types of answers with rows: that of a ``$batch`` is the second one."""
_GOOD = frozenset({200, 201})
_GZIP = 16 + zlib.MAX_WBITS
"""zlib's ``wbits`` for the gzip format."""


class PieceStream(httpx.AsyncByteStream):
    """A stream that can be read piece by piece, without a generator around it."""

    async def read(self) -> bytes:
        """Return the next piece; empty: there is no other."""
        raise NotImplementedError

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self.read():
            yield piece


async def read_body(answer: httpx.Response, limit: int, progress: Progress | None = None) -> bytes:
    """Return the whole body, decoded, and release the connection.

    Raises AnswerTooLarge above ``limit`` bytes, httpx.DecodingError, and what the transport raises.
    """
    stream = answer.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    pieces: list[bytes] = []
    size = 0
    is_coded = "content-encoding" in answer.headers
    try:
        if isinstance(stream, PieceStream) and progress is None and not is_coded:
            while piece := await stream.read():
                size += len(piece)
                if size > limit:
                    raise _too_large(limit, answer.status_code)
                pieces.append(piece)
        else:
            async for piece in _decoded(answer, stream, progress):
                size += len(piece)
                if size > limit:
                    raise _too_large(limit, answer.status_code)
                pieces.append(piece)
    finally:
        # Not ``answer.aclose()``, which does the same within a context manager that takes 7 µs.
        await stream.aclose()
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def suits_reader(answer: httpx.Response) -> bool:
    """Return whether an answer is one for a reader: any other is read whole, to see what is wrong."""
    is_good = answer.status_code in _GOOD
    return is_good and answer.headers.get("content-type", "").startswith(_MEDIA)


async def read_along(answer: httpx.Response, limit: int, reader: BodyReader) -> bytes:
    """Let a reader read an answer, and release the connection; return what :meth:`BodyReader.read` does.

    Raises as :func:`read_body`.
    """
    async with aclosing(_pieces(answer, limit)) as pieces:
        return await reader.read(pieces)


async def _pieces(answer: httpx.Response, limit: int) -> AsyncGenerator[bytes]:
    stream = answer.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    size = 0
    try:
        async for piece in _decoded(answer, stream, None):
            size += len(piece)
            if size > limit:
                raise _too_large(limit, answer.status_code)
            yield piece
    finally:
        await stream.aclose()


def _too_large(limit: int, status: int) -> AnswerTooLarge:
    return AnswerTooLarge(
        f"The upstream's answer is larger than {limit:,} bytes.",
        hint="Request fewer rows or fields, or raise max_upstream_bytes.",
        upstream_status=status,
    )


def _decoded(
    answer: httpx.Response, stream: httpx.AsyncByteStream, progress: Progress | None
) -> AsyncIterator[bytes]:
    received = aiter(stream) if progress is None else _counted(answer, stream, progress)
    if "content-encoding" not in answer.headers:
        return received
    return _decompressed(received, answer.headers["content-encoding"].strip().lower())


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


async def _decompressed(received: AsyncIterator[bytes], coding: str) -> AsyncIterator[bytes]:
    """Yield the decoded content, at most ``STEP`` bytes at a time. Raises httpx.DecodingError."""
    if coding in {"", "identity"}:
        async for piece in received:
            yield piece
        return
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise httpx.DecodingError(f"the content coding {coding[:100]!r} was not offered")
    decompressor = _Decompressor(is_gzip=coding != "deflate")
    async for piece in received:
        rest, has_more = piece, False
        while rest or has_more:
            try:
                content, rest = decompressor.step(rest)
            except zlib.error as exc:
                raise httpx.DecodingError(str(exc)) from exc
            if content:
                yield content
            # A full step may leave content in the decompressor that needs no more input.
            has_more = len(content) == STEP and not decompressor.is_complete
            if rest or has_more:
                # Large answers must not keep the event loop from other requests.
                await asyncio.sleep(0)
    if not decompressor.is_complete:
        raise httpx.DecodingError("the compressed content ends too early")


class _Decompressor:
    """Decompresses all members of a gzip stream, and both formats that are sent as ``deflate``."""

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._zlib = zlib.decompressobj(_GZIP if is_gzip else zlib.MAX_WBITS)
        self._has_begun = False
        self._head = b""
        """The first byte, if it came alone: two are needed to tell zlib's format from the raw one."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing came, or a whole stream."""
        return self._zlib.eof or not self._has_begun

    def step(self, packed: bytes) -> tuple[bytes, bytes]:
        """Return up to ``STEP`` bytes of content, and the rest of ``packed``. Raises zlib.error."""
        if self._zlib.eof:
            if not self._is_gzip:
                raise zlib.error("data follows the end of the compressed content")
            self._zlib = zlib.decompressobj(_GZIP)  # the next member (RFC 1952, section 2.2)
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
            # Many servers send the raw format as "deflate": RFC 9110, section 8.4.1.2.
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
            content = self._zlib.decompress(packed, STEP)
        return content, self._zlib.unconsumed_tail or self._zlib.unused_data
