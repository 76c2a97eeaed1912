"""A port and signals: what the programs that stay have in common."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

from gateway.errors import SettingsError

BACKLOG = 2_048


def listen(host: str, port: int) -> socket.socket:
    """Bind before anything slow, so that a port in use is known at once. Raises SettingsError."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise cannot_listen(host, port, error) from error
    listener.set_inheritable(True)
    return listener


def cannot_listen(host: str, port: int, error: OSError) -> SettingsError:
    hint = "Stop what listens there, or give another --port (0: any free one)."
    if isinstance(error, socket.gaierror):
        hint = "--host is an address of this machine: 127.0.0.1, 0.0.0.0 (all), ::1."
    return SettingsError(f"Cannot listen on {host}:{port}: {error.strerror}.", hint=hint)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches the interface: ``127.0.0.1``, ``::1``, ``localhost``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def address_of(listener: socket.socket, host: str) -> str:
    """``http://127.0.0.1:8000``."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def on_stop(stop: Callable[[], None]) -> None:
    """Call ``stop`` for Ctrl-C and SIGTERM, and end with exit code 0: to be stopped is no failure.

    uvicorn has handlers of its own while it serves, then raises the signal again for these.
    """
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop())


def terminal_watch() -> Callable[[], bool]:
    """Return a function that tells whether the terminal at which the process was started is gone.

    Its end is told by SIGHUP, which otherwise asks a server to read anew what it serves.
    """
    terminals = [number for number in range(3) if os.isatty(number)]
    return lambda: bool(terminals) and not any(map(os.isatty, terminals))


def leave() -> NoReturn:
    """End the process."""
    raise SystemExit(0)
