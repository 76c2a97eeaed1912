"""Connections to the store: SQLite in WAL mode, used by threads of several processes at once.

Importing SQLAlchemy takes 0.4 s, so this module is imported with the first use of the store. The file and its folder
are private (``private_files``). A store that was never written has no file, and reads as empty.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import StoreUnavailable
from gateway.storage.private_files import make_own_folder, open_own

from .tables import STEPS, layout_version, upgrade

_BUSY = 5.0
"""Seconds to wait for a transaction of another process."""
_PRIVATE = 0o600


class Database:
    """The database in one file. Its methods block: the event loop calls them in a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine: sa.Engine | None = None
        self._lock = threading.Lock()
        self._is_current = False
        """Whether the layout is that of this program."""

    @property
    def exists(self) -> bool:
        """Whether anything was ever stored."""
        return self.path.exists()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection for reading. Raises StoreUnavailable, also for what fails inside."""
        with self._errors():
            if not self._is_current and self._is_older():
                with self.writing():
                    pass  # which brings the layout up to date
            with self._open().connect() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield a connection with a transaction, which is committed at the end. Raises StoreUnavailable."""
        with self._errors():
            self._create()
            with self._open().connect() as connection:
                # From its start: a transaction that reads first could not write after another one has.
                connection.execution_options(immediate=True)
                with connection.begin():
                    if not self._is_current:
                        self._check_layout(connection)
                        upgrade(connection)
                    yield connection
            self._is_current = True

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def _is_older(self) -> bool:
        with self._open().connect() as connection:
            self._is_current = self._check_layout(connection) == len(STEPS)
        return not self._is_current

    def _check_layout(self, connection: sa.Connection) -> int:
        """Return the version of the layout. Raises StoreUnavailable if this program does not know it."""
        version = layout_version(connection)
        if version > len(STEPS):
            raise StoreUnavailable(
                f"The store {self.path} was written by a newer version of the gateway.",
                hint="Use that version, or set data_dir to another folder.",
            )
        return version

    def _create(self) -> None:
        """Make the file, with a mode that SQLite gives to its companions (``-wal``, ``-shm``) as well."""
        make_own_folder(self.path.parent)
        # Through a link, a file would be made at the place that it leads to.
        own = getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(self.path, os.O_CREAT | os.O_RDWR | own, _PRIVATE)
        os.close(handle)

    def _open(self) -> sa.Engine:
        with self._lock:
            if self._engine is None:
                open_own(self.path).close()  # raises if other users could have written it
                self._engine = _engine(self.path)
            return self._engine

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, SQLAlchemyError) as error:
            reason = getattr(error, "orig", None) or error
            raise StoreUnavailable(
                f"The store {self.path} cannot be used: {reason}.",
                hint="Make data_dir writable for the user of the gateway, or set it to another folder.",
            ) from error


def _engine(path: Path) -> sa.Engine:
    url = sa.URL.create("sqlite", database=str(path))
    # isolation_level None: the driver begins no transactions, so that those of ``_begin`` are the only ones.
    options = {"timeout": _BUSY, "isolation_level": None}
    engine = sa.create_engine(url, connect_args=options, pool_size=2)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        # Readers do not wait for writers, nor these for readers.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
