"""Port and signals, for the commands that serve."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

from gateway.errors import SettingsError

BACKLOG = 2_048
"""Connections that may wait to be accepted."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound, not yet listening: a port in use is reported before a slow start.

    Raises SettingsError.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    # Connections of a previous process in TIME_WAIT must not block a restart.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise cannot_listen(host, port, error) from error
    # for the workers
    listener.set_inheritable(True)
    return listener


def cannot_listen(host: str, port: int, error: OSError) -> SettingsError:
    """Return the error for an address that cannot be bound."""
    hint = "Stop the program that listens there, or choose another --port (0: any free port)."
    if isinstance(error, socket.gaierror):
        hint = "--host must be an address of this machine: 127.0.0.1, 0.0.0.0 (all), ::1."
    return SettingsError(f"Cannot listen on {host}:{port}: {error.strerror}.", hint=hint)


def address_of(listener: socket.socket, host: str) -> str:
    """Return the URL of a listener, such as ``http://127.0.0.1:8000``."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def on_stop(stop: Callable[[], None]) -> None:
    """Call ``stop`` on Ctrl-C and SIGTERM.

    uvicorn installs its own handlers while it serves, then restores these and raises the signal again.
    """
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop())


def terminal_watch() -> Callable[[], bool]:
    """Return a function that returns whether the terminal of the process is gone.

    SIGHUP means that, but is also the customary signal to reload.
    """
    terminals = [number for number in range(3) if os.isatty(number)]
    return lambda: bool(terminals) and not any(map(os.isatty, terminals))


def leave() -> NoReturn:
    """Exit with 0: being stopped is not a failure."""
    raise SystemExit(0)
