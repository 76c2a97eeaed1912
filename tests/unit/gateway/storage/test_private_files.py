"""Which files of a shared cache folder are used, and what is reported if it is unusable."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.events import CacheUnusable, Event, level_of
from gateway.storage import private_files
from gateway.storage.document_cache import DocumentCache, DocumentInfo, digest_of
from gateway.storage.model_snapshots import SnapshotStore, fingerprint_of
from gateway.storage.private_files import make_own_folder, open_own
from gateway.storage.response_artifacts import ArtifactStore
from tests.support.small_models import NO_YES, entity, model, prop

SMALL = model(entity("Thing", prop("Id"), key=("Id",)), NO_YES, sets={"Things": "Thing"})
STAMP = fingerprint_of("document")
FACTS = DocumentInfo(key="k", digest=digest_of(b"text"), fetched_at=0.0)
Damage = Callable[[Path, pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def _nothing_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_files, "_REPORTED", set())


def of_another_user(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be another user's: giving it away takes rights that a test may lack."""
    another = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: another)


def writable_file(path: Path, _: pytest.MonkeyPatch) -> None:
    path.chmod(0o620)


def writable_folder(path: Path, _: pytest.MonkeyPatch) -> None:
    path.parent.chmod(0o770)


def a_link(path: Path, _: pytest.MonkeyPatch) -> None:
    real = path.with_suffix(".real")
    path.rename(real)
    path.symlink_to(real)


DAMAGES: list[Damage] = [of_another_user, writable_file, writable_folder, a_link]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_snapshot_writable_by_others_is_not_used(
    damage: Damage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    snapshots = SnapshotStore(tmp_path / "models", observe=events.append)
    assert snapshots.write("key", STAMP, SMALL, b"")
    assert snapshots.open("key", STAMP) is not None

    damage(next((tmp_path / "models").iterdir()), monkeypatch)

    assert snapshots.open("key", STAMP) is None
    assert snapshots.open("key", STAMP) is None
    (message,) = events
    assert isinstance(message, CacheUnusable)
    assert level_of(message) == "warning"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_document_writable_by_others_is_not_used(
    damage: Damage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    cache = DocumentCache(tmp_path / "metadata", events.append)
    cache.write(FACTS, b"text")
    assert cache.read("k") == (FACTS, b"text")

    damage(next((tmp_path / "metadata").iterdir()), monkeypatch)

    assert cache.read("k") is None
    assert [type(event) for event in events] == [CacheUnusable]


@pytest.mark.anyio
async def test_an_artifact_writable_by_others_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "introspection"
    await ArtifactStore(folder).get("key", lambda: [b"true"])
    next(folder.iterdir()).chmod(0o606)

    again = ArtifactStore(folder)
    await again.get("key", lambda: [b"true"])

    assert again.writes == 1


def test_a_shared_parent_is_fine_and_our_folder_is_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    folder = tmp_path / "models"
    folder.mkdir(mode=0o770)
    folder.chmod(0o770)

    snapshots = SnapshotStore(folder)
    assert snapshots.write("key", STAMP, SMALL, b"")

    assert stat.S_IMODE(folder.stat().st_mode) & 0o777 == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert snapshots.open("key", STAMP) is not None
    tmp_path.chmod(0o700)


def test_a_folder_that_is_a_link_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "models").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(PermissionError):
        make_own_folder(tmp_path / "models")
    with pytest.raises(PermissionError):
        open_own(tmp_path / "models" / "file")


def _full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def _read_only(*_: Any, **__: Any) -> Any:
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.parametrize("mkstemp", [_full, _read_only])
def test_a_full_or_read_only_disk_is_reported_once(
    mkstemp: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.mkstemp", mkstemp)
    events: list[Event] = []
    snapshots = SnapshotStore(tmp_path / "models", observe=events.append)
    cache = DocumentCache(tmp_path / "metadata", events.append)

    for _ in range(3):
        assert not snapshots.write("key", STAMP, SMALL, b"")
        cache.write(FACTS, b"text")

    message = [event for event in events if isinstance(event, CacheUnusable)]
    assert [event.folder for event in message] == [
        str(tmp_path / n) for n in ("models", "metadata")
    ]
    assert all("device" in event.reason or "Read-only" in event.reason for event in message)
