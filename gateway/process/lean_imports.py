"""Skips what libraries import or load without need while serving modules are imported: 130 ms and 8 MiB of every start.

rich, pygments and greenlet are skipped, aiohttp reads no trusted authorities, pydantic looks for no plugins, and
dataclasses compile methods when these are called.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from .late_methods import late_methods

if TYPE_CHECKING:
    import ssl

_TERMINAL = ("rich", "pygments", "greenlet")
"""structlog and httpx import these if they are installed, for tracebacks, green threads and a command line of their
own."""


@contextmanager
def without_terminal_imports() -> Iterator[None]:
    """Let imports of rich and pygments fail in the block. Later imports, as of the progress bar, succeed.

    Dataclasses that are made meanwhile have ``late_methods``.
    """
    # Its plugins are found in the metadata of every installed distribution, and none has a part in the gateway:
    # https://docs.pydantic.dev/latest/concepts/plugins/#using-plugins
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    absent = [name for name in _TERMINAL if name not in sys.modules]
    modules = cast("dict[str, Any]", sys.modules)
    # "If None is the value, a ModuleNotFoundError is raised": Python's reference, section 5.3.1.
    modules.update(dict.fromkeys(absent))
    try:
        with late_methods():
            yield
    finally:
        for name in absent:
            del modules[name]


@contextmanager
def without_trusted_authorities() -> Iterator[None]:
    """Let TLS contexts that this thread makes in the block trust no default authorities.

    aiohttp makes two when it is imported and reads the authorities for both, which takes 60 ms and 3 MiB. Connections
    of the gateway have contexts of their own; one that had none would fail.
    """
    import ssl  # noqa: PLC0415 - processes that have no connections need none

    read, thread = ssl.SSLContext.set_default_verify_paths, threading.get_ident()

    def skip(self: ssl.SSLContext) -> None:
        if threading.get_ident() != thread:
            read(self)

    ssl.SSLContext.set_default_verify_paths = skip  # type: ignore[method-assign]
    try:
        yield
    finally:
        # It is the base class's.
        del ssl.SSLContext.set_default_verify_paths


def module_command(module: str) -> tuple[str, ...]:
    """Return the command line that runs ``main`` of a module in a process of its own."""
    return sys.executable, "-m", __name__, module


def main() -> object:
    """Run ``main`` of the module that the command line names. The process ends before garbage matters."""
    gc.disable()
    try:
        with without_terminal_imports():
            module = import_module(sys.argv[1])
        return module.main()
    finally:
        gc.freeze()  # otherwise the interpreter traverses all objects at exit


if __name__ == "__main__":
    sys.exit(cast("int | None", main()))
