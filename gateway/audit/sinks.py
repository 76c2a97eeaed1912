"""Where the lines of one chain go: files, standard output, syslog. They are called by one thread only.

A file is private, begins anew each day (UTC) and at a size, and is named after its time and chain:
``audit-20261130T082313Z-4711-9f3a6c01-0001.jsonl``. What could be written of a line in part is taken back, so that
a disk that is full for a while breaks no chain.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from logging.handlers import SysLogHandler
from pathlib import Path
from typing import Protocol, TextIO

from gateway.storage.private_files import make_own_folder

SUFFIX = ".jsonl"
_PREFIX = "audit-"
PATTERN = f"{_PREFIX}*{SUFFIX}"
_PRIVATE = 0o600
_SYSLOG_PORT = 514


class Sink(Protocol):
    """Where lines go. All methods raise OSError."""

    def begins_file(self, size: int) -> bool:
        """Return whether the next line, of so many bytes, begins a new file (or the chain)."""
        ...

    def write(self, line: bytes) -> None:
        """Write a line, or nothing of it."""
        ...

    def sync(self) -> None:
        """Make what was written outlast a power failure."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class FileSink:
    """Files in a folder, for one chain."""

    def __init__(self, folder: Path, chain: str, max_bytes: int) -> None:
        self.folder = folder
        self._chain = chain
        self._max_bytes = max_bytes
        self._handle: int | None = None
        self._day = ""
        self._size = 0
        self.number = 0
        """Number of the current file in its chain."""
        self.path: Path | None = None

    def begins_file(self, size: int) -> bool:
        """Open a new file if there is none, the day is over, or the current one would grow too large."""
        is_full = self._size > 0 and self._size + size > self._max_bytes
        if self._handle is not None and not is_full and self._day == _day():
            return False
        self.close()
        make_own_folder(self.folder)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = self.folder / f"{_PREFIX}{stamp}-{self._chain}-{self.number + 1:04}{SUFFIX}"
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, _PRIVATE)
        self.path, self._day, self._size = path, _day(), 0
        self.number += 1
        _sync_folder(self.folder)
        return True

    def write(self, line: bytes) -> None:
        """Append a line. A new file whose first line cannot be written is removed."""
        assert self._handle is not None
        try:
            write_all(self._handle, line)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self._size)
            if self._size == 0:
                self._discard()
            raise
        self._size += len(line)

    def sync(self) -> None:
        """Flush the file to its device."""
        if self._handle is not None:
            os.fsync(self._handle)

    def close(self) -> None:
        """Close the file, which is then complete."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with contextlib.suppress(OSError):
                os.fsync(handle)
            os.close(handle)

    def _discard(self) -> None:
        self.close()
        self.number -= 1
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.path = None

    def others(self) -> Iterator[Path]:
        """Yield the other files of the folder, the oldest first."""
        for path in sorted(self.folder.glob(PATTERN)):
            if path != self.path:
                yield path

    def is_complete(self, path: Path) -> bool:
        """Return whether nothing is written to another file of the folder: it is our own, or not of today."""
        return f"-{self._chain}-" in path.name or path.name[len(_PREFIX) :][:8] < _day()


def write_all(handle: int, content: bytes) -> None:
    """Write bytes to a file descriptor, in as many steps as it takes. Raises OSError."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _day() -> str:
    return time.strftime("%Y%m%d", time.gmtime())


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file durable, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Stream:
    """A sink without files: its chain begins once."""

    has_begun = False

    def begins_file(self, size: int) -> bool:  # noqa: ARG002 - a sink's signature
        """Return whether this is the first line."""
        return not self.has_begun

    def sync(self) -> None:
        """Do nothing: it is the business of whoever receives the lines."""

    def close(self) -> None:
        """Leave it open: others use it, too."""


class StreamSink(_Stream):
    """Standard output, for whatever collects it; or standard error, of commands that print something else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: bytes) -> None:
        """Write a line in one piece, so that those of several processes do not mix."""
        self._stream.flush()
        write_all(self._stream.fileno(), line)
        self.has_begun = True


class SyslogSink(_Stream):
    """The system's log, or that of another machine, in the facility ``authpriv``."""

    def __init__(self, address: str) -> None:
        """``address`` is a socket's path, or ``host:port`` (UDP)."""
        self._address: str | tuple[str, int] = address
        if not address.startswith("/"):
            host, _, port = address.rpartition(":")
            self._address = (host, int(port)) if host else (address, _SYSLOG_PORT)
        self._handler: _RaisingHandler | None = None

    def write(self, line: bytes) -> None:
        """Send a line as a message."""
        if self._handler is None:
            self._handler = _RaisingHandler(self._address, facility=SysLogHandler.LOG_AUTHPRIV)
            self._handler.ident = "d365-graphql-audit: "
        text = line.decode().rstrip("\n")
        self._handler.emit(logging.LogRecord("audit", logging.INFO, "", 0, text, None, None))
        self.has_begun = True

    def close(self) -> None:
        """Close the socket."""
        if self._handler is not None:
            self._handler.close()


class _RaisingHandler(SysLogHandler):
    """A handler whose errors are not printed and forgotten."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's name
        """Raise what was raised."""
        error = sys.exception()
        assert error is not None
        raise OSError(f"syslog: {error}") from error
