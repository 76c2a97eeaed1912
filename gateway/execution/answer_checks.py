"""Checks that a list is what its request asked for: each row once, and no more rows than ``$top``.

A service or proxy that answers otherwise must be noticed: every page after such an answer would be wrong in silence.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from gateway.errors import UpstreamMalformed
from gateway.odata.query import Request
from gateway.operations.completion_compiler import FastPathMiss
from gateway.operations.row_types import RowType
from gateway.planning.page_window import Window

from .page_cutter import Column, column_of

_TOP = re.compile(r"[?&](?:\$|%24)top=(\d{1,9})(?:&|$)")


class DuplicateKey(FastPathMiss):
    """A key occurs twice in one list."""


def check_size(request: Request, rows: int) -> None:
    """Raise UpstreamMalformed if an answer holds more rows than its request's ``$top``."""
    top = most_rows(request)
    if top is not None and rows > top:
        raise _too_many(rows, top)


def most_rows(request: Request) -> int | None:
    """Return the most rows that an answer may hold; None if its request does not say."""
    return _top_of(request.url)


@lru_cache(maxsize=512)
def _top_of(url: str) -> int | None:
    top = _TOP.search(url)
    return None if top is None else int(top[1])


def check_expanded(rows: Sequence[Any], window: Window) -> None:
    """Raise UpstreamMalformed if ``$expand`` brought more rows than the window's ``$top``."""
    top = 0 if window.count_only else window.size + window.one_more
    if len(rows) > top:
        raise _too_many(len(rows), top)


def _too_many(rows: int, top: int) -> UpstreamMalformed:
    return UpstreamMalformed(
        f"The upstream sent {rows:,} rows, but at most {top:,} were requested."
    )


class DistinctKeys:
    """Finds a key that occurs twice in one list, whose rows may come slice by slice."""

    def __init__(self, row_type: RowType) -> None:
        self._columns = columns_of_key(row_type)
        self._values: list[list[Any]] = [[] for _ in self._columns]

    def add(self, rows: Sequence[Any]) -> None:
        """Add the keys of more rows."""
        for values, column in zip(self._values, self._columns, strict=True):
            values.extend(column(rows))

    def check(self) -> None:
        """Raise DuplicateKey if two of the rows have the same key."""
        # In most lists the last part of the key alone is distinct.
        if not self._values or len(set(self._values[-1])) == len(self._values[-1]):
            return
        if len(set(zip(*self._values, strict=True))) != len(self._values[-1]):
            raise DuplicateKey


class SeenKeys:
    """Finds a key that occurs twice in a list whose rows are not kept: it holds eight bytes of each."""

    def __init__(self, row_type: RowType) -> None:
        self._columns = columns_of_key(row_type)
        self._hashes = array("q")

    def add(self, rows: Sequence[Any]) -> None:
        """Add the keys of more rows."""
        if self._columns:
            keys = zip(*[column(rows) for column in self._columns], strict=True)
            # Of text: -1 and -2 have the same hash as numbers.
            self._hashes.extend(map(hash, map(repr, keys)))

    def check(self) -> None:
        """Raise UpstreamMalformed if two of the rows have the same key."""
        if len(set(self._hashes)) < len(self._hashes):
            raise UpstreamMalformed(_TWICE)


_TWICE = "The upstream sent a row twice in one list."


def have_distinct_keys(rows: Sequence[Any], row_type: RowType) -> bool:
    """Return whether no key occurs twice among the rows of a whole list."""
    columns = columns_of_key(row_type)
    if not columns or len(set(columns[-1](rows))) == len(rows):
        return True
    return len(set(zip(*(column(rows) for column in columns), strict=True))) == len(rows)


def columns_of_key(row_type: RowType) -> list[Column]:
    """Return what reads the parts of the key; nothing of a key that was not selected in full."""
    columns = row_type.key_columns
    if columns is None:
        columns = row_type.key_columns = _key_columns(row_type)
    return cast("list[Column]", columns)


def _key_columns(row_type: RowType) -> list[Column]:
    """Return what reads the parts of the key; a key that was not selected in full is not compared."""
    attributes = row_type.attributes
    names = [attributes.get((k.declared_by, k.source)) for k in row_type.level.info.key]
    return [] if None in names else [column_of(name) for name in names if name is not None]


def check_distinct(rows: Sequence[Any], row_type: RowType) -> None:
    """Raise UpstreamMalformed if two rows of a list have the same key."""
    distinct = DistinctKeys(row_type)
    try:
        distinct.add(rows)
        distinct.check()
    except DuplicateKey as error:
        raise UpstreamMalformed(_TWICE) from error
    except (AttributeError, TypeError):
        # A value that is no row, or a key that is no plain value: completion reports it at its place.
        return
