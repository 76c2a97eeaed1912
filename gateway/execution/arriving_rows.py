"""Cuts whole rows out of the body of a page while it arrives.

    {"@odata.context":"…","value":[{…},{…},{…   ──▶ rows, as JSON text; the rest waits for the next piece

A row ends where the text up to there is an array of JSON values, which msgspec decides in C: within a string or an
inner value no such place exists. The candidates are the last few ``},{`` of what has arrived.
"""

from __future__ import annotations

import asyncio
import re
import time
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import msgspec

from gateway.errors import UpstreamMalformed
from gateway.operations.raw_rows import RawPage, raw_page
from gateway.telemetry.operation_scope import current_scope

BEGINS_AT = 64 * 1024
"""Bytes after which the rows of an answer go on, even if the rest comes at once."""
BEGINS_AFTER = 0.02
"""Seconds since its first byte after which they do, however few there are."""
_HEAD = re.compile(rb'"value"\s*:\s*\[')
_NEXT_ROW = re.compile(rb"\}\s*,\s*\{")
_TRIES = 4
"""Places at which a cut is tried; if all of them are inside a row, more has to arrive."""
_GROWTH = 1.25
"""By how much the text must have grown until the next try: so that a long row does not cost its square."""
_rows_of = msgspec.json.Decoder(list[msgspec.Raw]).decode
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_T = TypeVar("_T")
Begin = Callable[[RawPage, list[msgspec.Raw]], Awaitable[bool]]
"""(the page without its rows, the first of them) → whether they were taken. If not, the answer is read whole."""
Take = Callable[[list[msgspec.Raw]], Awaitable[None]]
"""Takes more rows."""


def cut_rows(text: bytes) -> tuple[list[msgspec.Raw], bytes]:
    """Return the whole rows at the beginning of a text, without the last one, and the rest of the text.

    ``{…},{…},{…`` → two rows; the rest begins with the third.
    """
    end = len(text)
    is_compact = b"},{" in text
    for _ in range(_TRIES):
        if is_compact:
            end = text.rfind(b"},{", 0, end)
            start = end + 2
        else:
            # Only text that somebody has laid out is searched from its beginning.
            places = [match.span() for match in _NEXT_ROW.finditer(text, 0, end)]
            end, behind = places[-1] if places else (-1, 0)
            start = behind - 1
        if end < 0:
            break
        with suppress(*_NOT_JSON):
            return _rows_of(b"[%b]" % text[: end + 1]), text[start:]
    return [], text


class ArrivingRows:
    """The reader of one page: see ``odata.body_reader``."""

    def __init__(self, begin: Begin, take: Take, *, at_once: bool = False) -> None:
        """``at_once``: no bytes or seconds are waited for, as pages of the list have begun."""
        self.size, self.apart = 0, 0.0
        self.has_begun = False
        self.is_alone: Callable[[], bool] = lambda: True
        self.page: RawPage | None = None
        """The page without its rows, when all have been taken; None if it was not read here."""
        self._begin = begin
        self._take = take
        self._at_once = at_once
        self._head = RawPage([])

    async def read(self, pieces: AsyncIterator[bytes]) -> bytes:
        """Hand the rows on as they come, and return nothing; return the body if they are not wanted before its end.

        Raises UpstreamMalformed for a page whose end is not one, and what ``begin`` and ``take`` raise.
        """
        self.size, self.apart = 0, 0.0
        arriving = _Pieces(pieces)
        try:
            rest = await self._until_begun(arriving)
            if self.has_begun:
                await self._rows_of(arriving, rest)
                return b""
            return rest
        finally:
            await arriving.close()

    def close(self) -> None:
        """Forget who takes the rows, as the request refers to this for as long as it is known."""
        self._begin, self._take = _refuse, _drop
        self.is_alone = bool

    async def _until_begun(self, arriving: _Pieces) -> bytes:
        """Return what stands behind the first rows, which were taken; or the whole body, if none are."""
        now = asyncio.get_running_loop().time
        body, asks, next_try = b"", True, 0
        due: float | None = None
        while True:
            piece = await arriving.next(None if due is None else due - now())
            if piece == b"":
                return body
            if piece is None:
                # However few rows there are, and then with each piece.
                next_try, due = 0, None
            else:
                if asks and not body:
                    next_try = 0 if self._at_once else BEGINS_AT
                    due = now() + BEGINS_AFTER
                self.size += len(piece)
                body += piece
            if not asks or len(body) < next_try:
                continue
            rest = await self._try(body.removeprefix(BOM_UTF8))
            if self.has_begun:
                return rest
            asks = not rest
            due = due if asks else None
            next_try = int(len(body) * _GROWTH) if len(body) >= BEGINS_AT else next_try

    async def _try(self, body: bytes) -> bytes:
        """Let the first rows be taken, and return the text behind them; nothing if there is none yet.

        If they are not wanted, it does not matter what is returned.
        """
        head = _HEAD.search(body)
        if head is None:
            return b"" if len(body) < BEGINS_AT else body
        rows, rest = cut_rows(body[head.end() :])
        if not rows:
            return b""
        try:
            page = raw_page(b"%b]}" % body[: head.end()])
        except _NOT_JSON:
            return body
        self._head = page
        self.has_begun = self.is_alone() and await self._apart(self._begin(page, rows))
        return rest

    async def _apart(self, taking: Awaitable[_T]) -> _T:
        """Let rows be taken. The service is not waited for meanwhile."""
        scope, since = current_scope(), time.perf_counter()
        if scope is not None:
            scope.end_wait()
        try:
            return await taking
        finally:
            self.apart += time.perf_counter() - since
            if scope is not None:
                scope.begin_wait()

    async def _rows_of(self, arriving: _Pieces, rest: bytes) -> None:
        next_try = 0
        while piece := await arriving.next(None):
            self.size += len(piece)
            rest += piece
            if len(rest) < next_try:
                continue
            rows, rest = cut_rows(rest)
            next_try = 0 if rows else int(len(rest) * _GROWTH)
            if rows:
                await self._apart(self._take(rows))
        try:
            end = raw_page(b'{"value":[%b' % rest)
        except _NOT_JSON as error:
            raise UpstreamMalformed(
                "The upstream's answer cannot be used: it is not JSON, or was cut off."
            ) from error
        if end.value:
            await self._apart(self._take(end.value))
        head = self._head
        # Some services write these before the rows.
        count = head.count if end.count is None else end.count
        self.page = RawPage([], count, head.next if end.next is None else end.next)


async def _refuse(_page: RawPage, _rows: list[msgspec.Raw]) -> bool:
    return False


async def _drop(_rows: list[msgspec.Raw]) -> None:
    pass


class _Pieces:
    """Pieces that one can wait for with a limit of time."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._next: asyncio.Future[bytes] | None = None

    async def next(self, seconds: float | None) -> bytes | None:
        """Return the next piece, nothing at the end; None if it has not come after so many seconds."""
        if seconds is None and self._next is None:
            return await anext(self._pieces, b"")
        if self._next is None:
            self._next = asyncio.ensure_future(_once(self._pieces))
        await asyncio.wait((self._next,), timeout=None if seconds is None else max(0.0, seconds))
        if not self._next.done():
            return None
        piece, self._next = self._next.result(), None
        return piece

    async def close(self) -> None:
        """End the wait for a piece, so that the pieces can be closed."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait((self._next,))


async def _once(pieces: AsyncIterator[bytes]) -> bytes:
    return await anext(pieces, b"")
