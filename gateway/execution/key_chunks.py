"""Reads the rows of many keys: cuts the keys into requests, and gives each key the rows that came for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import inf
from typing import Any

from msgspec import Struct, structs

from gateway.errors import GatewayError, UpstreamMalformed
from gateway.odata.key_filters import Column, key_filter, key_requests, split_by_length
from gateway.odata.query import Query, Request
from gateway.operations.pages import Failure
from gateway.operations.row_types import RowType
from gateway.planning.filters import all_of
from gateway.planning.plan import Key
from schema.catalog.records import Field

from .addresses import chunk_limit
from .fetcher import Fetcher, Follows
from .key_matching import ManyIndex, OneIndex
from .page_reader import Rows

RowsByKey = dict[Any, Any]
"""Key → row, list of rows, page, None or Failure."""
_CHUNKS_A_TURN = 10
"""Answers of key batches after which other tasks have a turn: some 5 ms."""


class KeyChunk(Struct):
    """Keys that share one request."""

    read: Request | Query
    """A query if the product cannot be asked for its keys as they stand: it is lowered when it is read."""
    keys: Sequence[Key]


def split_keys(
    fetcher: Fetcher, query: Query, columns: Sequence[Column], keys: Sequence[Key], limit: int
) -> list[KeyChunk]:
    """Cut keys into requests whose addresses have at most ``limit`` characters."""
    dialect = fetcher.dialect
    lowered = dialect.lower(query)
    limit = chunk_limit(lowered.query, dialect, limit)
    if not lowered.empty and lowered.residual is None:
        # The quick way: the query is printed once, and only its keys differ from chunk to chunk.
        requests = key_requests(dialect, lowered.query, columns, keys, limit=limit)
        if requests is not None:
            return [KeyChunk(request, chunk) for request, chunk in requests]

    def build(chunk: Sequence[Key]) -> Query:
        return structs.replace(query, where=all_of(query.where, key_filter(columns, chunk)))

    def build_lowered(chunk: Sequence[Key]) -> Query:
        return dialect.lower(build(chunk)).query

    chunks = split_by_length(build_lowered, keys, limit=limit, options=dialect.options)
    return [KeyChunk(build(chunk), chunk) for chunk in chunks]


UNFINISHED = object()
"""In the place of rows: there are too many of them, and only their first ones were read."""


async def read_chunks(
    fetcher: Fetcher,
    chunks: Sequence[KeyChunk],
    row_type: RowType,
    fields: Sequence[Field],
    keys: Sequence[Key],
    *,
    many: bool,
    longest: float = inf,
) -> RowsByKey:
    """Return the rows of each key, a list of them if ``many``; a chunk that fails fails for its own keys only.

    ``fields`` are those of the rows that equal the parts of a key. The keys of a chunk whose first page has more than
    ``longest`` rows a key, and is not all, are UNFINISHED.
    """
    attributes = [row_type.attribute(f) for f in fields]
    kind = ManyIndex if many else OneIndex
    index = kind(types_of(fields), keys, case_insensitive=fetcher.dialect.case_insensitive)
    failed: RowsByKey = {}

    def follows(number: int, rows: int) -> bool:
        return rows / len(chunks[number].keys) <= longest

    answers = await _read(fetcher, chunks, row_type, follows)
    for number, (chunk, answer) in enumerate(zip(chunks, answers, strict=True), 1):
        if number % _CHUNKS_A_TURN == 0:
            await asyncio.sleep(0)
        try:
            if isinstance(answer, BaseException):
                raise answer
            if answer.more:
                failed.update(dict.fromkeys(chunk.keys, UNFINISHED))
            else:
                index.add(answer.rows, attributes)
        except GatewayError as error:
            failed.update(dict.fromkeys(chunk.keys, Failure(error)))
        except (AttributeError, TypeError, ValueError) as error:
            failed.update(dict.fromkeys(chunk.keys, Failure(_unreadable(error))))
    return {**index.all(), **failed} if failed else index.all()


async def _read(
    fetcher: Fetcher, chunks: Sequence[KeyChunk], row_type: RowType, follows: Follows
) -> list[Rows | BaseException]:
    requests = [chunk.read for chunk in chunks if isinstance(chunk.read, Request)]
    if len(requests) == len(chunks):
        return await fetcher.rows_of_each(requests, row_type, follows)
    queries = [chunk.read for chunk in chunks if isinstance(chunk.read, Query)]
    reads = (fetcher.rows(query, row_type) for query in queries)
    return await asyncio.gather(*reads, return_exceptions=True)


def columns_of(fields: Sequence[Field]) -> tuple[Column, ...]:
    """Return name, Edm type and whether it is an enum of each field."""
    return tuple((f.source, f.value.edm, f.value.is_enum) for f in fields if f.value is not None)


def types_of(fields: Sequence[Field]) -> list[str]:
    """Return the Edm type of each field."""
    return [f.value.edm for f in fields if f.value is not None]


def _unreadable(error: Exception) -> UpstreamMalformed:
    return UpstreamMalformed(
        "The upstream sent rows without the values by which they were requested.", detail=str(error)
    )
