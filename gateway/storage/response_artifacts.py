"""Long texts that are made once and sent many times: compressed, on disk where there is a folder, else in memory.

A text is known by a key; the identity of a set of texts is everything else that decides them (metadata, settings,
program), so what an older program or other metadata left behind is never found again and is removed in time. Files are
written whole or not at all, and checked when they are opened. Of a text one file is made at first, in zstd; the other
codings are made from that one when the first client wants them.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import mmap
import os
import struct
import tempfile
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

from gateway.events import log_event

from .content_coding import CODINGS, IDENTITY, compressed, decompressed
from .private_files import make_own_folder, open_own, report_unusable

KEPT_FILES = 24
"""Files in a folder; the whole of F&O takes some 3 MB in each coding."""
KEPT_OPEN = 12
"""Texts in one coding that are at hand without a look at the disk."""
STEP = 1 << 18
"""Bytes that are sent at a time."""
_STORED = "zstd"
_END = struct.Struct("<8sQ32s32s")
_MAGIC = b"D365TXT1"

Make = Callable[[], Iterable[bytes]]
WriteApart = Callable[[Path], Awaitable[bool]]
"""Writes the first file of a text elsewhere, in the way of ``write_artefact``: whether it could."""


class Artefact(Struct, frozen=True, eq=False):
    """A text in one coding."""

    packed: memoryview
    coding: str
    size: int
    """Bytes of the text itself."""
    digest: str
    """Of the text itself."""

    @property
    def etag(self) -> str:
        """The strong validator of the text in this coding (RFC 9110, section 8.8.3)."""
        return etag_of(self.digest, self.coding)

    @property
    def length(self) -> int:
        """Bytes that are sent."""
        return self.size if self.coding == IDENTITY else len(self.packed)

    def pieces(self) -> Iterator[bytes]:
        """Return what is sent, piece by piece."""
        if self.coding == IDENTITY:
            yield from decompressed(self.packed)
            return
        for at in range(0, len(self.packed), STEP):
            yield bytes(self.packed[at : at + STEP])


def etag_of(digest: str, coding: str) -> str:
    """Return the validator of a text in a coding."""
    return f'"{digest[:32]}-{coding}"'


class Artefacts:
    """The texts of one identity; makes one at a time, and each once, whoever asks for it meanwhile."""

    def __init__(
        self, folder: Path | None = None, identity: Callable[[], bytes] = lambda: b""
    ) -> None:
        """``identity`` is asked in a thread, once; where ``folder`` is None, nothing outlives the program."""
        self._folder = folder
        self._identity = cache(identity)
        self._open: OrderedDict[str, Artefact] = OrderedDict()
        self._making: dict[str, asyncio.Task[Artefact]] = {}
        self._turn = asyncio.Lock()
        self.made = 0
        """How many were made, in all codings; the others were found."""

    def beside(self) -> Artefacts:
        """Return another one over the same folder, whose texts wait for none of these."""
        return Artefacts(self._folder, self._identity)

    async def get(
        self, key: str, make: Make, coding: str = _STORED, *, apart: WriteApart | None = None
    ) -> Artefact:
        """Return a text in a coding; ``make`` gives the text's pieces and runs in a thread where ``apart`` does not do.

        Raises what these raise. Whoever stops waiting does not stop the making.
        """
        stored = await self._once(f"{key}.{_STORED}", lambda: self._find_or_make(key, make, apart))
        if coding == _STORED:
            return stored
        if coding == IDENTITY:
            return Artefact(stored.packed, IDENTITY, stored.size, stored.digest)
        return await self._once(f"{key}.{coding}", lambda: self._recode(key, stored, coding))

    async def _once(self, name: str, make: Callable[[], Awaitable[Artefact]]) -> Artefact:
        found = self._open.get(name)
        if found is not None:
            self._open.move_to_end(name)
            return found
        task = self._making.get(name)
        if task is None:
            task = self._making[name] = asyncio.ensure_future(self._make(name, make))
            task.add_done_callback(lambda _: self._making.pop(name, None))
        return await asyncio.shield(task)

    async def _make(self, name: str, make: Callable[[], Awaitable[Artefact]]) -> Artefact:
        async with self._turn:
            made = self._open[name] = await make()
        while len(self._open) > KEPT_OPEN:
            self._open.popitem(last=False)
        return made

    async def _find_or_make(self, key: str, make: Make, apart: WriteApart | None) -> Artefact:
        path = await asyncio.to_thread(self._path, key, _STORED)
        if path is not None and apart is not None:
            found = await asyncio.to_thread(_opened, path, _STORED)
            if found is None and await apart(path):
                self.made += 1
                found = await asyncio.to_thread(_opened, path, _STORED)
            if found is not None:
                return found
        return await asyncio.to_thread(self._from_disk_or_made, key, _STORED, make)

    async def _recode(self, key: str, stored: Artefact, coding: str) -> Artefact:
        def again() -> Iterator[bytes]:
            return decompressed(stored.packed)

        return await asyncio.to_thread(self._from_disk_or_made, key, coding, again)

    # In a thread

    def _from_disk_or_made(self, key: str, coding: str, make: Make) -> Artefact:
        path = self._path(key, coding)
        found = None if path is None else _opened(path, coding)
        if found is None:
            self.made += 1
            found = _written(path, coding, make)
        return found

    def _path(self, key: str, coding: str) -> Path | None:
        if self._folder is None:
            return None
        name = hashlib.sha256(self._identity() + b"\x00" + key.encode()).hexdigest()[:32]
        return self._folder / f"{name}.{coding}"


def _opened(path: Path, coding: str) -> Artefact | None:
    """Return what a file holds; None where it is not there or not as it was written."""
    try:
        with open_own(path) as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        os.utime(path)
    except (FileNotFoundError, ValueError):  # ValueError: an empty file
        return None
    except OSError as error:
        report_unusable(path.parent, error, log_event)
        return None
    return _read(memoryview(content), coding)


def _read(content: memoryview, coding: str) -> Artefact | None:
    end = len(content) - _END.size
    if end < 0:
        return None
    magic, size, digest, checksum = _END.unpack_from(content, end)
    if magic != _MAGIC or hashlib.sha256(content[:end]).digest() != checksum:
        return None
    return Artefact(content[:end], coding, size, digest.hex())


def write_artefact(path: Path, make: Make) -> None:
    """Write the first file of a text, to be found at that path. Raises OSError, and what ``make`` raises."""
    _write(path, _packed(make(), _STORED))


def _written(path: Path | None, coding: str, make: Make) -> Artefact:
    """Write a text, to memory where there is no folder that takes it."""
    found = None
    if path is not None:
        try:
            _write(path, _packed(make(), coding))
            found = _opened(path, coding)
        except OSError as error:
            report_unusable(path.parent, error, log_event)
    if found is None:
        found = _read(memoryview(b"".join(_packed(make(), coding))), coding)
    assert found is not None
    return found


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    make_own_folder(path.parent)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".draft")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    _prune(path.parent)


def _packed(text: Iterable[bytes], coding: str) -> Iterator[bytes]:
    digest, checksum = hashlib.sha256(), hashlib.sha256()
    size = 0

    def watched() -> Iterator[bytes]:
        nonlocal size
        for piece in text:
            digest.update(piece)
            size += len(piece)
            yield piece

    for packed in compressed(watched(), coding):
        checksum.update(packed)
        yield packed
    yield _END.pack(_MAGIC, size, digest.digest(), checksum.digest())


_OURS = frozenset({".draft", *(f".{coding}" for coding in CODINGS)})


def _prune(folder: Path) -> None:
    """Remove those of our files that were not used for longest."""
    used: list[tuple[float, Path]] = []
    for path in (path for path in folder.iterdir() if path.suffix in _OURS):
        with contextlib.suppress(OSError):
            used.append((path.stat().st_mtime, path))
    for _, path in sorted(used, reverse=True)[KEPT_FILES:]:
        with contextlib.suppress(OSError):
            path.unlink()
