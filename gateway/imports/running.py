"""Runs an import: a body in pieces becomes rows, some hundred of which are written at a time.

Rows are read while none are written, so that no more of them are in memory than one mutation writes: who sends them is
slowed down by the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.errors import BadArgument
from gateway.request import Answer

from .request import Import
from .results import Counts, RowResult
from .rows import CsvReader, SourceRow
from .writing import ImportStopped, ImportWriter

TOO_MANY_ERRORS = "TOO_MANY_ERRORS"


_PART = 8_192
"""Bytes of a body whose rows are read in one turn of the event loop."""


class ImportRun(Struct):
    """One import under way."""

    plan: Import
    writer: ImportWriter
    counts: Counts

    async def results(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[list[RowResult], None]:
        """Yield the results of rows, in the order of the rows. Raises ImportStopped if it ends early."""
        async for rows in self.chunks(pieces):
            try:
                results = await self.writer.write(rows)
            except ImportStopped as stopped:
                self.counts.add(stopped.results)
                raise
            self.counts.add(results)
            yield results
            self.require_few_errors()

    async def chunks(
        self, pieces: AsyncIterator[bytes]
    ) -> AsyncGenerator[Sequence[SourceRow], None]:
        """Yield the rows of each mutation. Raises ImportStopped if the file cannot be read."""
        reader = self.plan.reader()
        rows: list[SourceRow] = []
        weight, is_checked = 0, False
        try:
            async for piece in _with_end(pieces):
                for row in reader.end() if piece is None else reader.feed(piece):
                    if not is_checked and isinstance(reader, CsvReader):
                        self._check_header(reader.names or ())
                    is_checked = True
                    own = _weight(row.values)
                    if rows and weight + own > self.plan.chunk:
                        await asyncio.sleep(0)
                        yield rows
                        rows, weight = [], 0
                    rows.append(row)
                    weight += own
                # Much may come of a few compressed bytes: others have their turn.
                await asyncio.sleep(0)
            if not is_checked and isinstance(reader, CsvReader):
                self._check_header(reader.names or ())
        except BadArgument as error:
            if rows:
                yield rows
            raise ImportStopped(_answer(error.code, error.message, error.hint)) from error
        if rows:
            yield rows

    def _check_header(self, names: Sequence[str]) -> None:
        """Raise BadArgument for a column that no row can have, or that is there by both of its names."""
        paths: set[tuple[str, ...]] = set()
        for name in names:
            path = self.plan.fields.column(name)
            if path in paths:
                raise BadArgument(f"{name} is there twice, by both of its names.")
            paths.add(path)

    def require_few_errors(self) -> None:
        """Raise ImportStopped if more rows were refused than may be."""
        most = self.plan.request.max_errors
        if most is not None and self.counts.refused > most:
            raise ImportStopped(
                _answer(
                    TOO_MANY_ERRORS,
                    f"The import has ended: {self.counts.refused:,} rows were refused.",
                    "Correct them, and import the rest. Parameter: maxErrors.",
                )
            )


async def _with_end(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes | None]:
    """Yield the pieces in parts whose rows take a few milliseconds, however short they are; None at the end."""
    async for piece in pieces:
        for start in range(0, len(piece), _PART):
            if start:
                await asyncio.sleep(0)
            yield piece[start : start + _PART]
    yield None


def _weight(values: Mapping[str, Any]) -> int:
    """Return how many rows a row is, with those below it: ``{lines: {create: […]}}``, or ``{lines: […]}``."""
    weight = 1
    for value in values.values():
        lists = value.values() if isinstance(value, dict) else (value,)
        weight += sum(
            len(rows) for rows in lists if isinstance(rows, list) and rows and type(rows[0]) is dict
        )
    return weight


def _answer(code: str, message: str, hint: str | None) -> Answer:
    extensions = {"code": code} | ({} if hint is None else {"hint": hint})
    return Answer(errors=[{"message": message, "extensions": extensions}])
