"""Entries → lines in a sink, in the order of one chain. It blocks, and is used by one thread.

A file begins with a line that names the ends of the other chains in the folder: one that is cut off or removed later is
missed. Files beyond the configured number are removed, the oldest first, and the chain says so.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field

from .chain import BrokenLine, Line, Link, chained, read_line
from .entries import encode_entry, now_text
from .sinks import FileSink, Sink

_MAX_SEEN = 50
"""Files whose ends a new file names."""
_TAIL = 65_536
"""Bytes at the end of a file in which its last line is."""


class StartLine(Struct, frozen=True, kw_only=True, tag_field="kind", tag="start"):
    """The first line of a file, and of a chain without files."""

    at: str = field(default_factory=now_text)
    file: int = 0
    """Number of the file in its chain."""
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    version: str
    seen: Mapping[str, Link] = {}
    """Ends of other chains in the folder."""


class RemovedLine(Struct, frozen=True, kw_only=True, tag_field="kind", tag="removed"):
    """A file that is removed because there are too many."""

    at: str = field(default_factory=now_text)
    file: str
    chain_of_file: str
    last: int
    """Number of its last line."""


class GapLine(Struct, frozen=True, kw_only=True, tag_field="kind", tag="gap"):
    """Entries that could not be written."""

    at: str = field(default_factory=now_text)
    lost: int


class EndLine(Struct, frozen=True, kw_only=True, tag_field="kind", tag="end"):
    """The last line of a chain whose process ended in order."""

    at: str = field(default_factory=now_text)
    reason: Literal["stopped"] = "stopped"


class ChainWriter:
    """Writes one chain."""

    def __init__(self, sink: Sink, chain: str, version: str, max_files: int) -> None:
        self._sink = sink
        self.link = Link()
        self.lost = 0
        """Entries that could not be written since the last line."""
        self._chain = chain
        self._version = version
        self._max_files = max_files

    def begin(self) -> None:
        """Write the first line of the chain. Raises OSError."""
        self._begin_file(0)
        self._sink.sync()

    def write(self, entry: bytes) -> None:
        """Write an entry. Raises OSError: nothing of it is written then."""
        self._begin_file(len(entry))
        if self.lost:
            self._append(encode_entry(GapLine(lost=self.lost)))
            self.lost = 0
        self._append(entry)

    def sync(self) -> None:
        """Make the lines outlast a power failure. Raises OSError."""
        self._sink.sync()

    def end(self) -> None:
        """Write the last line of a chain that has begun, and close the sink. Raises OSError."""
        try:
            if self.link.number:
                self.write(encode_entry(EndLine()))
                self._sink.sync()
        finally:
            self._sink.close()

    def _append(self, entry: bytes) -> None:
        line, link = chained(self._chain, self.link, entry)
        self._sink.write(line)
        self.link = link

    def _begin_file(self, size: int) -> None:
        if not self._sink.begins_file(size + len(self._chain) + _FRAME):
            return
        number, seen, surplus = 0, {}, []
        if isinstance(self._sink, FileSink):
            number = self._sink.number
            others = list(self._sink.others())
            count = max(0, len(others) + 1 - self._max_files)
            # A file that another process may still be writing stays, whatever the limit is.
            surplus = [path for path in others if self._sink.is_complete(path)][:count]
            rest = [path for path in others if path not in surplus]
            seen = dict(_ends(rest[-_MAX_SEEN:], self._chain))
        start = StartLine(file=number, version=self._version, seen=seen)
        self._append(encode_entry(start))
        for path in surplus:
            self._remove(path)

    def _remove(self, path: Path) -> None:
        """Record that a file is removed, and what it said of files that were removed before; then remove it."""
        with contextlib.suppress(OSError):
            for entry in _removals(path):
                self._append(encode_entry(entry))
            path.unlink()


_FRAME = 200
"""Bytes of a line around its entry, at most."""


def _ends(paths: Sequence[Path], own: str) -> Iterator[tuple[str, Link]]:
    """Yield the ends of the chains in these files, of which later ones replace earlier ones."""
    for path in paths:
        line = last_line(path)
        if line is not None and line.chain != own:
            yield line.chain, line.link


def last_line(path: Path) -> Line | None:
    """Return the last line of a file; None if there is none, or another process is writing it."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            raw = file.read().rstrip(b"\n").rpartition(b"\n")[2]
        return read_line(raw)
    except (OSError, BrokenLine):
        return None


def _removals(path: Path) -> Iterator[RemovedLine]:
    last = last_line(path)
    if last is not None:
        yield RemovedLine(file=path.name, chain_of_file=last.chain, last=last.n)
    with path.open("rb") as file:
        for raw in file:
            if b'"kind":"removed"' in raw:
                with contextlib.suppress(BrokenLine):
                    facts: Mapping[str, Any] = read_line(raw.rstrip(b"\n")).facts
                    yield RemovedLine(
                        at=facts["at"],
                        file=facts["file"],
                        chain_of_file=facts["chain_of_file"],
                        last=facts["last"],
                    )
