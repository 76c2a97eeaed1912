"""Long responses that are written once and sent many times: compressed, on disk if there is a folder, else in memory.

A response has a key; the identity of a store is everything else that decides its responses (metadata, settings,
program). What older metadata or an older program left behind is therefore never read again, and pruned in time. Files
are checked when they are opened. The first file of a response is zstd; the other codings are made from it when the
first client accepts them.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import struct
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

from gateway.events import log_event

from .atomic_file import mark_used, prune, write_atomically
from .content_coding import CODINGS, IDENTITY, compress_pieces, decompress_pieces
from .private_files import open_own, report_unusable

MAX_FILES = 24
"""Files in a folder; introspection of the whole of F&O takes some 3 MB in each coding."""
MAX_OPEN = 12
"""Artifacts that stay mapped."""
STEP = 1 << 18
"""Bytes that are sent at a time."""
_STORED = "zstd"
_TRAILER = struct.Struct("<8sQ32s32s")
"""Magic, bytes of the text, its SHA-256, SHA-256 of the compressed text."""
_MAGIC = b"D365TXT1"

MakePieces = Callable[[], Iterable[bytes]]
"""Returns the text in pieces."""
WriteInSubprocess = Callable[[Path], Awaitable[bool]]
"""Has another process call ``write_artifact``; returns whether the file was written."""


class Artifact(Struct, frozen=True, eq=False):
    """A response in one coding."""

    packed: memoryview
    coding: str
    size: int
    """Bytes of the uncompressed text."""
    digest: str
    """SHA-256 of the uncompressed text, in hexadecimal."""

    @property
    def etag(self) -> str:
        """The strong validator of the response in this coding (RFC 9110, section 8.8.3)."""
        return etag_of(self.digest, self.coding)

    @property
    def length(self) -> int:
        """``Content-Length`` in bytes."""
        return self.size if self.coding == IDENTITY else len(self.packed)

    def pieces(self) -> Iterator[bytes]:
        """Yield the body in pieces of at most ``STEP`` bytes."""
        if self.coding == IDENTITY:
            yield from decompress_pieces(self.packed)
            return
        for at in range(0, len(self.packed), STEP):
            yield bytes(self.packed[at : at + STEP])


def etag_of(digest: str, coding: str) -> str:
    """Return the entity tag of a text in a coding."""
    return f'"{digest[:32]}-{coding}"'


class ArtifactStore:
    """The artifacts of one identity. Makes one at a time, and each once: concurrent requests share the result."""

    def __init__(
        self, folder: Path | None = None, identity: Callable[[], bytes] = lambda: b""
    ) -> None:
        """``identity`` is called once, in a thread. Without a folder, nothing outlives the process."""
        self._folder = folder
        self._identity = cache(identity)
        self._open: OrderedDict[str, Artifact] = OrderedDict()
        self._running: dict[str, asyncio.Task[Artifact]] = {}
        self._lock = asyncio.Lock()
        self.writes = 0
        """Artifacts made so far, in all codings; the others came from disk."""

    def with_own_queue(self) -> ArtifactStore:
        """Return another store over the same folder, whose artifacts do not wait for those of this one."""
        return ArtifactStore(self._folder, self._identity)

    async def get(
        self,
        key: str,
        make: MakePieces,
        coding: str = _STORED,
        *,
        in_subprocess: WriteInSubprocess | None = None,
    ) -> Artifact:
        """Return a response in a coding, from disk or made now.

        ``make`` runs in a thread unless ``in_subprocess`` succeeds. Raises what these raise. A caller that is cancelled
        does not stop the making: others may wait for it.
        """
        stored = await self._share(
            f"{key}.{_STORED}", lambda: self._open_or_make(key, make, in_subprocess)
        )
        if coding == _STORED:
            return stored
        if coding == IDENTITY:
            return Artifact(stored.packed, IDENTITY, stored.size, stored.digest)
        return await self._share(f"{key}.{coding}", lambda: self._recode(key, stored, coding))

    async def _share(self, name: str, make: Callable[[], Awaitable[Artifact]]) -> Artifact:
        artifact = self._open.get(name)
        if artifact is not None:
            self._open.move_to_end(name)
            return artifact
        task = self._running.get(name)
        if task is None:
            task = self._running[name] = asyncio.ensure_future(self._make(name, make))
            task.add_done_callback(lambda _: self._running.pop(name, None))
        return await asyncio.shield(task)

    async def _make(self, name: str, make: Callable[[], Awaitable[Artifact]]) -> Artifact:
        # One at a time: each may take a processor and hundreds of megabytes.
        async with self._lock:
            artifact = self._open[name] = await make()
        while len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)
        return artifact

    async def _open_or_make(
        self, key: str, make: MakePieces, in_subprocess: WriteInSubprocess | None
    ) -> Artifact:
        path = await asyncio.to_thread(self._path, key, _STORED)
        if path is not None and in_subprocess is not None:
            artifact = await asyncio.to_thread(_open, path, _STORED)
            if artifact is None and await in_subprocess(path):
                self.writes += 1
                artifact = await asyncio.to_thread(_open, path, _STORED)
            if artifact is not None:
                return artifact
        return await asyncio.to_thread(self._open_or_write, key, _STORED, make)

    async def _recode(self, key: str, stored: Artifact, coding: str) -> Artifact:
        def text() -> Iterator[bytes]:
            return decompress_pieces(stored.packed)

        return await asyncio.to_thread(self._open_or_write, key, coding, text)

    # In a thread

    def _open_or_write(self, key: str, coding: str, make: MakePieces) -> Artifact:
        path = self._path(key, coding)
        artifact = None if path is None else _open(path, coding)
        if artifact is None:
            self.writes += 1
            artifact = _write_and_open(path, coding, make)
        return artifact

    def _path(self, key: str, coding: str) -> Path | None:
        if self._folder is None:
            return None
        name = hashlib.sha256(self._identity() + b"\x00" + key.encode()).hexdigest()[:32]
        return self._folder / f"{name}.{coding}"


def write_artifact(path: Path, make: MakePieces) -> None:
    """Write the first file of a response. Raises OSError, and what ``make`` raises."""
    _write(path, _encode(make(), _STORED))


def _open(path: Path, coding: str) -> Artifact | None:
    """Return the artifact in a file; None if absent or damaged."""
    try:
        with open_own(path) as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (FileNotFoundError, ValueError):  # ValueError: an empty file
        return None
    except OSError as error:
        report_unusable(path.parent, error, log_event)
        return None
    mark_used(path)
    return _decode(memoryview(content), coding)


def _decode(content: memoryview, coding: str) -> Artifact | None:
    end = len(content) - _TRAILER.size
    if end < 0:
        return None
    magic, size, digest, checksum = _TRAILER.unpack_from(content, end)
    if magic != _MAGIC or hashlib.sha256(content[:end]).digest() != checksum:
        return None
    return Artifact(content[:end], coding, size, digest.hex())


def _write_and_open(path: Path | None, coding: str, make: MakePieces) -> Artifact:
    """Write an artifact to disk, or to memory if no folder takes it."""
    artifact = None
    if path is not None:
        try:
            _write(path, _encode(make(), coding))
            artifact = _open(path, coding)
        except OSError as error:
            report_unusable(path.parent, error, log_event)
    if artifact is None:
        artifact = _decode(memoryview(b"".join(_encode(make(), coding))), coding)
    assert artifact is not None
    return artifact


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    write_atomically(path, pieces)
    prune(path.parent, _SUFFIXES, count=MAX_FILES)


_SUFFIXES = frozenset(f".{coding}" for coding in CODINGS)


def _encode(text: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Yield the compressed text, then the trailer by which ``_decode`` checks it."""
    digest, checksum = hashlib.sha256(), hashlib.sha256()
    size = 0

    def measured() -> Iterator[bytes]:
        nonlocal size
        for piece in text:
            digest.update(piece)
            size += len(piece)
            yield piece

    for packed in compress_pieces(measured(), coding):
        checksum.update(packed)
        yield packed
    yield _TRAILER.pack(_MAGIC, size, digest.digest(), checksum.digest())
