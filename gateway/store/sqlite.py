"""SQLite in WAL mode, for the processes of one machine. A layout that is behind is migrated with the first use.

The file and its folder are private (``private_files``). A store that was never written has no file, and reads as empty.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from gateway.storage.private_files import make_own_folder, open_own

from .database import Database

_BUSY = 5.0
"""Seconds to wait for a transaction of another process."""
_PRIVATE = 0o600
_USED: set[Path] = set()
"""Files that this process has read or written."""


class SqliteDatabase(Database):
    """The database in one file."""

    hint = "Make data_dir writable for the user of the gateway, or set it to another folder."

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path
        self._file: tuple[int, int] | None = None
        """Device and number of the file that is open."""

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return self.path.exists()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection for reading, with a transaction."""
        with self._errors():
            if not self._is_current and self._is_behind():
                self.migrate()
            with self._open().connect() as connection:
                _USED.add(self.path)
                yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield a connection with a transaction, which is committed at the end."""
        with self._errors(), self._begin_migration() as connection:
            if not self._is_current:
                self._bring_up_to_date(connection)
            yield connection
        self._is_current = True
        _USED.add(self.path)

    def erase_deleted(self) -> None:
        """Move the log into the file, where deleted rows are zeros. One that others read stays for now."""
        if not self.exists:
            return
        with self._errors(), self._open().connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _begin_migration(self) -> Iterator[sa.Connection]:
        self._create()
        with self._open().connect() as connection:
            # From its start: a transaction that reads first could not write after another one has.
            connection.execution_options(immediate=True)
            with connection.begin():
                yield connection

    def _is_behind(self) -> bool:
        with self._open().connect() as connection:
            self._is_current = self._check(connection).state == "current"
        return not self._is_current

    def _create(self) -> None:
        """Make the file, with a mode that SQLite gives to its companions (``-wal``, ``-shm``) as well.

        Raises FileNotFoundError if it was there before: who reads an empty one in its place would forget everything.
        """
        if self.path in _USED and not self.exists:
            raise FileNotFoundError(f"{self.path} is missing")
        make_own_folder(self.path.parent)
        # Through a link, a file would be made at the place that it leads to.
        own = getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(self.path, os.O_CREAT | os.O_RDWR | own, _PRIVATE)
        os.close(handle)

    def _is_replaced(self) -> bool:
        return self._file != self._status()

    def _status(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _make_engine(self) -> sa.Engine:
        open_own(self.path).close()  # raises if other users could have written it
        self._file = self._status()
        url = sa.URL.create("sqlite", database=str(self.path))
        # isolation_level None: the driver begins no transactions, so that those of ``_begin`` are the only ones.
        options = {"timeout": _BUSY, "isolation_level": None}
        engine = sa.create_engine(url, connect_args=options, pool_size=2)
        sa.event.listen(engine, "connect", _prepare)
        sa.event.listen(engine, "begin", _begin)
        return engine


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # Readers do not wait for writers, nor these for readers.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    # Keys of secrets are deleted so that nobody can read these again.
    connection.execute("PRAGMA secure_delete=ON")


def _begin(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
