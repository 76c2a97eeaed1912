"""What a process of ``serve --workers`` begins with: little, for the rest is imported lean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.process.lean_imports import without_terminal_imports

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from gateway.config.settings import Settings


def worker_app(settings: Settings) -> Starlette:
    """Make the application of one worker."""
    with without_terminal_imports():
        from .serve import make_worker_app  # noqa: PLC0415 - imports at their time are what this is about
    return make_worker_app(settings)
