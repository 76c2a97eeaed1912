"""Decodes answers into rows: typed at first, and leniently if an answer does not fit its types.

Large pages are decoded in slices, and the event loop gets its turn between them, so that one operation's hundred
megabytes do not stop all others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.odata.response_check import Response, malformed_answer
from gateway.operations.lenient_rows import untyped_json
from gateway.operations.raw_rows import DecodedRows, RawPage, RawRows, raw_page
from gateway.operations.row_types import RowType

from .decimal_text import decode_small_page
from .untyped_rows import Page, page_of, row_of

_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
LARGE = 512 * 1024
"""Bytes of JSON that are decoded without a break: some 5 ms."""
SMALL = 64 * 1024
"""Bytes of JSON that need not be cut into slices."""
SLICE = LARGE // 4
"""Bytes in a slice of a large page; fewer, because the lenient decoder may have to inspect each value."""


@dataclass
class PageDecoder:
    """Decodes the answers of one operation."""

    has_mismatch: bool = False
    """Whether some answer did not fit its types, so that values in its rows may be of any JSON type."""
    _undisturbed: int = 0
    """Bytes decoded since the event loop last had its turn."""

    async def page(self, response: Response, row_type: RowType) -> Any:
        """Return a page with decoded rows. Raises UpstreamMalformed."""
        page = await self._page(response, row_type)
        if row_type.redact is not None:
            row_type.redact(page.value)
        return page

    async def _page(self, response: Response, row_type: RowType) -> Any:
        await self._yield_to_others(len(response.body))
        large = _raw_page(response) if len(response.body) > LARGE else None
        if large is None:
            return self._decode(
                response,
                row_type.page.decode,
                row_type,
                lambda raw: page_of(response, raw, row_type),
            )
        rows: list[Any] = []
        for part in RawRows(row_type, large.value).slices(SLICE):
            rows.extend(self._slice(response, part))
            await asyncio.sleep(0)
        return Page(rows, large.count, large.next)

    async def raw_page(self, response: Response) -> RawPage | None:
        """Return a page whose rows are still JSON text; None if its frame is not that of a page.

        Raises UpstreamMalformed if it is not JSON.
        """
        await self._yield_to_others(len(response.body))
        return _raw_page(response)

    def small_page(self, response: Response, row_type: RowType) -> Any:
        """Return a whole list of few bytes with rows as its answer needs them; None if it is read in another way."""
        body = response.body
        if len(body) > SMALL:
            return None
        page = decode_small_page(row_type, body)
        if page is None or page.next is not None:
            return None
        self._undisturbed += len(body)
        page.value = DecodedRows(row_type, page.value, body)
        return page

    async def text_page(self, response: Response, row_type: RowType) -> Any:
        """Return a page with rows as an answer needs them; None if it is read in another way."""
        body = response.body
        await self._yield_to_others(len(body))
        return decode_small_page(row_type, body) if len(body) <= LARGE else None

    def row(self, response: Response, row_type: RowType) -> Any:
        """Return the one row of an answer, None for JSON null. Raises UpstreamMalformed."""
        row = self._decode(
            response,
            row_type.single.decode,
            row_type,
            lambda raw: row_of(response, raw, row_type),
        )
        # Any JSON object decodes into a row without required values; check that this one is a row.
        if row is not None and all(getattr(row, a) is None for a in row_type.attributes.values()):
            row_of(response, decode_untyped(response), row_type)
        if row is not None and row_type.redact is not None:
            row_type.redact([row])
        return row

    def _slice(self, response: Response, rows: RawRows) -> list[Any]:
        try:
            if rows.row_type.typed:
                return list(rows)
        except msgspec.ValidationError:
            pass
        except _NOT_JSON as error:
            raise _not_json(response) from error
        self.has_mismatch = True
        try:
            return list(rows.lenient())
        except _NOT_JSON as error:
            raise _not_json(response) from error

    def _decode(
        self,
        response: Response,
        decode: Callable[[bytes], Any],
        row_type: RowType,
        build: Callable[[object], Any],
    ) -> Any:
        """Return what ``decode`` makes of an answer, else what ``build`` makes of its untyped JSON."""
        if row_type.typed:
            try:
                return decode(response.body)
            except msgspec.ValidationError:
                pass
            except _NOT_JSON as error:
                raise _not_json(response) from error
        self.has_mismatch = True
        return build(decode_untyped(response))

    async def _yield_to_others(self, size: int) -> None:
        """Let other tasks run before ``size`` more bytes are decoded, if many were since their last turn."""
        self._undisturbed += size
        if self._undisturbed > LARGE:
            self._undisturbed = 0
            await asyncio.sleep(0)


def decode_untyped(response: Response) -> object:
    """Return an answer's JSON as plain Python values. Raises UpstreamMalformed."""
    try:
        return untyped_json(response.body)
    except _NOT_JSON as error:
        raise _not_json(response) from error


def _raw_page(response: Response) -> RawPage | None:
    try:
        return raw_page(response.body)
    except msgspec.ValidationError:
        return None
    except _NOT_JSON as error:
        raise _not_json(response) from error


def _not_json(response: Response) -> Exception:
    return malformed_answer(response, "it is not JSON, or was cut off")
