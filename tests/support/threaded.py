"""Serving an application on a local port from a thread of this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Literal

import uvicorn
from starlette.applications import Starlette


@contextmanager
def threaded(app: Starlette, port: int | None = None, *, sockets: bool = False) -> Iterator[str]:
    """Serve an application while the block runs, with WebSockets if requested; yield its address."""
    port = port or free_port()
    ws: Literal["websockets-sansio", "none"] = "websockets-sansio" if sockets else "none"
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", ws=ws))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def free_port() -> int:
    """Return a port on which nothing listens."""
    with closing(socket.socket()) as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port
