"""The audit log of a process: files, full disks, what is lost and what is refused."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.audit import log as log_module
from gateway.audit import sinks
from gateway.audit.entries import Entry, Who
from gateway.audit.log import AuditLog
from gateway.audit.opening import open_audit_log
from gateway.audit.throttle import Throttle
from gateway.audit.verify import verify
from gateway.config.settings import Settings
from gateway.errors import AuditUnavailable, SettingsError
from gateway.events import AuditFailed, Event

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
WHO = Who(kind="os", subject="ann")


def settings_of(**audit: Any) -> Settings:
    return Settings.model_validate({"audit": audit})


def opened(events: list[Event] | None = None, **audit: Any) -> AuditLog:
    seen = [] if events is None else events
    log = open_audit_log(settings_of(**audit), seen.append)
    assert log is not None
    return log


def entry(act: str = "x") -> Entry:
    return Entry(kind="admin", who=WHO, act=act)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in files(folder) for line in path.read_bytes().splitlines()]


class Disk:
    """``os.write`` with a disk of some bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, handle: int, content: bytes | memoryview) -> int:
        piece = bytes(content)[: self.room]
        if not piece:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(piece)
        return self._write(handle, piece)


async def test_lines_are_written_in_order_and_private(tmp_path: Path) -> None:
    log = opened(sink="file", path=tmp_path / "audit")
    for number in range(5):
        log.record(entry(str(number)))
    await log.close()

    written = lines(tmp_path / "audit")
    assert [line["kind"] for line in written] == ["start", *["admin"] * 5, "end"]
    assert [line.get("act") for line in written[1:-1]] == ["0", "1", "2", "3", "4"]
    (path,) = files(tmp_path / "audit")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert verify([path]).problems == []


async def test_nothing_is_written_without_entries(tmp_path: Path) -> None:
    log = opened(sink="file", path=tmp_path / "audit")
    await log.close()

    assert files(tmp_path / "audit") == []


@pytest.mark.parametrize("extra", range(7))
async def test_a_file_ends_before_it_grows_too_large(tmp_path: Path, extra: int) -> None:
    """At each boundary the next line is in the old file or begins a new one, and never in both."""
    most = 10_000 + extra
    log = opened(sink="file", path=tmp_path, max_bytes=most)
    for number in range(80):
        log.record(entry("y" * (number % 7)))
    await log.close()

    sizes = [path.stat().st_size for path in files(tmp_path)]
    assert len(sizes) > 2
    assert all(most - 800 < size <= most for size in sizes[:-1])
    assert verify(files(tmp_path)).problems == []
    assert [line["n"] for line in lines(tmp_path)] == list(range(1, 82 + len(sizes)))


async def test_a_new_day_begins_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = "20261130"
    monkeypatch.setattr(sinks, "_day", lambda: day)
    log = opened(sink="file", path=tmp_path)
    await log.recorded([entry("one")])
    day = "20261201"
    await log.recorded([entry("two")])
    await log.close()

    assert [len(path.read_bytes().splitlines()) for path in files(tmp_path)] == [2, 3]
    assert verify(files(tmp_path)).problems == []


async def test_a_full_disk_leaves_a_gap_and_no_broken_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    log = opened(events, sink="file", path=tmp_path)
    disk = Disk(monkeypatch, 1_000)
    for number in range(20):
        log.record(entry(str(number)))
    await asyncio.to_thread(_until, lambda: bool(events))
    disk.room = 100_000
    log.record(entry("after"))
    await log.close()

    written = lines(tmp_path)
    (gap,) = [line for line in written if line["kind"] == "gap"]
    kept = [line["act"] for line in written if line["kind"] == "admin"]
    assert gap["lost"] + len(kept) == 21
    assert kept[-1] == "after"
    assert [type(event) for event in events] == [AuditFailed]
    report = verify(files(tmp_path))
    assert report.problems == []
    assert [state.lost for state in report.chains.values()] == [gap["lost"]]


