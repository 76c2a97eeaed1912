"""Sends an answer while it is made, from a bounded buffer: who writes waits while a client does not keep up.

    write ──▶ compressor ──▶ up to ``MOST_WAITING`` bytes ──▶ client

The head is sent with the first bytes, so status and header fields are those of an answer that succeeds. An answer that
fails later has no end: the server closes the connection, and no client takes a part of it for the whole.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TypeGuard

from starlette.types import Scope, Send

from gateway.request import Answer
from gateway.storage.content_coding import (
    IDENTITY,
    Compression,
    StreamCompressor,
    accepted_coding,
    flush_block,
    stream_compressor,
)

from .responses import Fields, coded_fields
from .waiting_bytes import WaitingBytes

MOST_WAITING = 1 << 20
"""Bytes that wait for a client that reads slowly, while the environment is read on."""


def may_stream(scope: Scope, *, is_kept: bool) -> bool:
    """Return whether an answer may be sent while it is made; ``is_kept``: caches may keep it.

    HTTP/1.0 has no body without a length. The head of what caches keep has a digest of the body.
    """
    return not is_kept and scope["method"] != "HEAD" and scope.get("http_version") != "1.0"


def is_begun(stream: StreamedAnswer | None) -> TypeGuard[StreamedAnswer]:
    """Return whether something of an answer was sent already."""
    return stream is not None and stream.has_begun


class StreamedAnswer:
    """The response to one request, if it is sent while it is made: see ``wide_lists.AnswerStream``."""

    __slots__ = (
        "_coding",
        "_compression",
        "_compressor",
        "_emptied",
        "_fields",
        "_filled",
        "_headers",
        "_held",
        "_holding",
        "_is_over",
        "_pieces",
        "_send",
        "_sending",
        "_waiting",
        "has_begun",
        "more_fields",
        "size",
    )

    def __init__(
        self,
        send: Send,
        fields: Fields,
        headers: Mapping[str, str],
        compression: Compression,
        waiting: WaitingBytes,
    ) -> None:
        """``headers`` are the request's, ``fields`` those of the response."""
        self.has_begun = False
        self.size = 0
        self.more_fields: Callable[[], Sequence[tuple[bytes, bytes]]] = tuple
        self._send = send
        self._fields = fields
        self._headers = headers
        self._compression = compression
        self._waiting = waiting

    def may_begin(self) -> bool:
        """Return whether clients leave enough room for what may wait for this one."""
        return self._waiting.fits(MOST_WAITING)

    async def write(self, piece: bytes) -> None:
        """Write some of the body; waits while more waits for the client than may."""
        is_first = not self.has_begun
        if is_first:
            self._begin()
        self.size += len(piece)
        if self._compressor is not None:
            piece = self._compressor.compress(piece)
            if is_first:
                piece += flush_block(self._compressor, self._coding)
        self._put(piece)
        await self._until_at_most(MOST_WAITING)

    async def end(self, answer: Answer) -> None:
        """Write the rest of an answer, and return when the client has been sent all.

        One that has failed has no rest.
        """
        if answer.rest is None:
            return
        rest = answer.encode()
        self.size += len(rest)
        if self._compressor is not None:
            rest = self._compressor.compress(rest) + self._compressor.flush()
        self._put(rest)
        await self._until_at_most(0)
        if self._sending.done():
            self._sending.result()
        await self.close()
        # Nothing follows: the client may leave now, which is no reason to cancel anything.
        await self._send({"type": "http.response.body", "body": b""})

    def _begin(self) -> None:
        self.has_begun = True
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._is_over = False
        self._holding = ExitStack()
        self._holding.enter_context(self._waiting.holding(MOST_WAITING))
        self._coding = accepted_coding(self._headers) if self._compression.enabled else IDENTITY
        self._compressor: StreamCompressor | None = stream_compressor(self._coding)
        self._filled, self._emptied = asyncio.Event(), asyncio.Event()
        fields = [*self._fields, *self.more_fields(), *coded_fields(self._coding)]
        self._sending = asyncio.ensure_future(self._send_all(fields))
        self._sending.add_done_callback(lambda _: self._emptied.set())

    async def close(self) -> None:
        """Send no more; a body that has not ended stays without its end."""
        self._holding.close()
        self._is_over = True
        self._filled.set()
        if self._held:
            self._sending.cancel()
        await asyncio.wait((self._sending,))

    def _put(self, piece: bytes) -> None:
        # To a client that is gone nothing can be sent; what writes learns of it by the disconnection.
        if piece and not self._sending.done():
            self._pieces.append(piece)
            self._held += len(piece)
            self._filled.set()

    async def _until_at_most(self, waiting: int) -> None:
        """Return when at most so many bytes wait, or nothing more can be sent."""
        while self._held > waiting and not self._sending.done():
            self._emptied.clear()
            await self._emptied.wait()

    async def _send_all(self, fields: Fields) -> None:
        await self._send({"type": "http.response.start", "status": 200, "headers": list(fields)})
        while not self._is_over:
            while self._pieces:
                piece = self._pieces.popleft()
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
                self._held -= len(piece)
                self._emptied.set()
            self._filled.clear()
            await self._filled.wait()
