"""Processes that use one SQLite store at a time, and are killed at random: ``python -m tests.support.store_stress``.

Prints, as JSON, what SQLite says of the store at the end, how many changes it has, and how many should be in it: those
whose transactions have returned, for which the process then writes a byte to a pipe.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import alembic.command  # noqa: F401 - imported once, before the processes part
import sqlalchemy as sa

from gateway.errors import StoreUnavailable
from gateway.store.revisions import count_change, revisions_in
from gateway.store.sqlite import SqliteDatabase
from gateway.store.tables import API_KEYS

SUBJECT = "api_keys"
_TEXT = "x" * 3000


def main(path: Path, seconds: float, processes: int, seed: int) -> None:
    """Run the processes for a while; kill and replace one every few tenths of a second."""
    generator = random.Random(seed)
    done, tell = os.pipe()
    running = [_start(path, generator.random(), tell) for _ in range(processes)]
    end, killed = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        time.sleep(generator.uniform(0.05, 0.6))
        place = generator.randrange(processes)
        _kill(running[place])
        running[place] = _start(path, generator.random(), tell)
        killed += 1
    for process in running:
        _kill(process)
    os.close(tell)
    with os.fdopen(done, "rb") as pipe:
        changes = len(pipe.read())
    with sqlite3.connect(path) as store:
        try:
            verdict = [row[0] for row in store.execute("PRAGMA integrity_check")]
            query = "SELECT number FROM revisions WHERE subject = ?"
            stored = store.execute(query, (SUBJECT,)).fetchone()[0]
        except sqlite3.DatabaseError as error:
            verdict, stored = [str(error)], 0
    print(json.dumps({"verdict": verdict, "changes": changes, "stored": stored, "killed": killed}))


def _start(path: Path, seed: float, tell: int) -> int:
    process = os.fork()
    if not process:
        try:
            _work(path, random.Random(seed), tell)
        finally:
            os._exit(0)
    return process


def _kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def _work(path: Path, generator: random.Random, tell: int) -> None:
    """Change the store as a gateway does, which follows it in a thread; or as commands do, which open and leave it."""
    if generator.random() < 0.5:
        threading.Thread(target=_follow, args=(SqliteDatabase(path),), daemon=True).start()
    while True:
        database = SqliteDatabase(path)
        for _ in range(generator.randrange(1, 6)):
            with suppress(StoreUnavailable):
                if generator.random() < 0.2:
                    database.migrate()
                _change(database, generator)
                os.write(tell, b".")
        if generator.random() < 0.3:
            with suppress(StoreUnavailable):
                database.erase_deleted()
        database.close()


def _follow(database: SqliteDatabase) -> None:
    while True:
        with suppress(StoreUnavailable), database.reading() as connection:
            revisions_in(connection)
            connection.execute(sa.select(API_KEYS)).all()
        time.sleep(0.01)


def _change(database: SqliteDatabase, generator: random.Random) -> None:
    with database.writing() as connection:
        count_change(database, connection, SUBJECT)
        key = str(generator.randrange(40))
        connection.execute(API_KEYS.delete().where(API_KEYS.c.id == key))
        size = generator.randrange(len(_TEXT))
        row = {"id": key, "name": _TEXT[:size], "digest": key, "roles": "", "created": 0.0}
        connection.execute(API_KEYS.insert().values({**row, "environments": ""}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
