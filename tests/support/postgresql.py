"""A real PostgreSQL of Debian, started once for all tests of a process and without regard for what survives a crash."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from pydantic import SecretStr

from gateway.config.settings import Settings
from gateway.store.opening import open_database

from .requirements import need

USER, PASSWORD = "gateway", "pass word/42"
MISSING = "no PostgreSQL: sudo apt-get install postgresql"
_QUICK = ("fsync=off", "full_page_writes=off", "shared_buffers=16MB")


@dataclass(frozen=True)
class Postgres:
    """A server, and the databases of tests in it."""

    folder: Path
    bin: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)
    databases: list[str] = field(default_factory=list)

    def address(self, database: str, password: str = PASSWORD) -> str:
        """Return the setting ``store`` for a database."""
        quoted = password.replace(" ", "%20").replace("/", "%2F")
        return f"postgresql://{USER}:{quoted}@/{database}?host={self.folder}"

    def execute(self, statement: sql.SQL | sql.Composed, database: str = "postgres") -> None:
        """Run a statement as the superuser, outside of a transaction."""
        with psycopg.connect(self.address(database), autocommit=True) as connection:
            connection.execute(statement)

    def new_database(self, *, migrated: bool = True) -> SecretStr:
        """Return the setting ``store`` for a new database: with the tables, or empty.

        The one before is dropped, for each takes 12 MB of the disk.
        """
        while self.databases:
            former = sql.Identifier(self.databases.pop())
            self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(former))
        name = f"test_{next(self.numbers)}"
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        template = sql.Identifier("migrated" if migrated else "template0")
        self.execute(made.format(sql.Identifier(name), template))
        self.databases.append(name)
        return SecretStr(self.address(name))

    def control(self, *arguments: str) -> None:
        """Run ``pg_ctl``."""
        data = str(self.folder / "data")
        command = [str(self.bin / "pg_ctl"), "--pgdata", data, "--silent", "--wait"]
        with (self.folder / "pg_ctl.txt").open("w") as output:
            subprocess.run(
                [*command, *arguments], check=True, stdout=output, stderr=output, **_user(), cwd="/"
            )

    def start(self) -> None:
        """Start the server, which listens on a socket in its folder only."""
        options = " ".join(f"-c {option}" for option in _QUICK)
        options += f" -c listen_addresses= -c unix_socket_directories={self.folder}"
        self.control("--log", str(self.folder / "server.log"), "--options", options, "start")

    def stop(self) -> None:
        """Stop the server, and close its connections."""
        self.control("--mode", "immediate", "stop")


def binaries() -> Path | None:
    """Return the folder of the server's programs; Debian has them in none of the path."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb")
    path = installed[-1] if installed else found and Path(found)
    return path.parent if path else None


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Yield a server with the database ``migrated``. Skips the test if there are no programs; in CI it fails."""
    programs = binaries()
    need(programs, MISSING)
    assert programs is not None
    # Not a folder of pytest: another user cannot reach those.
    folder = Path(tempfile.mkdtemp(prefix="d365-pg-"))
    try:
        (folder / "password").write_text(PASSWORD, "utf-8")
        for path in (folder, folder / "password"):
            os.chown(path, *_ids())
        options = ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}", f"--username={USER}"]
        options += ["--no-sync", "--encoding=UTF8", "--locale=C", f"--pgdata={folder / 'data'}"]
        command = [str(programs / "initdb"), *options]
        subprocess.run(command, check=True, capture_output=True, **_user(), cwd="/")
        server = Postgres(folder, programs)
        server.start()
        try:
            server.execute(sql.SQL("CREATE DATABASE migrated"))
            database = open_database(Settings(store=SecretStr(server.address("migrated"))))
            database.migrate()
            database.close()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _ids() -> tuple[int, int]:
    """Return user and group of the server, which refuses to run as root."""
    if os.getuid() != 0:
        return os.getuid(), os.getgid()
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _user() -> Mapping[str, Any]:
    if os.getuid() != 0:
        return {}
    user, group = _ids()
    return {"user": user, "group": group, "extra_groups": []}
