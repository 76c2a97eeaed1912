"""Skips rich and pygments while serving modules are imported: 60 ms and 4 MB of every start.

Without it, a warm start of the whole catalogue would take 97.6 MiB instead of 94.2, of 100 that it may take.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast

_TERMINAL = ("rich", "pygments")
"""structlog and httpx import these if they are installed, for tracebacks and a command line of their own."""


@contextmanager
def without_terminal_imports() -> Iterator[None]:
    """Let imports of rich and pygments fail in the block. Later imports, as of the progress bar, succeed."""
    absent = [name for name in _TERMINAL if name not in sys.modules]
    modules = cast("dict[str, Any]", sys.modules)
    # "If None is the value, a ModuleNotFoundError is raised": Python's reference, section 5.3.1.
    modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del modules[name]


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
