"""Tells the other workers of ``serve --workers`` what environments report, where no shared state does.

    /tmp/d365-graphql-1000-4711/           of the user 1000, and the process 4711 that watches the workers
        4712-5f1c.sock  4713-09ab.sock     one datagram socket of each worker

A report is a datagram to each of the others. One that is lost, because a worker is busy or starts just then, costs
nothing but time: the next poll finds the change.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from gateway.storage.private_files import make_own_folder

from .receiving import Reported

_LARGEST = 1 << 16
"""Bytes of a datagram: more names than that are not told."""


class _Message(Struct, frozen=True):
    environment: str
    reported: Reported


_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(_Message).decode


class WorkerReports:
    """The socket of one worker. Belongs to one event loop."""

    def __init__(self, folder: Path, hear: Callable[[str, Reported], None]) -> None:
        """``hear`` is called with what others tell. Raises OSError, PermissionError for a folder of somebody else."""
        make_own_folder(folder)
        self._folder = folder
        self._own = folder / f"{os.getpid()}-{secrets.token_hex(4)}.sock"
        self._hear = hear
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.bind(str(self._own))
        except OSError:
            self._socket.close()
            # Its path may be too long for a socket. Others may have theirs there.
            with suppress(OSError):
                folder.rmdir()
            raise
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._read)

    @classmethod
    def open(cls, hear: Callable[[str, Reported], None]) -> Self | None:
        """Return the socket of a worker of this process's parent; None where there can be none."""
        if not hasattr(socket, "AF_UNIX"):
            return None
        name = f"d365-graphql-{os.getuid()}-{os.getppid()}"
        try:
            return cls(Path(tempfile.gettempdir()) / name, hear)
        except OSError:
            return None

    def tell(self, environment: str, reported: Reported) -> None:
        """Tell the others what an environment has reported."""
        message = _encode(_Message(environment, reported))
        for path in self._folder.glob("*.sock"):
            if path == self._own:
                continue
            try:
                self._socket.sendto(message, str(path))
            except ConnectionRefusedError:
                # Of a worker that was killed.
                path.unlink(missing_ok=True)
            except OSError:
                continue

    def close(self) -> None:
        """Close the socket, and remove the folder after the last worker."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._own.unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()

    def _read(self) -> None:
        with suppress(BlockingIOError):
            while True:
                try:
                    message = _decode(self._socket.recv(_LARGEST))
                except msgspec.MsgspecError:
                    continue
                self._hear(message.environment, message.reported)
