"""Programs under test: started on a kernel-given port, ended by their own id, bounded in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from queue import Empty, Queue
from tempfile import TemporaryDirectory
from threading import Thread

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = str(Path(sys.executable).with_name("d365-graphql"))


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment without settings of the gateway, but for those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("D365_")}
    own = {"XDG_DATA_HOME": _data_folder().name, "D365_CACHE_DIR": "none"}
    return {**kept, **own, "D365_LOG_LEVEL": "warning", **settings}


@cache
def _data_folder() -> TemporaryDirectory[str]:
    """Return a folder for what the programs store. It is removed at the end of this process."""
    return TemporaryDirectory(prefix="bench-data-")


class Program:
    """A running program, in a process group of its own."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], stdin: str = "") -> None:
        """``stdin``: its standard input."""
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(env),
            stdin=subprocess.PIPE if stdin else None,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if self._process.stdin is not None:
            with self._process.stdin as pipe:
                pipe.write(stdin)
        self._lines: Queue[str] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def server_pid(self) -> int:
        """Return the process that serves: the last of the line where make or a shell stands before it."""
        pid = self.pid
        while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            pid = int(children[0])
        return pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def line_with(self, text: str, seconds: float = 60) -> str:
        """Wait for a line of its output. Raises TimeoutError, or RuntimeError when it ended."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            try:
                line = self._lines.get(timeout=0.1)
            except Empty:
                if self._process.poll() is not None:
                    raise RuntimeError(f"ended with {self._process.returncode}") from None
                continue
            if text in line:
                return line.strip()
        raise TimeoutError(text)

    def stop(self) -> None:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                os.killpg(self._process.pid, sign)
                try:
                    self._process.wait(5)
                except subprocess.TimeoutExpired:
                    continue
        # It ends when the last process of the group is gone.
        self._reader.join(5)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str], stdin: str = "") -> Iterator[Program]:
    program = Program(command, env, stdin)
    try:
        yield program
    finally:
        program.stop()


@contextmanager
def gateway(*arguments: str, **settings: str) -> Iterator[tuple[Program, str]]:
    """Run ``d365-graphql serve``; gives its address once it is printed."""
    command = [PROGRAM, "serve", "--port", "0", *arguments]
    with running(command, environment(**settings)) as program:
        yield program, address_of(program)


def address_of(program: Program, seconds: float = 60) -> str:
    """Wait for the line ``GraphQL:  http://…``."""
    return program.line_with("GraphQL:  http", seconds).split()[-1]
