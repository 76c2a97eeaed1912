"""Checks that a list is what its request says: each row once, and no more rows than ``$top``.

A service or proxy that answers otherwise is noticed, because every page after such an answer would be wrong in silence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gateway.errors import UpstreamMalformed
from gateway.odata.query import Request
from gateway.operations.completion_compiler import FastPathMiss
from gateway.operations.row_types import RowType
from gateway.planning.page_window import Window

from .page_cutter import column_of

_TOP = re.compile(r"[?&](?:\$|%24)top=(\d{1,9})(?:&|$)")


class Doubled(FastPathMiss):
    """A key that stands twice in one list."""


def check_size(request: Request, rows: int) -> None:
    """Raise UpstreamMalformed where an answer holds more rows than its request's ``$top``."""
    found = _TOP.search(request.url)
    if found is not None and rows > int(found[1]):
        raise too_many(rows, int(found[1]))


def check_expanded(rows: Sequence[Any], window: Window) -> None:
    """Raise UpstreamMalformed where ``$expand`` brought more rows than the window's ``$top``."""
    top = 0 if window.count_only else window.size + window.one_more
    if len(rows) > top:
        raise too_many(len(rows), top)


def too_many(rows: int, top: int) -> UpstreamMalformed:
    return UpstreamMalformed(f"The upstream sent {rows:,} rows where {top:,} were asked for.")


# Rows that come twice


class Distinct:
    """Finds a key that stands twice in one list, whose rows may come slice by slice."""

    def __init__(self, row_type: RowType) -> None:
        known = row_type.attributes
        names = [known.get((k.declared_by, k.source)) for k in row_type.level.info.key]
        self._columns = [column_of(name) for name in names if name is not None]
        if len(self._columns) != len(names):
            self._columns = []  # a key that was not read is not compared
        self._values: list[list[Any]] = [[] for _ in self._columns]

    def add(self, rows: Sequence[Any]) -> None:
        """Take the keys of more rows."""
        for values, column in zip(self._values, self._columns, strict=True):
            values.extend(column(rows))

    def check(self) -> None:
        """Raise Doubled where two of the rows have one key. In most lists its last part tells that none have."""
        if not self._values or len(set(self._values[-1])) == len(self._values[-1]):
            return
        if len(set(zip(*self._values, strict=True))) != len(self._values[-1]):
            raise Doubled


def check_distinct(rows: Sequence[Any], row_type: RowType) -> None:
    """Raise UpstreamMalformed where the rows of a list hold a key twice."""
    distinct = Distinct(row_type)
    try:
        distinct.add(rows)
        distinct.check()
    except Doubled as error:
        raise UpstreamMalformed("The upstream sent a row twice in one list.") from error
    except (AttributeError, TypeError):
        return  # a row that is none, or a key that is no plain value: completing says so in its place
