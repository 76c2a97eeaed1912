"""Documents kept on disk between starts: written whole or not at all, readable by their owner only.

One file holds one document: a line of JSON (what it is, how to ask whether it is still current), then the
gzipped text. A file that is damaged, cut off or of another version counts as absent.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import tempfile
import zlib
from pathlib import Path

import msgspec

VERSION = 1


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a cached document."""

    key: str
    digest: str
    fetched_at: float
    etag: str | None = None
    last_modified: str | None = None
    version: int = VERSION


class FileCache:
    """A folder of cached documents, each under its key; a folder of None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self, key: str) -> tuple[Facts, bytes] | None:
        """Give a document and its facts; None where there is none that can be trusted."""
        if self._folder is None:
            return None
        try:
            head, _, packed = self._path(self._folder, key).read_bytes().partition(b"\n")
            facts = msgspec.json.decode(head, type=Facts)
            text = gzip.decompress(packed)
        except (OSError, msgspec.MsgspecError, zlib.error, EOFError):
            return None
        sound = facts.version == VERSION and facts.key == key and facts.digest == digest_of(text)
        return (facts, text) if sound else None

    def write(self, facts: Facts, text: bytes) -> None:
        """Keep a document. A folder that cannot be written to keeps nothing: a cache is no reason to fail."""
        if self._folder is None:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._path(self._folder, facts.key)
            handle, draft = tempfile.mkstemp(dir=self._folder, prefix=f".{path.name}.")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.json.encode(facts) + b"\n" + gzip.compress(text, 5, mtime=0))
                Path(draft).replace(path)
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise

    def _path(self, folder: Path, key: str) -> Path:
        return folder / f"{digest_of(key.encode())[:32]}.cache"


def digest_of(text: bytes) -> str:
    """Give the SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text).hexdigest()