async def test_a_disk_that_is_full_from_the_start_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = opened(sink="file", path=tmp_path)
    disk = Disk(monkeypatch, 30)
    with pytest.raises(AuditUnavailable):
        await log.recorded([entry()])
    assert files(tmp_path) == []
    disk.room = 100_000
    await log.recorded([entry("after")])
    await log.close()

    assert verify(files(tmp_path)).problems == []
    assert [line["kind"] for line in lines(tmp_path)] == ["start", "gap", "admin", "end"]


async def test_recorded_lines_are_flushed_to_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = opened(sink="file", path=tmp_path)
    flushed: list[int] = []
    actual = os.fsync

    def counted(handle: int) -> None:
        flushed.append(handle)
        actual(handle)

    monkeypatch.setattr(os, "fsync", counted)
    log.record(entry())
    await asyncio.to_thread(_until, lambda: bool(files(tmp_path)))
    before = len(flushed)  # the name of the file
    await asyncio.gather(*(log.recorded([entry(), entry()]) for _ in range(50)))

    assert before < len(flushed) < 50  # those that wait together are flushed together
    await log.close()
    assert len(lines(tmp_path)) == 1 + 1 + 100 + 1


async def test_a_failed_flush_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(sink="file", path=tmp_path)
    await log.recorded([entry()])

    def fail(_handle: int) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(AuditUnavailable):
            await log.recorded([entry()])
    await log.close()


async def test_a_sink_that_hangs_is_waited_for_in_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "PATIENCE", 0.05)
    monkeypatch.setattr(log_module, "MAX_WAITING", 5)
    events: list[Event] = []
    log = opened(events, sink="file", path=tmp_path)
    actual = os.write

    def slow(handle: int, content: bytes) -> int:
        time.sleep(0.3)
        return actual(handle, content)

    monkeypatch.setattr(os, "write", slow)
    with pytest.raises(AuditUnavailable):
        await log.recorded([entry()])
    for _ in range(10):
        log.record(entry())

    assert [type(event) for event in events] == [AuditFailed]
    monkeypatch.undo()
    await log.close()


async def test_entries_after_the_end_are_refused(tmp_path: Path) -> None:
    log = opened(sink="file", path=tmp_path)
    await log.recorded([entry()])
    await log.close()
    await log.close()

    with pytest.raises(AuditUnavailable):
        await log.recorded([entry()])


def test_several_processes_have_chains_of_their_own(tmp_path: Path) -> None:
    code = (
        "import sys; from gateway.config.settings import Settings;"
        "from gateway.audit.opening import open_audit_log;"
        "from gateway.audit.entries import Entry, Who;"
        "options = {'sink': 'file', 'path': sys.argv[1], 'max_bytes': 10_000};"
        "log = open_audit_log(Settings.model_validate({'audit': options}), print);"
        "[log.record(Entry(kind='admin', who=Who(kind='os'), act=str(n))) for n in range(100)];"
        "log.close_now()"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]

    assert [process.wait() for process in running] == [0, 0, 0]
    report = verify(files(tmp_path))
    assert report.problems == []
    assert len(report.chains) == 3
    assert all(state.has_end for state in report.chains.values())
    assert len([line for line in lines(tmp_path) if line["kind"] == "admin"]) == 300


