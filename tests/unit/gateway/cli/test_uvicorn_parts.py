"""What the code uses of uvicorn's undocumented classes: an update that renames any of it fails here first."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import uvicorn
from uvicorn.config import Config
from uvicorn.lifespan.on import LifespanOn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from gateway.cli import bounded_http, exchanges, server, sockets, uvicorn_parts

ROOT = Path(__file__).parents[4]
SUBCLASSES = [
    bounded_http.BoundedProtocol,
    exchanges.Exchange,
    sockets.StoppableWebSocket,
    server.GracefulServer,
    server.WorkerProcess,
    server.Workers,
]
PARTS = {
    "cycle": RequestResponseCycle,
    "flow": FlowControl,
    "server_state": ServerState,
    "config": Config,
    "lifespan": LifespanOn,
    "process": uvicorn_parts.Process,
    "connection": uvicorn_parts.HttpToolsProtocol,
}
"""Name of a variable or attribute in our code → the class of uvicorn that it holds."""


def used_of_self(cls: type) -> Iterator[str]:
    """Yield the attributes of ``self`` that a class uses and does not define."""
    tree = ast.parse(inspect.getsource(cls))
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    own = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    own |= {n.attr for n in attributes if isinstance(n.ctx, ast.Store) and n.attr.startswith("_")}
    own |= {
        node.target.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute)
    }
    for node in attributes:
        holder = ast.unparse(node.value)
        if holder == "super()" or (holder == "self" and node.attr not in own | ADDED):
            yield node.attr
    # Methods that replace uvicorn's: without the original nobody would call them.
    yield from (name for name in own if not name.startswith("_") and name not in ADDED)


ADDED = {
    *("eof_received", "is_running", "metrics", "reload", "states"),
    *("follow", "refused", "reload_settings", "settings", "workers"),
    *("leave", "on_gone", "take_body", "unwatch", "watch"),
}
"""Members that a class adds to uvicorn's."""


def used_of_parts(module: object) -> Iterator[tuple[str, str]]:
    """Yield ``("cycle", "keep_alive")`` for ``self.cycle.keep_alive`` and ``cycle.keep_alive``."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):  # type: ignore[arg-type]
        if isinstance(node, ast.Attribute):
            holder = node.value
            name = holder.attr if isinstance(holder, ast.Attribute) else getattr(holder, "id", "")
            if name in PARTS and node.attr not in ADDED:
                yield name, node.attr


READABLE = {__name__, *(m for m in sys.modules if m.startswith("uvicorn."))}


def missing(cls: type, names: set[str]) -> set[str]:
    """Return the names that a class has neither as a member nor as an attribute of its instances."""
    sources = [inspect.getsource(c) for c in cls.__mro__ if c.__module__ in READABLE]
    return {
        name
        for name in names
        if not hasattr(cls, name)
        and not any(re.search(rf"\bself\.{name}\b|^    {name}:", s, re.MULTILINE) for s in sources)
    }


@pytest.mark.parametrize("cls", SUBCLASSES, ids=lambda cls: cls.__name__)
def test_uvicorn_has_what_a_subclass_uses(cls: type) -> None:
    names = set(used_of_self(cls))

    assert names
    assert missing(cls.__base__, names) == set()  # type: ignore[arg-type]


def test_uvicorn_has_what_is_used_of_its_parts() -> None:
    used = {pair for module in (bounded_http, sockets, server) for pair in used_of_parts(module)}

    assert {"response_complete", "keep_alive", "message_event"} <= {
        a for p, a in used if p == "cycle"
    }
    assert {name for name, _ in used} == PARTS.keys()
    for name, cls in PARTS.items():
        assert missing(cls, {attr for part, attr in used if part == name}) == set(), name


def test_a_vanished_attribute_is_noticed() -> None:
    class Changed:
        """uvicorn's protocol after an update that renamed ``cycle``."""

        def connection_made(self) -> None:
            self.cycles = None

    assert missing(Changed, {"connection_made", "cycle", "cycles"}) == {"cycle"}


def test_private_parts_are_pinned_to_a_minor_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (pin,) = (name for name in project["dependencies"] if name.startswith("uvicorn"))
    major, minor, _ = map(int, version("uvicorn").split("."))

    assert pin == f"uvicorn>={major}.{minor},<{major}.{minor + 1}"
    assert uvicorn.__version__ == version("uvicorn")


def test_nothing_else_is_there() -> None:
    with pytest.raises(AttributeError):
        _ = uvicorn_parts.nothing
