"""The command line, run in a process of its own that is always ended, or, which is faster, in this process."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from typer.testing import CliRunner

from gateway.cli.commands import app

PATIENCE = 180.0
"""Seconds to wait for a line or for the end of a process."""


def environment(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without settings, its caches and data in ``folder``."""
    clean = {k: v for k, v in os.environ.items() if not k.upper().startswith("D365_")}
    folders = {"XDG_CACHE_HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")}
    return {**clean, **folders, "COLUMNS": "100", **variables}


@dataclass
class Running:
    """A process that keeps running, and the lines it has printed."""

    process: subprocess.Popen[str]
    log: Path
    lines: list[str] = field(default_factory=list)
    _more: queue.Queue[str | None] = field(default_factory=queue.Queue)

    def wait_for(self, pattern: str) -> str:
        """Return the first group of the next line of standard output that matches.

        Raises AssertionError if the process ends before.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            line = self._more.get(timeout=max(0.0, deadline - time.monotonic()))
            if line is None:
                raise AssertionError(f"the process ended: {self.lines}\n{self.errors}")
            self.lines.append(line)
            if match := re.search(pattern, line):
                return match[1]

    @property
    def errors(self) -> str:
        """Return what was written to standard error so far."""
        return self.log.read_text("utf-8")

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and wait for the exit code."""
        self.process.send_signal(by)
        return self.process.wait(PATIENCE)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._more.put(line.rstrip("\n"))
        self._more.put(None)


@contextmanager
def running(folder: Path, *arguments: str, **variables: str) -> Iterator[Running]:
    """Start ``d365-graphql``; it is ended when the block is left."""
    log = folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "gateway", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(folder, variables),
        ) as process,
    ):
        program = Running(process, log)
        reader = threading.Thread(target=program._read)
        reader.start()
        try:
            yield program
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
            reader.join(PATIENCE)


@dataclass(frozen=True)
class Finished:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def invoke(folder: Path, *arguments: str, stdin: str | None = None, **variables: str) -> Finished:
    """Run a command in this process; environment, log configuration and signal handlers are restored."""
    wanted = environment(folder, variables)
    gone = dict.fromkeys(os.environ.keys() - wanted.keys())
    handlers = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        result = CliRunner().invoke(app, arguments, input=stdin, env={**wanted, **gone})
    finally:
        structlog.reset_defaults()
        for name, handler in handlers.items():
            signal.signal(name, handler)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Finished(result.exit_code, result.stdout, result.stderr)


def run(
    folder: Path, *arguments: str, stdin: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run ``d365-graphql`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(folder, variables),
        check=False,
    )
