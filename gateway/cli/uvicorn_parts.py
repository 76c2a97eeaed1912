"""The undocumented classes of uvicorn that the gateway builds on; no other module imports them.

The dependency is pinned to a minor version, and ``tests/unit/gateway/cli/test_uvicorn_parts.py`` checks every attribute
that the code uses: if an update of uvicorn renames one, that test fails first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn._subprocess import subprocess_started
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState
from uvicorn.supervisors.multiprocess import Multiprocess, Process

if TYPE_CHECKING:
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = [
    "HEADER_RE",
    "HEADER_VALUE_RE",
    "STARTUP_FAILURE",
    "STATUS_LINE",
    "HttpToolsProtocol",
    "Multiprocess",
    "Process",
    "RequestResponseCycle",
    "ServerState",
    "WebSocketsSansIOProtocol",
    "subprocess_started",
]


def __getattr__(name: str) -> Any:
    """Import the WebSocket protocol when it is first used: it takes 30 ms and 4 MB."""
    if name == "WebSocketsSansIOProtocol":
        from uvicorn.protocols.websockets import websockets_sansio_impl  # noqa: PLC0415 - see above

        return websockets_sansio_impl.WebSocketsSansIOProtocol
    raise AttributeError(name)
