"""The files of jobs: in a folder or an object store, each named by the SHA-256 of its content.

    jobs/ID/3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea

A file appears under its name when it is complete and on disk, so a process that is killed leaves no half part. Writing
the same part again changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from gateway.storage.private_files import make_own_folder, open_own

PIECE = 1 << 18
"""Bytes that are read at a time."""
_WRITING = ".writing-"
UPLOADS = "uploads"
_DAY = 86_400.0


class PartStore(Protocol):
    """Where the files of jobs are."""

    def prepare(self, job_id: str) -> None:
        """Make room for the files of a new job. Blocks; raises OSError."""
        ...

    def scratch(self, job_id: str) -> tempfile.TemporaryDirectory[str]:
        """Return a folder of this machine for files that are being written."""
        ...

    def upload(self) -> tempfile.TemporaryDirectory[str]:
        """Return a folder for a file that a job will read. Raises OSError."""
        ...

    async def sweep(self, job_id: str) -> None:
        """Remove what a killed process was writing. Raises OSError."""
        ...

    async def put(self, job_id: str, file: Path, sha256: str) -> None:
        """Store a file under its digest; it may be moved. Raises OSError."""
        ...

    def read(
        self, job_id: str, sha256: str, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """Yield the bytes of a file from ``start`` to ``end`` (exclusive). Blocks; raises OSError."""
        ...

    async def remove(self, job_id: str) -> None:
        """Remove the files of a job, if there are any. Raises OSError."""
        ...

    @property
    def may_have_jobs(self) -> bool:
        """Whether a job may have been started here."""
        ...


class FolderParts:
    """The files of jobs in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def may_have_jobs(self) -> bool:
        """Whether the folder exists, which is made with the first job."""
        return self._folder.exists()

    def prepare(self, job_id: str) -> None:
        """Make the folder of a job. Raises OSError."""
        make_own_folder(self._folder)
        make_own_folder(self._folder / job_id)

    def scratch(self, job_id: str) -> tempfile.TemporaryDirectory[str]:
        """Return a folder beside the files, from which they are moved. Raises OSError."""
        self.prepare(job_id)
        return tempfile.TemporaryDirectory(
            prefix=_WRITING, dir=self._folder / job_id, ignore_cleanup_errors=True
        )

    def upload(self) -> tempfile.TemporaryDirectory[str]:
        """Return a folder beside those of the jobs; what killed processes have left is removed. Raises OSError."""
        for left in (self._folder / UPLOADS).glob(f"{_WRITING}*"):
            if left.stat().st_mtime < time.time() - _DAY:
                shutil.rmtree(left, ignore_errors=True)
        return self.scratch(UPLOADS)

    async def sweep(self, job_id: str) -> None:
        """Remove folders that were not removed by who wrote there. Raises OSError."""
        for folder in (self._folder / job_id).glob(f"{_WRITING}*"):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def put(self, job_id: str, file: Path, sha256: str) -> None:
        """Move a file to its name, on disk. Raises OSError."""
        await asyncio.to_thread(self._put, self._folder / job_id, file, sha256)

    @staticmethod
    def _put(folder: Path, file: Path, sha256: str) -> None:
        handle = os.open(file, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        file.replace(folder / sha256)
        directory = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def read(
        self, job_id: str, sha256: str, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """Yield the bytes of a file. Raises OSError."""
        with open_own(self._folder / job_id / sha256) as file:
            file.seek(start)
            left = None if end is None else end - start
            while piece := file.read(PIECE if left is None else min(PIECE, left)):
                yield piece
                if left is not None:
                    left -= len(piece)

    async def remove(self, job_id: str) -> None:
        """Remove the folder of a job. Raises OSError."""
        await asyncio.to_thread(self._remove, self._folder / job_id)

    @staticmethod
    def _remove(folder: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
