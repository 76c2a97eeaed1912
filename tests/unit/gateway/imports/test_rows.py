"""Rows of hostile and of careless files: each is read as it is, or refused alone, in time that grows with the file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from gateway.errors import BadArgument
from gateway.imports.fields import ImportFields
from gateway.imports.request import Import, ImportRequest
from gateway.imports.results import Counts
from gateway.imports.rows import CsvReader
from gateway.imports.running import ImportRun


def cells(text: bytes) -> list[list[str] | None]:
    reader = CsvReader(1 << 20)
    rows = [*reader.feed(text), *reader.end()]
    return [list(row.values.values()) if row.error is None else None for row in rows]


@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        (b'1,5" pipe\n2,x\n3,6" pipe\n', [["1", '5" pipe'], ["2", "x"], ["3", '6" pipe']]),
        (b'1,"a\nb"\n2,c\n', [["1", "a\nb"], ["2", "c"]]),
        (b'"1\n","a\n"\n"2\n3",""\n', [["1\n", "a\n"], ["2\n3", ""]]),
        (b'"a"" ",b\n"9,""\n"",,""",y\n', [['a" ', "b"], ['9,"\n",,"', "y"]]),
        (b'"a"b",c\n1,2\n', [None, ["1", "2"]]),
        (b"1," + b"x" * 200_000 + b"\n", [["1", "x" * 200_000]]),
    ],
    ids=["inches", "lines", "several", "doubled", "broken", "long"],
)
def test_quotes_open_only_where_a_cell_begins(lines: bytes, rows: list[list[str] | None]) -> None:
    assert cells(b"a,b\n" + lines) == rows


def test_a_cell_of_many_lines_takes_linear_time() -> None:
    begin = time.process_time()

    with pytest.raises(BadArgument):
        cells(b'a\n"' + b"\n" * 100_000)

    assert time.process_time() - begin < 3


@pytest.mark.anyio
@pytest.mark.parametrize("piece", [b"\n" * 10, b"\n" * 200_000], ids=["unpacked", "short lines"])
async def test_others_have_their_turn_while_much_is_read(piece: bytes) -> None:
    """However many rows come of a few compressed bytes, or of one piece."""
    plan = Import(
        set="x",
        request=ImportRequest(format="ndjson"),
        document="",
        fields=cast("ImportFields", None),
        row_name="",
        chunk=10,
        max_row=100,
    )
    turns = 0

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield piece

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    rows: list[Any] = [
        r async for r in ImportRun(plan, cast("Any", None), Counts()).chunks(pieces())
    ]
    other.cancel()

    assert (rows, turns >= 20 * max(1, len(piece) // 8_192)) == ([], True)
