"""Of uvicorn's undocumented classes the code uses these names: an update that renames one fails here first."""

from __future__ import annotations

import inspect

import pytest

from gateway.cli import uvicorn_parts

METHODS = {
    "HttpToolsProtocol": (
        "connection_made connection_lost data_received on_headers_complete on_message_complete"
        " handle_websocket_upgrade shutdown send_400_response pause_writing resume_writing"
    ),
    "WebSocketsSansIOProtocol": "connection_made connection_lost shutdown",
    "Multiprocess": "run init_processes terminate_all keep_subprocess_alive handle_hup",
    "Process": "start kill join is_alive is_ready pid exitcode server",
}
ATTRIBUTES = {
    "HttpToolsProtocol": "app_state cycle pipeline url headers scope loop transport flow",
    "WebSocketsSansIOProtocol": "app_state close_sent handshake_complete transport",
    "Multiprocess": "processes processes_num should_exit sockets config",
    "Process": "_server config",
}


@pytest.mark.parametrize("name", METHODS)
def test_what_is_used_of_uvicorn_is_there(name: str) -> None:
    found = getattr(uvicorn_parts, name)
    source = inspect.getsource(found)

    assert [m for m in METHODS[name].split() if not hasattr(found, m)] == []
    assert [a for a in ATTRIBUTES[name].split() if f"self.{a}" not in source] == []


def test_nothing_else_is_there() -> None:
    with pytest.raises(AttributeError):
        _ = uvicorn_parts.nothing
