"""SQLite in WAL mode, for the processes of one machine. A layout that is behind is migrated with the first use.

The file and its folder are private (``private_files``). A store that was never written has no file, and reads as empty.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from gateway.errors import StoreDamaged, StoreUnavailable
from gateway.storage.private_files import check_own, make_own_folder, make_private

from .database import Database

_BUSY = 5.0
"""Seconds to wait for a transaction of another process."""
_PRIVATE = 0o600
_LOG = 4 << 20
"""Bytes of the log from which on it is moved into the file."""
_CHECKS = ("integrity_check", "foreign_key_check")
_USED: set[Path] = set()
"""Files that this process has read or written."""


class SqliteDatabase(Database):
    """The database in one file."""

    hint = "Make data_dir writable for the user of the gateway, or set it to another folder."

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._log_limit = _LOG
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
        self._bound_log()

    def problems(self) -> Sequence[str]:
        """Return what SQLite finds damaged, in its own words; rows that refer to none included."""
        if not self.exists:
            return ()
        try:
            with self._errors(), self._open().connect() as connection:
                checks = [connection.exec_driver_sql(f"PRAGMA {check}") for check in _CHECKS]
                found = [" ".join(str(value) for value in row) for rows in checks for row in rows]
        except StoreDamaged as error:
            return (error.message,)
        return tuple(line for row in found for line in row.splitlines() if line != "ok")

    def back_up(self, target: Path) -> None:
        """Write a copy for our user alone, while others go on. Raises FileExistsError, StoreUnavailable, OSError."""
        if target.exists():
            raise FileExistsError(errno.EEXIST, "there is such a file already", str(target))
        if not self.exists:
            raise StoreUnavailable(
                f"There is no store {self.name} yet.", hint="Nothing was stored."
            )
        with TemporaryDirectory(dir=target.parent, prefix=".backup-") as folder:
            draft = Path(folder) / target.name
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE))
            with self._errors(), self._open().connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.exec_driver_sql("VACUUM INTO ?", (str(draft),))
            os.link(draft, target)

    def _bound_log(self) -> None:
        """Move a long log into the file, where others neither write nor move it at that time.

        What SQLite does by itself after a commit lets others write meanwhile, which may damage the file up to its
        version 3.51.2 (https://sqlite.org/wal.html#walresetbug).
        """
        try:
            size = self._log.stat().st_size
        except FileNotFoundError:
            return
        if size < self._log_limit:
            return
        with suppress(StoreUnavailable), self._errors(), self._open().connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            (is_busy, *_) = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
            # Somebody who reads for long holds up one write now and then, not each of them.
            self._log_limit = _LOG + (size if is_busy else 0)

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

        An existing one is not opened, not even by another handle than SQLite's: to close that would drop the locks of
        this process (https://sqlite.org/howtocorrupt.html, section 2.2). Raises FileNotFoundError if it was there
        before: who reads an empty one in its place would forget everything.
        """
        if not self.exists:
            if self.path in _USED:
                raise FileNotFoundError(f"{self.path} is missing")
            make_private(self.path, b"")
        make_own_folder(self.path.parent)

    def _is_replaced(self) -> bool:
        return self._file != self._status()

    def _status(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _make_engine(self) -> sa.Engine:
        check_own(self.path)
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
    connection.execute("PRAGMA wal_autocheckpoint=0")  # see _bound_log
    # Keys of secrets are deleted so that nobody can read these again.
    connection.execute("PRAGMA secure_delete=ON")


def _begin(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return  # SQLAlchemy says that one begins all the same
    immediate = options.get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
