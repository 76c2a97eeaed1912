"""Serves the sandbox on a port."""

from __future__ import annotations

import socket

import uvicorn

from .app import create_sandbox
from .settings import SandboxSettings


def run(settings: SandboxSettings | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve until interrupted and print the service root; port 0 lets the kernel choose one."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Listening before the address is printed: a reader may connect at once.
        listener.listen()
        name = f"[{host}]" if ":" in host else host
        app = create_sandbox(settings)
        print(f"Sandbox: http://{name}:{listener.getsockname()[1]}/data", flush=True)
        config = uvicorn.Config(app, log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])
