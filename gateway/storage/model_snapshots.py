"""Snapshots of models on disk between starts: written whole or not at all, readable by their owner only.

One file for one set of settings; its fingerprint also covers the document and the program, so a new document takes
the old one's place. A file that is damaged, cut off, foreign or older counts as absent. Writers never touch a file
that stands (they put another in its place), so what is mapped into memory stays as it was checked, and several
processes on one folder share the same pages.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import tempfile
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

import schema
from gateway.events import Observer, log_event
from schema.model.records import Model
from schema.model.snapshot import FORMAT, Unpacked, pack, unpack

from .private_files import make_own_folder, open_own, report_unusable

KEPT = 4
"""Snapshots in a folder: one for each of the last used settings; each has some 13 MB for the whole of F&O."""
_ABANDONED = 3_600.0
"""Seconds after which an unfinished file is nobody's."""
_NOT_PACKABLE = (OverflowError, ValueError)
"""Numbers and text beyond MessagePack."""


class Snapshots:
    """A folder of snapshots, each under its key; a folder of None keeps nothing."""

    def __init__(
        self, folder: Path | None, *, kept: int = KEPT, observe: Observer = log_event
    ) -> None:
        self._folder = folder
        self._observe = observe
        self._most = kept

    @property
    def keeps(self) -> bool:
        """Whether there is a folder."""
        return self._folder is not None

    def open(self, key: str, fingerprint: bytes) -> Unpacked | None:
        """Return a model; None where there is none of that fingerprint that can be trusted."""
        if self._folder is None:
            return None
        path = _path(self._folder, key)
        try:
            with open_own(path) as file:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            os.utime(path)
        except (FileNotFoundError, ValueError):  # ValueError: an empty file
            return None
        except OSError as error:
            report_unusable(self._folder, error, self._observe)
            return None
        return unpack(content, fingerprint=fingerprint)

    def write(self, key: str, fingerprint: bytes, model: Model, notes: bytes) -> bool:
        """Keep a model: whether it could be kept. A folder that cannot be written to is no reason to fail."""
        if self._folder is None:
            return False
        try:
            make_own_folder(self._folder)
            _write(_path(self._folder, key), fingerprint, model, notes)
            _prune(self._folder, self._most)
        except _NOT_PACKABLE:
            return False
        except OSError as error:
            report_unusable(self._folder, error, self._observe)
            return False
        return True


def held(fingerprint: bytes, model: Model, notes: bytes) -> Unpacked | None:
    """Return a model from a file that has no name and ends with its use; None where it cannot be written."""
    try:
        with tempfile.TemporaryFile(buffering=1 << 20) as file:
            file.writelines(pack(model, fingerprint=fingerprint, notes=notes))
            file.flush()
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, *_NOT_PACKABLE):
        return None
    return unpack(content, fingerprint=fingerprint)


def fingerprint_of(*decided_by: object) -> bytes:
    """Put everything that decides a model, and this program itself, into one fingerprint."""
    return msgspec.json.encode([FORMAT, _program(), *decided_by])


@cache
def _program() -> list[object]:
    """Return the program's version, and what changes with the code that decides: people work on that, too."""
    try:
        release = version("d365-graphql-gateway")
    except PackageNotFoundError:  # run from a copy
        release = ""
    folders = (Path(schema.__path__[0]), Path(__file__).parents[1] / "odata")
    facts = (path.stat() for folder in folders for path in sorted(folder.rglob("*.py")))
    return [release, *((fact.st_mtime_ns, fact.st_size) for fact in facts)]


def _path(folder: Path, key: str) -> Path:
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.snapshot"


def _write(path: Path, fingerprint: bytes, model: Model, notes: bytes) -> None:
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".draft")
    try:
        with os.fdopen(handle, "wb", buffering=1 << 20) as file:
            file.writelines(pack(model, fingerprint=fingerprint, notes=notes))
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _prune(folder: Path, kept: int) -> None:
    """Remove the snapshots that were not used for longest, and what writers that were killed left."""
    used = {path: _changed(path) for path in folder.glob("*.snapshot")}
    by_use = sorted(used, key=lambda path: -used[path])
    old = time.time() - _ABANDONED
    abandoned = [path for path in folder.glob(".*.draft") if _changed(path) < old]
    for path in (*by_use[kept:], *abandoned):
        with contextlib.suppress(OSError):
            path.unlink()


def _changed(path: Path) -> float:
    """Return the time of the last change; of what another writer has just put in its place, now."""
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
