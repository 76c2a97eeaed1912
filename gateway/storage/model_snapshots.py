"""Snapshots of models on disk: a start maps one into memory instead of parsing 41 MB of XML.

There is one file for each set of settings. Its fingerprint covers the settings, the document and the program, so the
snapshot of a new document replaces that of the old one. A file that is damaged, cut off, foreign or older counts as
absent. Files are never changed in place: what is mapped into memory stays as it was checked, and several processes on
one folder share the same pages.
"""

from __future__ import annotations

import hashlib
import mmap
import tempfile
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

import schema
from gateway.events import Observer, log_event
from schema.model.records import Model
from schema.model.snapshot import FORMAT, Unpacked, pack, unpack

from .atomic_file import mark_used, prune, write_atomically
from .private_files import open_own, report_unusable

MAX_SNAPSHOTS = 4
"""Snapshots in a folder, of the last used settings; each has some 13 MB for the whole of F&O."""
_SUFFIX = ".snapshot"
_NOT_PACKABLE = (OverflowError, ValueError)
"""Numbers and text beyond MessagePack."""


class SnapshotStore:
    """A folder of snapshots, each under its key. Without a folder, nothing is stored."""

    def __init__(
        self, folder: Path | None, *, count: int = MAX_SNAPSHOTS, observe: Observer = log_event
    ) -> None:
        self._folder = folder
        self._observe = observe
        self._count = count

    @property
    def has_folder(self) -> bool:
        """Whether snapshots outlive the process."""
        return self._folder is not None

    def open(self, key: str, fingerprint: bytes) -> Unpacked | None:
        """Return a model; None if absent, damaged or of another fingerprint."""
        if self._folder is None:
            return None
        path = _path(self._folder, key)
        try:
            with open_own(path) as file:
                # The mapping stays valid after the file is closed, replaced or removed.
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (FileNotFoundError, ValueError):  # ValueError: an empty file
            return None
        except OSError as error:
            report_unusable(self._folder, error, self._observe)
            return None
        mark_used(path)
        return unpack(content, fingerprint=fingerprint)

    def install(self, key: str, fingerprint: bytes, content: bytes) -> Unpacked | None:
        """Store the bytes of a snapshot that another process made, and return its model.

        Returns None if they are damaged or have another fingerprint; then nothing is stored.
        """
        unpacked = unpack(content, fingerprint=fingerprint)
        if unpacked is None:
            return None
        if self._folder is None:
            return open_content(fingerprint, (content,)) or unpacked
        try:
            write_atomically(_path(self._folder, key), (content,))
            prune(self._folder, (_SUFFIX,), count=self._count)
        except OSError as error:
            report_unusable(self._folder, error, self._observe)
        # Mapped, its pages are released from memory when nobody reads them.
        return self.open(key, fingerprint) or unpacked

    def write(self, key: str, fingerprint: bytes, model: Model, notes: bytes) -> bool:
        """Store a model, and return whether that was possible. A folder that cannot be written is reported."""
        if self._folder is None:
            return False
        try:
            pieces = pack(model, fingerprint=fingerprint, notes=notes)
            write_atomically(_path(self._folder, key), pieces)
            prune(self._folder, (_SUFFIX,), count=self._count)
        except _NOT_PACKABLE:
            return False
        except OSError as error:
            report_unusable(self._folder, error, self._observe)
            return False
        return True


def open_anonymous(fingerprint: bytes, model: Model, notes: bytes) -> Unpacked | None:
    """Return a model from a nameless file that vanishes when it is closed; None if it cannot be written."""
    return open_content(fingerprint, pack(model, fingerprint=fingerprint, notes=notes))


def open_content(fingerprint: bytes, pieces: Iterable[bytes]) -> Unpacked | None:
    """Return the model of a snapshot's bytes from a file of that kind; None if it cannot be written."""
    try:
        with tempfile.TemporaryFile(buffering=1 << 20) as file:
            file.writelines(pieces)
            file.flush()
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, *_NOT_PACKABLE):
        return None
    return unpack(content, fingerprint=fingerprint)


def fingerprint_of(*decided_by: object) -> bytes:
    """Return one value for everything that decides a model, this program included."""
    return msgspec.json.encode([FORMAT, _program(), *decided_by])


@cache
def _program() -> list[object]:
    """Return the version, and times and sizes of the source files that decide a model: developers change those."""
    try:
        release = version("d365-graphql-gateway")
    except PackageNotFoundError:  # run from a copy
        release = ""
    folders = (Path(schema.__path__[0]), Path(__file__).parents[1] / "odata")
    facts = (path.stat() for folder in folders for path in sorted(folder.rglob("*.py")))
    return [release, *((fact.st_mtime_ns, fact.st_size) for fact in facts)]


def _path(folder: Path, key: str) -> Path:
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}{_SUFFIX}"
