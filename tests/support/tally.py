"""Counters of a hostile run, printed as one table at its end (``tests/hostile/conftest.py``).

A finding is counted before its test fails, so that the table is right for failed runs too.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

LEAKS = (b"Traceback (most recent", b"site-packages", b'File "/', b"Bearer ey", b"client_secret=")
"""What no answer may contain: places in the code, and credentials."""


@dataclass
class Counts:
    """Inputs and findings of one kind of attack."""

    inputs: int = 0
    wrong_reads: int = 0
    told_is_not_stored: int = 0
    server_errors: int = 0
    """Answers of 500 and more but a coded 503, and internal errors."""
    leaks: int = 0
    hangs: int = 0
    peak: int = 0
    """Most bytes in memory of the process that runs the gateway."""

    def measure(self, peak: int) -> None:
        """Record the memory in use, in bytes, if it is a new maximum."""
        self.peak = max(self.peak, peak)

    def look_at(self, answer: bytes) -> None:
        """Count an input, and whether its answer leaks."""
        self.inputs += 1
        self.leaks += leaks_in(answer)

    @property
    def findings(self) -> int:
        """Return the number of findings."""
        return (
            self.wrong_reads
            + self.told_is_not_stored
            + self.server_errors
            + self.leaks
            + self.hangs
        )


@dataclass
class Tally:
    """Counts by kind of attack."""

    kinds: dict[str, Counts] = field(default_factory=dict)

    def of(self, kind: str) -> Counts:
        """Return the counts of a kind, zero at first."""
        return self.kinds.setdefault(kind, Counts())

    def total(self) -> Counts:
        """Return the sums, and the highest peak."""
        names = [f.name for f in fields(Counts) if f.name != "peak"]
        sums = {name: sum(getattr(c, name) for c in self.kinds.values()) for name in names}
        return Counts(**sums, peak=max((c.peak for c in self.kinds.values()), default=0))

    def lines(self) -> Iterator[str]:
        """Yield the lines of the table; none if nothing was tried."""
        if not self.kinds:
            return
        heads = ("", "inputs", "wrong reads", "told ≠ stored", "5xx", "leaks", "hangs", "peak MB")
        rows: Mapping[str, Counts] = {**self.kinds, "all": self.total()}
        first = max(map(len, rows))
        widths = [max(9, len(head)) for head in heads[1:]]
        yield _line(heads, first, widths)
        for name, c in rows.items():
            figures = (c.inputs, c.wrong_reads, c.told_is_not_stored, c.server_errors, c.leaks)
            texts = [f"{n:,}" for n in (*figures, c.hangs)]
            yield _line((name, *texts, f"{c.peak / 1e6:,.0f}" if c.peak else "?"), first, widths)


def _line(cells: tuple[str, ...], first: int, widths: list[int]) -> str:
    numbers = (f"{cell:>{width}}" for cell, width in zip(cells[1:], widths, strict=True))
    return "  ".join((f"{cells[0]:<{first}}", *numbers))


TALLY = Tally()
"""Of this process."""


def leaks_in(answer: bytes) -> bool:
    """Return whether an answer contains one of ``LEAKS``."""
    return any(leak in answer for leak in LEAKS)


def peak_of(pid: int) -> int:
    """Return the peak memory of a process in bytes; 0 if the machine does not report it."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1_024


def own_peak() -> int:
    """Return the peak memory of this process in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1_024
