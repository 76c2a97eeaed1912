"""Checks the chains of audit files: finds lines that were changed, moved or removed, missing files, and cut ends.

A cut end shows if a later file names the end that the chain had (``seen``), or if its digest was noted (``heads``).
A write that was announced and has no outcome is listed: its process ended in between, or is still running.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct, field

from .chain import START, BrokenLine, Line, Link, read_line
from .sinks import PATTERN

_BEGIN = b'{"chain":'


class Problem(Struct, frozen=True):
    """Something that is not as it was written."""

    place: str
    """File and number of the line in it."""
    message: str


class ChainState(Struct, kw_only=True):
    """One chain, as far as it was read."""

    chain: str
    first: int
    last: Link
    since: str
    until: str
    lines: int = 0
    has_end: bool = False
    open_writes: set[int] = field(default_factory=set)
    """Numbers of writes without an outcome."""
    lost: int = 0
    """Entries that could not be written."""


class Report(Struct, kw_only=True):
    """What was found."""

    files: int = 0
    chains: dict[str, ChainState] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class _Facts(Struct):
    """What lines of the chain itself say; of others all is missing."""

    at: str = ""
    seen: dict[str, Link] = {}
    write: int | None = None
    lost: int = 0
    chain_of_file: str = ""
    last: int = 0


def verify(paths: Sequence[Path], heads: Collection[str] = ()) -> Report:
    """Check files, which may be whole folders of them or what others collected. Raises OSError."""
    return _Verifier(heads).run(paths)


class _Verifier:
    def __init__(self, heads: Collection[str]) -> None:
        self._report = Report()
        self._missing_heads = set(heads)
        self._removed: dict[str, int] = {}
        """Chain → number of its last line that was removed in order."""
        self._seen: dict[str, dict[int, tuple[str, str]]] = {}
        """Chain → number → digest, and the place that says so."""

    def run(self, paths: Sequence[Path]) -> Report:
        firsts = {path: _first_line(path) for path in paths}
        for path, first in firsts.items():
            self._note_seen(path, first)
        for path in sorted(paths, key=lambda path: _order(path, firsts[path])):
            self._report.files += 1
            self._read(path)
        self._check_beginnings()
        self._check_ends()
        for head in sorted(self._missing_heads):
            self._problem("--head", f"no line has the digest {head}")
        return self._report

    def _problem(self, place: str, message: str) -> None:
        self._report.problems.append(Problem(place, message))

    def _note_seen(self, path: Path, first: Line | None) -> None:
        if first is None:
            return
        with contextlib.suppress(BrokenLine):  # which is a problem when the file is read
            for chain, link in _facts_of(first).seen.items():
                self._seen.setdefault(chain, {})[link.number] = (link.digest, f"{path}:1")

    def _read(self, path: Path) -> None:
        raw = b""
        number = 0
        broken = False
        for number, raw in enumerate(_lines(path), start=1):
            place = f"{path}:{number}"
            try:
                line = read_line(raw.rstrip(b"\n"))
                facts = _facts_of(line)
            except BrokenLine as error:
                self._problem(place, f"the line {error}")
                broken = True
                continue
            self._take(line, facts, place, after_broken=broken)
            broken = False
        if raw and not raw.endswith(b"\n") and not broken:
            self._problem(f"{path}:{number}", "the end of the line was cut off")
        if not raw:
            self._problem(str(path), "the file is empty")

    def _take(self, line: Line, facts: _Facts, place: str, *, after_broken: bool) -> None:
        state = self._report.chains.get(line.chain)
        if state is None:
            state = self._begin(line, facts, place)
        elif not after_broken:
            self._check_link(line, state.last, place)
        state.last = line.link
        state.until = facts.at
        state.lines += 1
        state.has_end = line.kind == "end"
        seen = self._seen.get(line.chain, {}).get(line.n)
        if seen is not None and seen[0] != line.digest:
            self._problem(place, f"the line was replaced: {seen[1]} knows another digest")
        self._missing_heads.discard(line.digest)
        self._take_facts(line.kind, facts, state)

    def _begin(self, line: Line, facts: _Facts, place: str) -> ChainState:
        if line.n == 1 and (line.prev != START or line.kind != "start"):
            self._problem(place, "the chain does not begin as it should")
        state = ChainState(
            chain=line.chain, first=line.n, last=line.link, since=facts.at, until=facts.at
        )
        self._report.chains[line.chain] = state
        return state

    def _check_link(self, line: Line, last: Link, place: str) -> None:
        missing = line.n - last.number - 1
        if missing > 0:
            numbers = f"{last.number + 1:,}" + (f" to {line.n - 1:,}" if missing > 1 else "")
            what = "a file is" if line.kind == "start" else "lines are"
            self._problem(
                place, f"{what} missing before it: numbers {numbers} of chain {line.chain}"
            )
        elif missing < 0:
            self._problem(
                place, f"the line comes after number {last.number:,}, but is number {line.n:,}"
            )
        elif line.prev != last.digest:
            self._problem(place, "the line before it was replaced: its digest is another")

    def _take_facts(self, kind: str, facts: _Facts, state: ChainState) -> None:
        if kind == "intent" and facts.write is not None:
            state.open_writes.add(facts.write)
        elif kind == "write" and facts.write is not None:
            state.open_writes.discard(facts.write)
        elif kind == "gap":
            state.lost += facts.lost
        elif kind == "removed":
            chain = facts.chain_of_file
            self._removed[chain] = max(facts.last, self._removed.get(chain, 0))

    def _check_beginnings(self) -> None:
        for state in self._report.chains.values():
            if state.first > 1 and self._removed.get(state.chain, 0) < state.first - 1:
                self._problem(
                    f"chain {state.chain}",
                    f"its beginning is missing: numbers 1 to {state.first - 1:,}",
                )

    def _check_ends(self) -> None:
        for chain, seen in self._seen.items():
            number = max(seen)
            state = self._report.chains.get(chain)
            last = self._removed.get(chain, 0) if state is None else state.last.number
            if last >= number:
                continue
            message = (
                f"it is missing: {seen[number][1]} knows it up to number {number:,}"
                if state is None
                else f"its end was cut off after number {last:,}: {seen[number][1]} knows number {number:,}"
            )
            self._problem(f"chain {chain}", message)


def _facts_of(line: Line) -> _Facts:
    """Return what a line says. Raises BrokenLine if no audit log says it so."""
    try:
        return msgspec.convert(line.facts, _Facts)
    except msgspec.ValidationError as error:
        raise BrokenLine("is no line of an audit log") from error


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file; of one that is not ours, without what a log collector wrote before them."""
    is_own = path.match(PATTERN)
    with path.open("rb") as file:
        for raw in file:
            yield raw if is_own else raw[max(0, raw.find(_BEGIN)) :]


def _first_line(path: Path) -> Line | None:
    raw = next(iter(_lines(path)), b"")
    try:
        return read_line(raw.rstrip(b"\n"))
    except BrokenLine:
        return None


def _order(path: Path, first: Line | None) -> tuple[str, int, str]:
    """Return the place of a file: those of one chain after each other, whatever their names are."""
    return ("", 0, str(path)) if first is None else (first.chain, first.n, str(path))
