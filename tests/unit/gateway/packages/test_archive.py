"""``gateway.packages.archive``: a package that is broken, or meant to do harm, is refused before its rows are read."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from gateway.errors import UpstreamMalformed
from gateway.packages.archive import Stopped, encoding_of, opened

ROWS = b"A,B\r\n1,2\r\n"


def package(
    *files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED, entries: int = 0
) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
        for number in range(entries):
            archive.writestr(f"{number:060}.xml", b"")
    return target.getvalue()


GOOD = package(("Manifest.xml", b"<x/>"), ("Customers V3.csv", ROWS))


def read(folder: Path, content: bytes, name: str | None = None, most: int = 1_000) -> bytes:
    path = folder / "package.zip"
    path.write_bytes(content)
    with opened(path, name, most, lambda: False) as file:
        return file.read()


def encrypted(content: bytes) -> bytes:
    changed = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.rfind(mark)
        changed[at + offset] |= 1
    return bytes(changed)


def other_bytes(content: bytes) -> bytes:
    """Return a package whose checksum is not that of its file."""
    at = content.index(ROWS)
    return content[:at] + b"A,B\r\n9,9\r\n" + content[at + len(ROWS) :]


def lies_about_size(content: bytes) -> bytes:
    """Return a package that says of its file that it is small."""
    at = content.rfind(b"PK\x01\x02")
    return content[: at + 24] + struct.pack("<L", 5) + content[at + 28 :]


def long_directory(content: bytes) -> bytes:
    at = content.rfind(b"PK\x05\x06")
    return content[: at + 12] + struct.pack("<L", 500_000_000) + content[at + 16 :]


@pytest.mark.parametrize("name", [None, "Customers V3.csv"])
def test_the_file_of_rows_is_opened(tmp_path: Path, name: str | None) -> None:
    assert read(tmp_path, GOOD, name) == ROWS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "broken"),
        (b"no zip file", "broken"),
        (GOOD[: len(GOOD) // 2], "broken"),
        (GOOD[:-5], "broken"),
        (other_bytes(package(("a.csv", ROWS), method=zipfile.ZIP_STORED)), "broken"),
        (encrypted(GOOD), "encrypted"),
        (package(("a.csv", ROWS), method=zipfile.ZIP_LZMA), "compressed in another way"),
        (package(("Manifest.xml", b"<x/>")), "not exactly one file"),
        (package(("a.csv", ROWS), ("b.csv", ROWS)), "not exactly one file"),
        (package(("a.csv", b"0" * 1_000_000)), "more than 1,000 bytes"),
        (lies_about_size(package(("a.csv", b"0" * 1_000_000))), "more than 1,000 bytes|broken"),
        (long_directory(GOOD), "too many files"),
        (package(("a.csv", ROWS), entries=12_000), "too many files"),
    ],
    ids=range(13),
)
def test_a_package_that_is_not_sound_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(UpstreamMalformed, match=message):
        read(tmp_path, content)
    assert [path.name for path in tmp_path.iterdir()] == ["package.zip"]


def test_names_in_a_package_are_no_paths(tmp_path: Path) -> None:
    assert read(tmp_path, package(("../../etc/passwd", ROWS))) == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["package.zip"]


def test_nobody_waits_for_a_long_file(tmp_path: Path) -> None:
    path = tmp_path / "package.zip"
    path.write_bytes(GOOD)

    with pytest.raises(Stopped), opened(path, None, 1_000, lambda: True):
        pass


@pytest.mark.parametrize("encode", ["utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, encode: str) -> None:
    mark = b"\xfe\xff" if encode == "utf-16-be" else b""
    path = tmp_path / "package.zip"
    path.write_bytes(package(("a.csv", mark + "é,ü".encode(encode))))

    with opened(path, None, 1_000, lambda: False) as file:
        encoding = encoding_of(file, "cp1252")
        assert file.read().decode(encoding) == "é,ü"
