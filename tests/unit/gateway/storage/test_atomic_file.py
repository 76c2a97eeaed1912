"""Cache files: whole or not at all, private, and not more than a folder should hold."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.events import Event
from gateway.storage import document_cache
from gateway.storage.atomic_file import mark_used, prune, write_atomically
from gateway.storage.document_cache import DocumentCache, DocumentInfo, digest_of
from gateway.storage.model_snapshots import SnapshotStore, fingerprint_of
from tests.support.small_models import NO_YES, model

KILLED = """
import os, signal, sys
from pathlib import Path
from gateway.storage.atomic_file import write_atomically

def pieces():
    yield b"new" * 1_000_000
    os.kill(os.getpid(), signal.SIGKILL)

write_atomically(Path(sys.argv[1]), pieces())
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_replaces_the_old_one_in_a_private_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "cache" / "file.x"
    write_atomically(path, [b"old"])
    write_atomically(path, [b"new", b" text"])

    assert path.read_bytes() == b"new text"
    assert names(path.parent) == ["file.x"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_failure_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.x"
    write_atomically(path, [b"old"])

    def pieces() -> Iterator[bytes]:
        yield b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, pieces())

    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file.x"]


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.x"
    write_atomically(path, [b"old"])

    writer = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)

    assert writer.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    (draft,) = tmp_path.glob(".*.draft")
    prune(tmp_path, (".x",), count=4)
    assert draft.exists()  # it may be another writer's
    os.utime(draft, (0, 0))
    prune(tmp_path, (".x",), count=4)
    assert names(tmp_path) == ["file.x"]


def test_content_is_on_disk_before_the_file_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[str], int]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        seen.append(([p.suffix for p in tmp_path.iterdir()], os.fstat(handle).st_size))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "file.x", [b"text"])

    assert seen == [([".draft"], 4)]


@pytest.mark.parametrize(
    ("count", "size", "left"),
    [
        (2, None, ["3.x", "4.x"]),
        (9, 25, ["3.x", "4.x"]),
        (3, 25, ["3.x", "4.x"]),
        (9, None, ["0.x", "1.x", "2.x", "3.x", "4.x"]),
        (1, 1, ["4.x"]),
        (0, None, ["4.x"]),
    ],
)
def test_pruning_keeps_the_last_used_files(
    count: int, size: int | None, left: list[str], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_bytes(b"not ours")
    for number in range(5):
        path = tmp_path / f"{number}.x"
        path.write_bytes(b"ten bytes.")
        os.utime(path, (number, number))

    prune(tmp_path, (".x",), count=count, size=size)

    assert names(tmp_path) == [*left, "notes.txt"]


def test_reading_counts_as_use(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.x").touch()
        os.utime(tmp_path / f"{number}.x", (number, number))

    mark_used(tmp_path / "0.x")
    prune(tmp_path, (".x",), count=2)

    assert names(tmp_path) == ["0.x", "2.x"]


def test_cached_documents_are_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_cache, "MAX_FILES", 3)
    cache = DocumentCache(tmp_path)

    def write(key: str) -> None:
        cache.write(DocumentInfo(key=key, digest=digest_of(b"text"), fetched_at=0.0), b"text")
        for path in tmp_path.iterdir():  # the clock of a file system may be coarse
            os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - 10**9))

    for key in "abc":
        write(key)
    assert cache.read("a") is not None
    write("d")

    assert [key for key in "abcd" if cache.read(key)] == ["a", "c", "d"]


def test_a_read_only_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    stamp = fingerprint_of("document")
    snapshots = SnapshotStore(tmp_path, observe=events.append)
    assert snapshots.write("key", stamp, model(NO_YES), b"")

    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "utime", read_only)

    assert snapshots.open("key", stamp) is not None
    assert events == []
