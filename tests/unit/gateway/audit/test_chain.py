"""The chain: whatever is changed, removed or moved is found, and where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.chain import START, BrokenLine, Link, chained, read_line
from gateway.audit.entries import encode_entry
from gateway.audit.sinks import FileSink
from gateway.audit.verify import Report, verify
from gateway.audit.writer import ChainWriter, RemovedLine


def entry(number: int) -> bytes:
    return b'{"kind":"admin","at":"2026-11-30T08:00:00Z","act":"%d"}' % number


def write(folder: Path, chain: str = "c", lines: int = 8, **options: int) -> list[Path]:
    """Write a chain and return its files. It has ``lines`` entries, and those that begin files and end it."""
    sink = FileSink(folder, chain, options.get("max_bytes", 1_000_000))
    writer = ChainWriter(sink, chain, "1.0", options.get("files", 100))
    for number in range(lines):
        writer.write(entry(number))
    writer.end()
    return sorted(folder.iterdir())


def messages(report: Report) -> list[str]:
    return [f"{p.place.rpartition('/')[2]} {p.message}" for p in report.problems]


def test_a_line_is_what_it_says() -> None:
    raw, link = chained("c", Link(), b'{"kind":"start"}')
    line = read_line(raw.rstrip(b"\n"))

    assert (line.chain, line.n, line.prev, line.kind, line.link) == ("c", 1, START, "start", link)


@pytest.mark.parametrize("raw", [b"", b"{}", b"x", b'{"chain":"c"}', b'{"chain":"c","n":1'])
def test_other_texts_are_no_lines(raw: bytes) -> None:
    with pytest.raises(BrokenLine):
        read_line(raw)


def test_a_whole_chain_has_no_problems(tmp_path: Path) -> None:
    report = verify(write(tmp_path, lines=30, max_bytes=1_000))

    assert report.problems == []
    (state,) = report.chains.values()
    assert report.files > 3
    assert (state.first, state.has_end) == (1, True)
    assert (
        state.lines == 31 + report.files
    )  # the entries, the first line of each file, the last line


ORIGINAL: list[bytes] = []
"""The lines of one file with ten lines."""


@pytest.fixture(scope="module", autouse=True)
def _original(tmp_path_factory: pytest.TempPathFactory) -> None:
    (path,) = write(tmp_path_factory.mktemp("original"))
    ORIGINAL[:] = path.read_bytes().splitlines(keepends=True)


def problems_of(folder: Path, content: bytes) -> list[str]:
    path = folder / "audit-1-c-0001.jsonl"
    path.write_bytes(content)
    return messages(verify([path]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("changed")


@given(at=st.integers(min_value=0), change=st.integers(1, 255))
def test_any_changed_byte_is_found(folder: Path, at: int, change: int) -> None:
    content = bytearray(b"".join(ORIGINAL))
    at %= len(content)
    content[at] ^= change
    number = content[:at].count(b"\n") + 1

    first = problems_of(folder, bytes(content))[0]

    # A line break in the middle of a line is the end of another line.
    assert int(first.partition(":")[2].split()[0]) in {number, number - 1}


@given(st.integers(0, 8))
def test_any_removed_line_is_found(folder: Path, at: int) -> None:
    assert problems_of(folder, b"".join(ORIGINAL[:at] + ORIGINAL[at + 1 :]))


@given(st.integers(0, 9), st.integers(0, 9))
def test_any_two_lines_that_change_places_are_found(folder: Path, one: int, other: int) -> None:
    lines = list(ORIGINAL)
    lines[one], lines[other] = lines[other], lines[one]

    assert bool(problems_of(folder, b"".join(lines))) is (one != other)


@given(st.integers(0, 9), st.integers(0, 9))
def test_any_repeated_line_is_found(folder: Path, line: int, at: int) -> None:
    lines = list(ORIGINAL)
    lines.insert(at + 1, ORIGINAL[line])

    assert problems_of(folder, b"".join(lines))


@given(st.integers(1, 9))
def test_a_line_that_is_written_anew_is_found(folder: Path, at: int) -> None:
    """Somebody who knows the format replaces a line and gives it the right digest."""
    before = read_line(ORIGINAL[at - 1].rstrip(b"\n")).link
    forged, _ = chained("c", before, b'{"kind":"admin","act":"forged"}')
    lines = [*ORIGINAL[:at], forged, *ORIGINAL[at + 1 :]]
    is_last = at == 9

    assert bool(problems_of(folder, b"".join(lines))) is not is_last


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [*lines[:3], b"\n", *lines[3:]], ":4 the line is cut off, or no line"),
        (lambda lines: lines[:2] + lines[5:], ":3 lines are missing before it: numbers 3 to 5"),
        (lambda lines: lines[:2] + lines[3:], ":3 lines are missing before it: numbers 3 of"),
        (lambda lines: [*lines[:4], lines[3], *lines[4:]], ":5 the line comes after number 4,"),
        (lambda lines: lines[3:], "chain c its beginning is missing: numbers 1 to 3"),
        (lambda lines: [*lines[:-1], lines[-1][:-1]], ":10 the end of the line was cut off"),
        (lambda lines: [*lines[:-1], lines[-1][:-9]], ":10 the line is cut off"),
        (lambda lines: [*lines[:-1], b"x" + lines[-1]], ":10 the line was changed"),
        (lambda _: [], "the file is empty"),
    ],
)
def test_the_report_says_what_is_wrong(
    folder: Path, change: Callable[[list[bytes]], list[bytes]], message: str
) -> None:
    found = problems_of(folder, b"".join(change(list(ORIGINAL))))

    assert len(found) == 1
    assert message in found[0]


def test_a_missing_file_is_named_by_its_numbers(tmp_path: Path) -> None:
    paths = write(tmp_path, lines=30, max_bytes=1_000)
    paths[2].unlink()

    (message,) = messages(verify(sorted(tmp_path.iterdir())))

    assert message.startswith(f"{paths[3].name}:1 a file is missing before it: numbers ")


def test_a_missing_first_file_is_found(tmp_path: Path) -> None:
    paths = write(tmp_path, lines=30, max_bytes=1_000)

    (message,) = messages(verify(paths[1:]))

    assert "its beginning is missing" in message


def test_a_cut_end_is_found_by_a_later_chain(tmp_path: Path) -> None:
    (path,) = write(tmp_path, "a")
    write(tmp_path, "b")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3]))

    (message,) = messages(verify(sorted(tmp_path.iterdir())))

    assert message.startswith("chain a its end was cut off after number 7: ")
    assert message.endswith(":1 knows number 10")


def test_a_missing_chain_is_found_by_a_later_one(tmp_path: Path) -> None:
    (path,) = write(tmp_path, "a")
    write(tmp_path, "b")
    path.unlink()

    (message,) = messages(verify(sorted(tmp_path.iterdir())))

    assert message.startswith("chain a it is missing: ")


def test_an_end_that_is_written_anew_is_found(tmp_path: Path) -> None:
    (path,) = write(tmp_path, "a")
    write(tmp_path, "b")
    lines = path.read_bytes().splitlines(keepends=True)
    forged, _ = chained("a", read_line(lines[-2].rstrip(b"\n")).link, b'{"kind":"end"}')
    path.write_bytes(b"".join([*lines[:-1], forged]))

    (message,) = messages(verify(sorted(tmp_path.iterdir())))

    assert ":10 the line was replaced: " in message


def test_a_noted_digest_finds_a_cut_end(tmp_path: Path) -> None:
    (path,) = write(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    head = read_line(lines[-1].rstrip(b"\n")).digest
    assert verify([path], [head]).problems == []
    path.write_bytes(b"".join(lines[:-1]))

    report = verify([path], [head])

    assert messages(report) == [f"--head no line has the digest {head}"]
    assert not report.chains["c"].has_end


def test_files_that_were_removed_in_order_are_not_missed(tmp_path: Path) -> None:
    for path in write(tmp_path, "a", lines=30, max_bytes=1_000):
        path.rename(tmp_path / f"audit-20200101{path.name[14:]}")
    paths = write(tmp_path, "b", lines=40, max_bytes=1_000, files=4)

    report = verify(paths)

    assert len(paths) == 4
    assert report.problems == []
    assert report.chains.keys() == {"b"}
    assert report.chains["b"].first > 1


def test_a_file_that_may_still_be_written_is_not_removed(tmp_path: Path) -> None:
    own = write(tmp_path, "a", lines=30, max_bytes=1_000)
    paths = write(tmp_path, "b", lines=40, max_bytes=1_000, files=4)

    assert verify(paths).problems == []
    assert set(own) < set(paths)
    assert len(paths) == len(own) + 1  # all of b's that are complete


def test_what_was_removed_before_is_known_after_its_record_is_removed(tmp_path: Path) -> None:
    """The record that a file of ``a`` was removed is in a file of ``b``, which is removed before the rest of ``a``."""
    first, second = write(tmp_path / "a", "a", lines=6, max_bytes=1_300)[:2]
    last = read_line(first.read_bytes().splitlines()[-1]).n
    sink = FileSink(tmp_path / "b", "b", 1_000_000)
    writer = ChainWriter(sink, "b", "1.0", 100)
    writer.write(encode_entry(RemovedLine(file=first.name, chain_of_file="a", last=last)))
    writer.end()
    (record,) = (tmp_path / "b").iterdir()
    folder = tmp_path / "all"
    folder.mkdir()
    record.rename(folder / f"audit-20200101{record.name[14:]}")
    second.rename(folder / f"audit-20200102{second.name[14:]}")

    write(folder, "c", files=2)

    names = {path.name.split("-")[2] for path in folder.iterdir()}
    assert names == {"a", "c"}
    assert verify(sorted(folder.iterdir())).problems == []


def test_collected_lines_of_several_chains_are_verified(tmp_path: Path) -> None:
    """As a log collector stores the lines of standard output or syslog."""
    own = {chain: write(tmp_path / chain, chain) for chain in "ab"}
    lines = [path.read_bytes().splitlines(keepends=True) for (path,) in own.values()]
    mixed = [b"Nov 30 host gateway: " + line for pair in zip(*lines, strict=True) for line in pair]
    collected = tmp_path / "syslog"
    collected.write_bytes(b"".join(mixed))
    assert verify([collected]).problems == []

    collected.write_bytes(b"".join([*mixed[:7], *mixed[8:]]))

    assert len(verify([collected]).problems) == 1


@pytest.mark.parametrize(
    "entry",
    [
        b'{"kind":"start","seen":{"c":1}}',
        b'{"kind":"start","seen":{"c":{"number":"x"}}}',
        b'{"kind":"gap","lost":"x"}',
        b'{"kind":"removed","chain_of_file":1}',
        b'{"kind":"intent","write":"1"}',
    ],
)
def test_lines_that_no_log_writes_are_problems(tmp_path: Path, entry: bytes) -> None:
    """Whoever can compute digests can write lines that hold anything."""
    start, link = chained("c", Link(), b'{"kind":"start"}')
    line, _ = chained("c", link, entry)
    path = tmp_path / "collected.txt"
    path.write_bytes(start + line)

    assert messages(verify([path])) == ["collected.txt:2 the line is no line of an audit log"]
