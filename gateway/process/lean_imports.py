"""Importing without what libraries import for a terminal's sake: 60 ms and 4 MB of every start."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast

_TERMINAL = ("rich", "pygments")
"""structlog and httpx import these where they are there, for tracebacks and a command line of their own."""


@contextmanager
def lean() -> Iterator[None]:
    """Import without what is for terminals only; what asks for it later, as the progress bar does, gets it."""
    absent = [name for name in _TERMINAL if name not in sys.modules]
    modules = cast("dict[str, Any]", sys.modules)
    modules.update(dict.fromkeys(absent))  # documented: None makes an import fail
    try:
        yield
    finally:
        for name in absent:
            del modules[name]


def command(module: str) -> tuple[str, ...]:
    """Return the command that runs the ``main`` of a module in a process of its own."""
    return sys.executable, "-m", __name__, module


def main() -> object:
    """Run the ``main`` of the module that the command line names."""
    with lean():
        named = import_module(sys.argv[1])
    return named.main()


if __name__ == "__main__":
    sys.exit(cast("int | None", main()))
