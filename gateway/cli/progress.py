"""Progress on standard error, if that is a terminal; pipes and logs get none."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TypeAlias

from gateway.metadata.model_builder import Progress as Report

Show: TypeAlias = Callable[[int, int], None]
"""Shows rows and bytes."""


@contextlib.contextmanager
def reading_metadata() -> Iterator[Report | None]:
    """Yield a function that shows how many bytes of the metadata document are read; None without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    # Only for terminals: importing rich takes 60 ms.
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.progress import (  # noqa: PLC0415 - see above
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Reading the metadata", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextlib.contextmanager
def working(text: str) -> Iterator[None]:
    """Show a text while something runs that may take longer than a second."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - only for terminals

    with Console(stderr=True).status(text):
        yield


@contextlib.contextmanager
def transferring(text: str, size: int | None = None) -> Iterator[Show]:
    """Yield a function that shows how many rows and bytes are read or written; ``size``: all bytes, if known."""
    if not sys.stderr.isatty():
        yield lambda _rows, _size: None
        return
    # Only for terminals: importing rich takes 60 ms.
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.progress import (  # noqa: PLC0415 - see above
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        DownloadColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=size, rows=0)
        yield lambda rows, done: bar.update(task, completed=done, rows=rows)
