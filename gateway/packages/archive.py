"""Opens the one file of rows in a data package, a ZIP, without ever writing anything out of it.

A package comes from another machine, so nothing in it is believed: its directory is measured before it is read, names
are compared and never used as paths, sizes are counted while bytes come out, and the checksum of the whole file is
checked before its first row is used. What a package says of itself (``Manifest.xml``) is not read at all.
"""

from __future__ import annotations

import codecs
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO, BinaryIO

from gateway.errors import UpstreamMalformed

_END = struct.Struct("<4s4H2LH")
"""End of the central directory (APPNOTE 4.3.16)."""
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_MAX_COMMENT = 1 << 16
_MAX_DIRECTORY = 1 << 20
"""Bytes of the central directory: packages have a file for each entity, and two for themselves."""
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_PIECE = 1 << 18
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Stopped(Exception):
    """Nobody waits for a file any longer."""


@contextmanager
def opened(
    package: Path, name: str | None, max_bytes: int, is_stopped: Callable[[], bool]
) -> Iterator[BufferedReader]:
    """Yield the file with this name, or the only one that is no XML, as bytes. Blocks; raises OSError.

    ``is_stopped`` says whether nobody waits for it any longer. Raises UpstreamMalformed for a package without such a
    file, and for one that is broken or larger than ``max_bytes``.
    """
    try:
        with package.open("rb") as file:
            _check_directory(file, package.stat().st_size)
            with zipfile.ZipFile(file) as archive:
                entry = _entry(archive, name)
                with archive.open(entry) as content:
                    _check_whole(content, max_bytes, is_stopped)
                with archive.open(entry) as content:
                    yield BufferedReader(_Raw(content), _PIECE)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, struct.error) as error:
        raise UpstreamMalformed(
            "The data package is broken, or not a ZIP file.", detail=f"{type(error).__name__}"
        ) from error


def encoding_of(file: BufferedReader, default: str) -> str:
    """Return the encoding that the first bytes of a file show, without taking them."""
    head = file.peek(4)
    return next((name for mark, name in BYTE_ORDER_MARKS if head.startswith(mark)), default)


class _Raw(RawIOBase):
    """The bytes of an entry."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # any buffer
        piece = self._content.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _check_directory(file: BinaryIO, size: int) -> None:
    """Raise UpstreamMalformed if the directory is so long that reading it would take much memory."""
    start = max(size - _END.size - _MAX_COMMENT, 0)
    file.seek(start)
    tail = file.read()
    at = len(tail) - _END.size
    if at < 0 or tail[at : at + 4] != b"PK\x05\x06" or tail[-2:] != b"\0\0":
        at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise zipfile.BadZipFile
    length = _END.unpack_from(tail, at)[5]
    if at >= _LOCATOR.size and tail[at - _LOCATOR.size : at][:4] == b"PK\x06\x07":
        place = start + at - _LOCATOR.size - _END64.size
        if place < 0:
            raise zipfile.BadZipFile
        file.seek(place)
        length = max(
            length if length != 0xFFFF_FFFF else 0, _END64.unpack(file.read(_END64.size))[8]
        )
    if length > _MAX_DIRECTORY:
        raise UpstreamMalformed("The data package has too many files.")
    file.seek(0)


def _entry(archive: zipfile.ZipFile, name: str | None) -> zipfile.ZipInfo:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if name is None:
        matching = [entry for entry in entries if not entry.filename.lower().endswith(".xml")]
    else:
        matching = [entry for entry in entries if entry.filename == name]
    if len(matching) != 1:
        raise UpstreamMalformed(
            "The data package has not exactly one file of rows."
            if name is None
            else f"The data package has not exactly one file {name}.",
            hint="A data project has one entity; packages.sets.NAME.file names its file.",
        )
    entry = matching[0]
    if entry.compress_type not in _METHODS or entry.flag_bits & _ENCRYPTED:
        raise UpstreamMalformed("The data package is encrypted, or compressed in another way.")
    return entry


def _check_whole(content: IO[bytes], max_bytes: int, is_stopped: Callable[[], bool]) -> None:
    """Read a file to its end, which checks its checksum. Raises UpstreamMalformed, BadZipFile."""
    size = 0
    while piece := content.read(_PIECE):
        size += len(piece)
        if is_stopped():
            raise Stopped
        if size > max_bytes:
            raise UpstreamMalformed(
                f"The file in the data package has more than {max_bytes:,} bytes.",
                hint="Setting: packages.max_file_bytes.",
            )
