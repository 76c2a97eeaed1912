"""The body of an upload: its size and digest are checked while it arrives.

A file that is too long, breaks off, or is not what its digest says is not written: its last bytes are not passed on,
and the service cannot read a body without its end. https://www.rfc-editor.org/rfc/rfc9530 (Content-Digest)
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
from collections.abc import AsyncIterator

from starlette.types import Message, Receive

from gateway.errors import NotSent
from gateway.storage.content_coding import IDENTITY

from .refusals import HttpError
from .request_parameters import BODY_TIMEOUT, ClientDisconnected, Headers

_SHA256 = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):\s*(?:$|,)")


class FileBody:
    """The bytes of one upload."""

    def __init__(self, headers: Headers, receive: Receive, most: int) -> None:
        """``most``: bytes that a file may have. Raises HttpError for a body that is not accepted."""
        if headers.get("content-encoding", IDENTITY).strip().lower() != IDENTITY:
            raise HttpError(
                415,
                "UNSUPPORTED_MEDIA_TYPE",
                "Compressed uploads are not supported.",
                "Send the file as it is.",
            )
        length = headers.get("content-length", "")
        self.size = int(length) if length.isascii() and length.isdecimal() else None
        """How many bytes are to come; None if the client does not say."""
        self.digest = _digest_of(headers.get("content-digest"))
        """Their SHA-256; None if the client does not say."""
        self.received = 0
        self.refusal: HttpError | ClientDisconnected | None = None
        """Why they did not come as a whole."""
        self._receive = receive
        self._most = most
        if self.size is not None and self.size > most:
            raise self._too_large()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises NotSent if it does not come as a whole; ``refusal`` says why."""
        try:
            async for piece in self._checked():
                yield piece
        except (HttpError, ClientDisconnected) as refusal:
            self.refusal = refusal
            raise NotSent("The file did not come as a whole: nothing was written.") from refusal

    async def _checked(self) -> AsyncIterator[bytes]:
        """Yield the body; its last piece when all of it is right. Raises HttpError, ClientDisconnected."""
        digest = None if self.digest is None else hashlib.sha256()
        last = b""
        while True:
            message = await self._next()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            piece: bytes = message.get("body", b"")
            self.received += len(piece)
            # While it arrives: Content-Length may be absent, or wrong.
            if self.received > self._most:
                raise self._too_large()
            if digest is not None:
                digest.update(piece)
            if last:
                yield last
            last = piece
            if not message.get("more_body", False):
                break
        if digest is not None and digest.digest() != self.digest:
            raise HttpError(
                400, "BAD_REQUEST", "The body is not what Content-Digest says: nothing was written."
            )
        if last:
            yield last

    async def _next(self) -> Message:
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                return await self._receive()
        except TimeoutError as error:
            message = f"Nothing of the body has come for {BODY_TIMEOUT:g} seconds."
            raise HttpError(408, "REQUEST_TIMEOUT", message) from error

    def _too_large(self) -> HttpError:
        return HttpError(
            413,
            "BODY_TOO_LARGE",
            f"The file is larger than {self._most:,} bytes.",
            "Setting: writes.max_file_bytes.",
        )


def _digest_of(header: str | None) -> bytes | None:
    """Return the SHA-256 of a ``Content-Digest``; None if it has none. Raises HttpError."""
    if header is None:
        return None
    match = _SHA256.search(header)
    if match is None:
        # What cannot be checked must not look as if it had been.
        raise HttpError(
            400, "BAD_REQUEST", "Content-Digest has no sha-256.", "sha-256=:…: with base64."
        )
    try:
        return base64.b64decode(match[1], validate=True)
    except binascii.Error as error:
        raise HttpError(400, "BAD_REQUEST", "Content-Digest is no base64.") from error
