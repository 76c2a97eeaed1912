"""Importing what ``serve`` needs, and not what libraries import for a terminal's sake: 60 ms and 4 MB of a start."""

# ruff: noqa: PLC0415 - imports at their time are what this is about

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from gateway.settings import Settings

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


def worker_app(settings: Settings) -> Starlette:
    """Make the application of one worker."""
    with lean():
        from .serve import make_worker_app
    return make_worker_app(settings)