def test_a_crash_shows_as_an_open_write(tmp_path: Path) -> None:
    code = (
        "import asyncio, os, sys; from gateway.config.settings import Settings;"
        "from gateway.audit.opening import open_audit_log;"
        "from gateway.audit.entries import Entry, Who;"
        "options = {'sink': 'file', 'path': sys.argv[1], 'required': True};"
        "log = open_audit_log(Settings.model_validate({'audit': options}), print);"
        "who = Who(kind='os');"
        "entries = [Entry(kind='intent', who=who, write=1), Entry(kind='intent', who=who, write=2),"
        "  Entry(kind='write', who=who, write=1, outcome='done')];"
        "asyncio.run(log.recorded(entries)); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)

    report = verify(files(tmp_path))

    assert done.returncode == 9
    assert report.problems == []
    (state,) = report.chains.values()
    assert (state.open_writes, state.has_end) == ({2}, False)


async def test_standard_output_takes_lines(capfd: pytest.CaptureFixture[str]) -> None:
    log = opened(sink="stdout")
    await log.recorded([entry("shown")])
    await log.close()

    kinds = [json.loads(line)["kind"] for line in capfd.readouterr().out.splitlines()]
    assert kinds == ["start", "admin", "end"]


async def test_syslog_takes_each_line_as_a_message(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.settimeout(5)
        log = opened(sink="syslog", address=str(path))
        await log.recorded([entry("sent")])
        await log.close()
        messages = [receiver.recv(65_536).rstrip(b"\x00") for _ in range(3)]

    assert all(m.startswith(b"<86>d365-graphql-audit: {") for m in messages)  # authpriv.info
    collected = tmp_path / "collected"
    collected.write_bytes(b"".join(m + b"\n" for m in messages))
    assert verify([collected]).problems == []


async def test_a_missing_syslog_is_an_error(tmp_path: Path) -> None:
    log = opened(sink="syslog", address=str(tmp_path / "none"))

    with pytest.raises(AuditUnavailable):
        await log.recorded([entry()])
    await log.close()


@pytest.mark.parametrize(
    ("values", "is_open"),
    [
        ({}, False),
        ({"url": "https://x.example/data"}, False),
        ({"url": "https://x.example/data", "data_dir": "/data"}, True),
        ({"data_dir": "/data"}, False),
        ({"url": "https://x.example/data", "data_dir": "/d", "audit": {"sink": "none"}}, False),
        ({"audit": {"sink": "stdout"}}, True),
    ],
)
def test_real_environments_are_recorded_by_default(values: dict[str, Any], is_open: bool) -> None:
    assert (open_audit_log(Settings.model_validate(values), print) is not None) is is_open


@pytest.mark.parametrize(
    ("audit", "message"),
    [
        ({"required": True}, "nothing is recorded"),
        ({"required": True, "sink": "none"}, "nothing is recorded"),
        ({"sink": "file"}, "no folder for the files"),
        ({"required": True, "sink": "file", "path": "/dev/null/x"}, "cannot be written"),
        ({"required": True, "sink": "syslog", "address": "/dev/null/x"}, "cannot be written"),
    ],
)
def test_settings_that_cannot_hold_stop_the_start(audit: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        open_audit_log(settings_of(**audit), print)


class Repeating:
    """A throttle with a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.throttle = Throttle(60, 2, lambda: self.now)

    def admit(self, *keys: str) -> list[tuple[str | None, int | None]]:
        admitted = (self.throttle.admit(key, partial(refusal, key)) for key in keys)
        return [line for entries in admitted for line in lines_of(entries)]


def refusal(key: str) -> Entry:
    return Entry(kind="refused", who=Who(kind="anonymous"), path=key)


def lines_of(entries: Iterable[Entry]) -> list[tuple[str | None, int | None]]:
    return [(entry.path, entry.repeats) for entry in entries]


def test_repeated_entries_are_counted() -> None:
    log = Repeating()

    assert log.admit("a", "a", "a") == [("a", None)]
    assert log.throttle.has_counts
    log.now = 61.0
    assert lines_of(log.throttle.due()) == [("a", 2)]
    assert not log.throttle.has_counts
    assert log.admit("a") == [("a", None)]


def test_entries_that_are_too_many_are_counted_with_the_next_line() -> None:
    log = Repeating()

    assert log.admit("a", "b", "c", "d") == [("a", None), ("b", None)]
    log.now = 61.0
    assert log.admit("e") == [("a", 2), ("e", None)]


def test_the_end_writes_all_counts() -> None:
    log = Repeating()

    log.admit("a", "b", "b", "c")

    assert lines_of(log.throttle.rest()) == [("a", 1), ("b", 1)]
    assert lines_of(log.throttle.rest()) == []


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
