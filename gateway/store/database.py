"""The database of the store: transactions for threads of several processes and machines.

``sqlite`` and ``postgresql`` say how one is opened and locked; the statements are the same. Importing SQLAlchemy takes
0.4 s, so this module is imported with the first use of the store.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import SettingsError, StoreDamaged, StoreLayoutMismatch, StoreUnavailable

from .faults import RESTORE, is_damage
from .layout import VERSIONS, Layout, layout_of, upgrade


class Database(ABC):
    """A database. Its methods block: the event loop calls them in a thread. All raise StoreUnavailable."""

    schema: str | None = None
    """Of PostgreSQL: where the tables are."""
    hint: str
    """What to do if it cannot be used."""

    def __init__(self, name: str) -> None:
        """``name`` says to people which database it is, without a secret."""
        self.name = name
        self._engine: sa.Engine | None = None
        self._lock = threading.Lock()
        self._is_current = False
        """Whether the layout is that of this program."""

    @property
    @abstractmethod
    def exists(self) -> bool:
        """Whether anything was ever stored."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[sa.Connection]:
        """Return a connection for reading, with a transaction."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[sa.Connection]:
        """Return a connection with a transaction, which is committed at the end."""

    @abstractmethod
    def _begin_migration(self) -> AbstractContextManager[sa.Connection]:
        """Return a connection with a transaction, and with the lock that only one migration has."""

    @abstractmethod
    def _make_engine(self) -> sa.Engine:
        """Return an engine. Raises OSError if the place of the database cannot be trusted."""

    def announce(self, connection: sa.Connection, subject: str) -> None:  # noqa: B027 - the default
        """Tell other processes of a change once the transaction is committed, if the database can. Others poll."""

    def problems(self) -> Sequence[str]:
        """Return what is damaged, if the database can say so."""
        self.layout()
        return ()

    def back_up(self, target: Path) -> None:  # noqa: ARG002 - the default
        """Write a consistent copy, while others go on. Raises SettingsError if the database has tools of its own."""
        raise SettingsError(
            f"The store {self.name} is copied by its own tools.", hint="Use pg_dump."
        )

    def erase_deleted(self) -> None:  # noqa: B027 - the default
        """Overwrite what was deleted, as far as that is up to us."""

    def lock(self, connection: sa.Connection, name: str) -> None:  # noqa: B027 - the default
        """Wait for other transactions of that name, if the database lets several write at a time."""

    def layout(self) -> Layout:
        """Return the layout as it is."""
        if not self.exists:
            return Layout(None)
        with self._errors(), self._open().connect() as connection:
            return layout_of(connection, self.schema)

    def migrate(self) -> tuple[Layout, Layout]:
        """Bring the layout to that of this program; return it as it was and as it is. All happens, or nothing."""
        with self._errors(), self._begin_migration() as connection:
            before = self._bring_up_to_date(connection)
        return before, Layout(VERSIONS[-1])

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def _bring_up_to_date(self, connection: sa.Connection) -> Layout:
        layout = self._check(connection)
        if layout.state != "current":
            upgrade(connection, self.schema)
        return layout

    def _check(self, connection: sa.Connection) -> Layout:
        """Return the layout. Raises StoreLayoutMismatch if this program does not know it."""
        layout = layout_of(connection, self.schema)
        if layout.state == "newer":
            raise StoreLayoutMismatch(
                f"The store {self.name} was written by a newer version of the gateway: its layout is "
                f"{layout.version}, that of this version {VERSIONS[-1]}.",
                hint="Use that version, or another store.",
            )
        return layout

    def _open(self) -> sa.Engine:
        with self._lock:
            if self._engine is not None and self._is_replaced():
                self._engine.dispose()
                self._engine, self._is_current = None, False
            if self._engine is None:
                self._engine = self._make_engine()
            return self._engine

    def _is_replaced(self) -> bool:
        """Return whether another database is in the place of the one that is open."""
        return False

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, SQLAlchemyError) as error:
            cause = getattr(error, "orig", None) or error
            reason = " ".join(str(cause).split()).rstrip(".")
            if is_damage(cause):
                raise StoreDamaged(
                    f"The store {self.name} is damaged: {reason}.", hint=RESTORE
                ) from error
            raise StoreUnavailable(
                f"The store {self.name} cannot be used: {reason}.",
                hint=getattr(error, "hint", None) or self.hint,
            ) from error
