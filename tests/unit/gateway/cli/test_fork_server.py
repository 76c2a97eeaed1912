"""How workers start: by the fork server where it can have its socket."""

import signal
import tempfile
from pathlib import Path

import pytest

from gateway.cli.fork_server import LONGEST_FOLDER, accept_signals, start_method


@pytest.mark.parametrize(
    ("length", "method"), [(LONGEST_FOLDER, "forkserver"), (LONGEST_FOLDER + 1, "spawn")]
)
def test_the_path_of_the_socket_must_fit(
    length: int, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/".ljust(length, "t"))

    assert start_method().get_start_method() == method


def test_workers_start_by_themselves_without_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", missing)

    assert start_method().get_start_method() == "spawn"


def test_a_forked_worker_accepts_the_signals_that_were_blocked() -> None:
    blocked = {signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        accept_signals()

        assert blocked.isdisjoint(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
