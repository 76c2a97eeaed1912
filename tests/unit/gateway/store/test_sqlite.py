"""The SQLite store among the processes of one machine: its locks hold, its log stays bounded, damage is named."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from gateway.errors import StoreDamaged
from gateway.store.faults import for_clients, reason_of
from gateway.store.revisions import count_change, revisions_in
from gateway.store.sqlite import SqliteDatabase
from tests.support.soak import bounded

_VISIT = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1])
store.execute("SELECT count(*) FROM revisions").fetchall()
store.close()
"""
"""Another process that reads the store, and leaves as the last one if nobody holds a lock."""


_NUMBER = "SELECT number FROM revisions WHERE subject = 'api_keys'"


def visit(path: Path) -> None:
    """Read a store from another process."""
    subprocess.run([sys.executable, "-S", "-c", _VISIT, str(path)], check=True, timeout=60)


def change(database: SqliteDatabase) -> None:
    """Count one change of the keys."""
    with database.writing() as connection:
        count_change(database, connection, "api_keys")


SECONDS = bounded(2, 120)
PROCESSES = bounded(4, 10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "gateway.db"


def test_who_leaves_takes_no_log_away_from_others(path: Path) -> None:
    """The log is removed by the last process that closes the store; a process with a connection is not gone."""
    database, another = SqliteDatabase(path), SqliteDatabase(path)
    log = path.with_name("gateway.db-wal")
    change(database)
    # Each opens the file anew: a handle that is closed in between would drop the locks of the whole process.
    change(database)
    change(another)
    number = log.stat().st_ino
    visit(path)
    change(database)

    assert log.stat().st_ino == number
    visit(path)
    reader = sqlite3.connect(path)
    assert reader.execute(_NUMBER).fetchone() == (4,)
    reader.close()
    another.close()
    database.close()


def test_the_log_stays_bounded(path: Path) -> None:
    """SQLite's own checkpoints let others write meanwhile; ours do not, so its own never happen."""
    database = SqliteDatabase(path)
    log = path.with_name("gateway.db-wal")
    sizes = []
    for _ in range(6):
        with database.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS big (content BLOB)")
            connection.exec_driver_sql("INSERT INTO big VALUES (zeroblob(?))", (1_500_000,))
        sizes.append(log.stat().st_size)
    with database.reading() as connection:
        automatic = connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar_one()
    database.close()

    assert automatic == 0
    assert max(sizes) < 4 << 20
    assert sizes.count(0) == 2


def test_a_long_reader_does_not_hold_up_every_write(path: Path) -> None:
    database = SqliteDatabase(path)
    change(database)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute(_NUMBER).fetchone()
    statements = []
    sa.event.listen(
        database._open(), "before_cursor_execute", lambda *event: statements.append(event[2])
    )
    for _ in range(4):
        with database.writing() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 1")
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS big (content BLOB)")
            connection.exec_driver_sql("INSERT INTO big VALUES (zeroblob(?))", (2_500_000,))
    tries = [s for s in statements if "wal_checkpoint" in s]
    reader.close()
    change(database)
    database.close()

    # At 5 and at 10 MB, not at each write from 5 MB on.
    assert len(tries) == 2


def cut(path: Path) -> None:
    """Overwrite pages of a store, as a process that knows nothing of the others' log does."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 30)


@pytest.mark.parametrize("spoil", [cut, lambda path: path.write_bytes(b"no database" * 100)])
def test_a_damaged_store_says_where_and_what_to_do(
    path: Path, spoil: Callable[[Path], object]
) -> None:
    database = SqliteDatabase(path)
    change(database)
    assert not database.problems()
    database.close()
    spoil(path)
    another = SqliteDatabase(path)
    with pytest.raises(StoreDamaged) as caught, another.reading() as connection:
        revisions_in(connection)
    problems = another.problems()
    another.close()

    assert str(path) in caught.value.message
    assert "put a backup in its place" in (caught.value.hint or "")
    assert problems
    # Clients learn neither the place nor that later would be better.
    shown = for_clients(caught.value, "Jobs cannot be read", retry_after=5.0)
    assert shown.message == "Jobs cannot be read: the database of the gateway is damaged."
    assert str(path) not in f"{shown.message}{shown.hint}"
    assert "later" not in f"{shown.message}{shown.hint}"
    assert shown.retry_after is None
    assert str(path) in reason_of(shown)


def test_a_backup_is_made_while_others_write(path: Path, tmp_path: Path) -> None:
    database, writer = SqliteDatabase(path), SqliteDatabase(path)
    change(writer)
    copy = tmp_path / "copy.db"
    with writer.writing() as connection:
        count_change(writer, connection, "api_keys")
        database.back_up(copy)
    with pytest.raises(FileExistsError):
        database.back_up(copy)
    restored = SqliteDatabase(copy)
    with restored.reading() as connection:
        number = revisions_in(connection)["api_keys"]
    for each in (database, writer, restored):
        each.close()

    assert number == 1
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".backup*"))


@pytest.mark.slow
def test_processes_that_are_killed_lose_and_damage_nothing(path: Path) -> None:
    """Gateways and commands, killed at random while they write, migrate, erase, open and leave."""
    script = [sys.executable, "-m", "tests.support.store_stress"]
    arguments = [str(path), str(SECONDS), str(PROCESSES), "1"]
    result = subprocess.run(
        [*script, *arguments], check=True, capture_output=True, timeout=SECONDS + 60
    )
    facts = msgspec.json.decode(result.stdout)

    assert facts["verdict"] == ["ok"]
    # A process may be killed after its transaction and before it says so.
    assert facts["changes"] <= facts["stored"] <= facts["changes"] + facts["killed"] + PROCESSES
