"""Texts of JSON that are never in memory as a whole: cut out of an answer, or sent in the place of another.

    answer   {"@odata.etag":…,"FileContents":"JVBERi0xLj…"}  ──▶  {…,"FileContents":""}   and the text, piece by piece
    body     {"FileName":"a","FileContents":"stand-in"}      ──▶  {…,"FileContents":"JVBERi0xLj…"}

Everything else of an answer or a body is what it is without such a text, so whoever plans, checks or reads a request
knows nothing of it. A request whose text has begun to flow is not repeated.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeAlias

import httpx
from msgspec import Struct

from gateway.errors import GatewayError, NotSent, UpstreamMalformed

from .body_reader import BodyReader
from .retry import Failure
from .transport_errors import is_certainly_unprocessed

Take: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Takes a piece of a text, without escapes."""
LONGEST = 3_600.0
"""Seconds for a whole request with a file: it flows as fast as the gateway's client."""
_SPACES = 64
"""White space around a colon that is found though it arrives in two pieces."""
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|([^u]))", re.DOTALL)
_LONGEST_ESCAPE = 6


class ValueCut:
    """Cuts the texts of one property out of JSON that arrives in pieces.

    In a text of JSON each quotation mark is escaped, so the name between two marks and before a colon is a name.
    """

    def __init__(self, name: str) -> None:
        self._start = re.compile(rb'"%b"\s*:\s*"' % re.escape(name.encode()))
        self._reach = len(name) + _SPACES
        self._held = b""
        self.is_inside = False
        """Whether a text has begun, and not ended."""
        self.has_text = False
        """Whether a text has begun."""

    def feed(self, piece: bytes) -> Iterator[tuple[bool, bytes]]:
        """Yield what can be said of a piece: whether it is a part of a text, and the part."""
        data, self._held = self._held + piece, b""
        while data:
            if self.is_inside:
                end = data.find(b'"')
                text = data if end < 0 else data[:end]
                if end < 0:
                    text = self._without_begun_escape(text)
                if text:
                    yield True, _unescaped(text)
                if end < 0:
                    return
                self.is_inside = False
                data = data[end:]
                continue
            match = self._start.search(data)
            if match is None:
                whole = max(len(data) - self._reach, 0)
                self._held = data[whole:]
                if whole:
                    yield False, data[:whole]
                return
            yield False, data[: match.end()]
            data = data[match.end() :]
            self.is_inside = self.has_text = True

    def end(self) -> bytes:
        """Return what is left outside of a text."""
        held, self._held = self._held, b""
        return held

    def _without_begun_escape(self, text: bytes) -> bytes:
        """Return a text up to an escape that may go on in the next piece."""
        at = text.rfind(b"\\", max(len(text) - _LONGEST_ESCAPE, 0))
        if at < 0 or len(text) - at >= _LONGEST_ESCAPE or _ESCAPE.match(text, at):
            return text
        self._held = text[at:]
        return text[:at]


def _unescaped(text: bytes) -> bytes:
    return _ESCAPE.sub(_character, text) if b"\\" in text else text


def _character(match: re.Match[bytes]) -> bytes:
    return chr(int(match[1], 16)).encode("utf-8", "replace") if match[1] else match[2]


class ValueReader:
    """Reads an answer, and takes the text of one property out of it: a ``BodyReader``."""

    def __init__(self, name: str, take: Take | None = None) -> None:
        """``name``: the property. ``take`` takes its text piece by piece; without it, the text is dropped."""
        self._name = name
        self._take = take
        self.size = 0
        self.apart = 0.0
        self.has_begun = False
        self.is_alone: Callable[[], bool] = lambda: True
        self.has_text = False
        """Whether the answer had a text."""
        self._rest: list[bytes] = []

    @property
    def rest(self) -> bytes:
        """What has come of the answer so far, without the text."""
        return b"".join(self._rest)

    async def read(self, pieces: AsyncIterator[bytes]) -> bytes:
        """Return the answer without the text. Raises UpstreamMalformed if that has no end, and what ``take`` raises."""
        cut = ValueCut(self._name)
        self.size, self.apart, self._rest = 0, 0.0, []
        async for piece in pieces:
            self.size += len(piece)
            for is_text, part in cut.feed(piece):
                if is_text:
                    await self._pass_on(part)
                else:
                    self._rest.append(part)
        if cut.is_inside:
            raise UpstreamMalformed("The upstream's answer ends within a text.")
        self.has_text = cut.has_text
        self._rest.append(cut.end())
        return self.rest

    async def _pass_on(self, text: bytes) -> None:
        if self._take is None:
            return
        self.has_begun = True
        began = time.perf_counter()
        await self._take(text)
        self.apart += time.perf_counter() - began


class SentText:
    """A text that a body has in the place of another, and that comes while it is sent."""

    def __init__(
        self, stand_in: bytes, pieces: Callable[[], AsyncIterator[bytes]], size: int | None
    ) -> None:
        """``pieces`` yields the text, and raises GatewayError if it does not come as a whole.

        ``size``: its bytes; None if that is not known.
        """
        self.stand_in = stand_in
        self._pieces = pieces
        self._size = size
        self.has_begun = False
        self.is_complete = False
        """Whether the end of a body with it may have left: one without its end is not written."""
        self.failure: GatewayError | None = None
        """Why it did not come as a whole."""
        self.waited = 0.0
        """Seconds in which it has waited for its pieces."""

    def is_in(self, body: bytes | None) -> bool:
        """Return whether a body has the stand-in once."""
        return body is not None and body.count(self.stand_in) == 1

    def length_of(self, body: bytes) -> int | None:
        """Return the bytes of a body with the text; None if that is not known."""
        return None if self._size is None else len(body) - len(self.stand_in) + self._size

    def unless_begun(self, failure: Failure, error: httpx.RequestError | None) -> bool:
        """Return whether a write may be sent again: a text does not come twice."""
        return not self.has_begun and is_certainly_unprocessed(failure, error)

    async def body(self, body: bytes) -> AsyncIterator[bytes]:
        """Yield a body with the text. Raises GatewayError."""
        if self.has_begun:
            # A sign-in may want the same request again.
            self.failure = NotSent("Nothing was written: the upstream wants the file once more.")
            raise self.failure
        head, tail = body.split(self.stand_in)
        self.has_begun = True
        yield head
        pieces = self._pieces()
        try:
            while True:
                began = time.perf_counter()
                piece = await anext(pieces, None)
                self.waited += time.perf_counter() - began
                if piece is None:
                    break
                yield piece
        except GatewayError as error:
            self.failure = error
            raise
        self.is_complete = True
        yield tail


class WrittenValue(Struct, frozen=True):
    """A text that one write of an operation sends."""

    name: str
    """Its property: in an answer with the row the text is left out."""
    text: SentText


def holds_file(text: SentText | None, reader: BodyReader | None) -> bool:
    """Return whether a text flows in a request or its answer: then its time tells little of the service."""
    return text is not None or isinstance(reader, ValueReader)
