"""The table of a hostile run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.tally import Counts, Tally, leaks_in, own_peak, peak_of


def test_the_table_has_a_row_for_each_kind_and_one_for_all() -> None:
    tally = Tally()
    tally.of("raw HTTP").look_at(b"{}")
    tally.of("raw HTTP").look_at(b"Traceback (most recent call last)")
    faults = tally.of("faults")
    faults.inputs, faults.wrong_reads, faults.told_is_not_stored = 1_000, 2, 3
    faults.measure(500_000_000)
    faults.measure(400_000_000)

    heads, *rows = (line.split("  ") for line in tally.lines())
    items = [[cell.strip() for cell in row if cell.strip()] for row in rows]

    assert [h.strip() for h in heads if h.strip()] == [
        "inputs",
        "wrong reads",
        "told ≠ stored",
        "5xx",
        "leaks",
        "hangs",
        "peak MB",
    ]
    assert items == [
        ["raw HTTP", "2", "0", "0", "0", "1", "0", "?"],
        ["faults", "1,000", "2", "3", "0", "0", "0", "500"],
        ["all", "1,002", "2", "3", "0", "1", "0", "500"],
    ]
    assert tally.total().findings == 6
    assert (list(Tally().lines()), Counts().findings) == ([], 0)


@pytest.mark.parametrize("answer", [b'File "/app/x.py", line 3', b"Authorization: Bearer eyJ0"])
def test_places_in_the_code_and_credentials_are_leaks(answer: bytes) -> None:
    assert leaks_in(answer)
    assert not leaks_in(b'{"data":{"a":"Bearer of a name"}}')


def test_memory_is_measured() -> None:
    assert own_peak() > 10_000_000
    peak = peak_of(os.getpid())
    assert peak > 10_000_000 or not Path("/proc/self/status").exists()
