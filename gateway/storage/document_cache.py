"""Documents kept on disk between starts: the metadata document, label texts, categories.

One file holds one document: the SHA-256 of all that follows, a line of JSON (its key, and how to ask the service
whether it is still current), then the gzipped text. A file that is damaged, cut off or of another version counts as
absent.
"""

from __future__ import annotations

import gzip
import hashlib
import time
from pathlib import Path

import msgspec

from gateway.events import Observer, log_event

from .atomic_file import mark_used, prune, write_atomically
from .private_files import open_own, report_unusable

VERSION = 2
MAX_FILES = 64
"""Documents in a folder: a few for each environment that is used from this machine."""
MAX_BYTES = 256_000_000
"""Bytes of a folder; the gzipped metadata document of Finance & Operations has 3 MB."""
_SUFFIX = ".cache"


class DocumentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Key, digest and HTTP validators of a cached document."""

    key: str
    digest: str
    """SHA-256 of the text, in hexadecimal."""
    fetched_at: float
    """Seconds since the epoch."""
    etag: str | None = None
    last_modified: str | None = None
    version: int = VERSION


class DocumentCache:
    """A folder of documents, each under its key. Without a folder, nothing is cached."""

    def __init__(self, folder: Path | None, observe: Observer = log_event) -> None:
        self._folder = folder
        self._observe = observe

    def read(self, key: str) -> tuple[DocumentInfo, bytes] | None:
        """Return a document and its text; None if absent or damaged."""
        cached = self.read_packed(key)
        return None if cached is None else (cached[0], gzip.decompress(cached[1]))

    def read_packed(self, key: str) -> tuple[DocumentInfo, bytes] | None:
        """Return the same with the text still gzipped."""
        if self._folder is None:
            return None
        path = self._path(self._folder, key)
        try:
            with open_own(path) as file:
                checksum, _, content = file.read().partition(b"\n")
            # It may have been damaged or copied incompletely.
            if checksum != digest_of(content).encode():
                return None
            head, _, packed = content.partition(b"\n")
            info = msgspec.json.decode(head, type=DocumentInfo)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None
        except OSError as error:
            report_unusable(self._folder, error, self._observe)
            return None
        if (info.version, info.key) != (VERSION, key):
            return None
        mark_used(path)
        return info, packed

    def write(self, info: DocumentInfo, text: bytes) -> None:
        """Cache a document and remove the least recently used ones. Reports a folder that cannot be written."""
        if self._folder is None:
            return
        # level 1: for 41 MB 0.2 s and 3.0 MB instead of 0.4 s and 2.4 MB
        packed = gzip.compress(text, 1, mtime=0)
        content = msgspec.json.encode(info) + b"\n" + packed
        try:
            pieces = (digest_of(content).encode(), b"\n", content)
            write_atomically(self._path(self._folder, info.key), pieces)
            prune(self._folder, (_SUFFIX,), count=MAX_FILES, size=MAX_BYTES)
        except OSError as error:
            report_unusable(self._folder, error, self._observe)

    def write_new(self, key: str, text: bytes) -> None:
        """Cache a document that has just been fetched and needs no check whether it is current."""
        self.write(DocumentInfo(key=key, digest=digest_of(text), fetched_at=time.time()), text)

    def _path(self, folder: Path, key: str) -> Path:
        return folder / f"{digest_of(key.encode())[:32]}{_SUFFIX}"


def digest_of(text: bytes) -> str:
    """Return the SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text).hexdigest()
