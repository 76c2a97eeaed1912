"""Entry point of a process of ``serve --workers``. It imports little, so that the rest can skip rich and pygments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.process.lean_imports import without_terminal_imports

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from gateway.config.settings import Settings


def worker_app(settings: Settings, workers: int) -> Starlette:
    """Return the application of one of so many workers."""
    with without_terminal_imports():
        from .serve import make_worker_app  # noqa: PLC0415 - see the module's docstring
    return make_worker_app(settings, workers)
