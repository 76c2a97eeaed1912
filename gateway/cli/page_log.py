"""The pages that an interrupted export has read: beside its target, until that is written.

    .customers.parquet.resume/pages     a JSON array of rows a line
    .customers.parquet.resume/state     how many bytes of that count, and where the list goes on

The file is written from the log, so it has the same bytes whether the export was interrupted or not.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from gateway.errors import SettingsError
from gateway.export.pages import Rows
from gateway.request import GraphQLRequest
from gateway.storage.private_files import make_own_folder

from .replaced_file import replacing

_SYNC = 2.0
"""Seconds of reading that are lost at most."""


def has_log(target: Path) -> bool:
    """Return whether pages of an interrupted export are there."""
    return (_folder_of(target) / "state").exists()


def _folder_of(target: Path) -> Path:
    return target.parent / f".{target.name}.resume"


class _State(Struct, frozen=True, kw_only=True):
    digest: str
    """Of what is exported."""
    size: int = 0
    rows: int = 0
    after: str | None = None
    is_complete: bool = False


class PageLog:
    """The log of one export. Raises OSError."""

    def __init__(self, target: Path, scope: tuple[object, ...], first: GraphQLRequest) -> None:
        """``scope`` and ``first`` say what is exported. Raises SettingsError if the log is that of something else."""
        self._folder = _folder_of(target)
        described = (scope, first.query, first.variables, first.companies)
        digest = hashlib.sha256(msgspec.json.encode(described)).hexdigest()
        self._state = self._read() or _State(digest=digest)
        if self._state.digest != digest:
            raise SettingsError(
                f"--resume: {self._folder} is that of another export.",
                hint="Repeat the command that was interrupted, or remove the folder.",
            )
        make_own_folder(self._folder)
        path = self._folder / "pages"
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        self._file.truncate(self._state.size)
        self._file.seek(self._state.size)
        self._last = self._state
        self._synced = time.monotonic()
        self._is_done = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep what was read; if the target was written, remove the log."""
        if kind is None:
            self._file.close()
            shutil.rmtree(self._folder)
            return
        self._sync()
        self._file.close()

    @property
    def after(self) -> str | None:
        """Cursor behind which the list goes on."""
        return self._last.after

    @property
    def is_complete(self) -> bool:
        """Whether there are no further pages."""
        return self._last.is_complete

    @property
    def rows(self) -> int:
        """Rows in the log."""
        return self._last.rows

    @property
    def size(self) -> int:
        """Bytes of the log."""
        return self._last.size

    def append(self, rows: Rows) -> None:
        """Add a page."""
        line = bytes(rows.nodes) + b"\n"
        self._file.write(line)
        self._last = _State(
            digest=self._state.digest,
            size=self._last.size + len(line),
            rows=self._last.rows + len(msgspec.json.decode(rows.nodes, type=list[msgspec.Raw])),
            after=rows.page_info.end_cursor or self._last.after,
            is_complete=not rows.page_info.has_next_page,
        )
        if self._last.is_complete or time.monotonic() - self._synced > _SYNC:
            self._sync()

    async def pages(self) -> AsyncGenerator[Rows, None]:
        """Yield all pages."""
        self._file.flush()
        with (self._folder / "pages").open("rb") as lines:
            for line in lines:
                yield Rows(nodes=msgspec.Raw(line))

    def _sync(self) -> None:
        """Bring the pages to the disk, and then what counts of them."""
        self._file.flush()
        os.fsync(self._file.fileno())
        with replacing(self._folder / "state") as file:
            file.write(msgspec.json.encode(self._last))
        self._synced = time.monotonic()

    def _read(self) -> _State | None:
        try:
            return msgspec.json.decode((self._folder / "state").read_bytes(), type=_State)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            raise SettingsError(
                f"--resume: {self._folder} holds no log.", hint="Remove the folder."
            ) from None
