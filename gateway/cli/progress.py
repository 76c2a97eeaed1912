"""Progress on standard error, if that is a terminal; pipes and logs get none."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from gateway.metadata.model_builder import Progress as Report


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
