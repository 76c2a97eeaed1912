"""Progress on standard error for a person at a terminal; pipes and logs get none of it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from gateway.metadata.model_builder import Progress as Report


@contextlib.contextmanager
def reading_metadata() -> Iterator[Report | None]:
    """Show how the metadata document is fetched and read, in bytes; None if nobody looks on."""
    if not sys.stderr.isatty():
        yield None
        return
    # imported for those who look on only
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Reading the metadata", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Show that something is being done which may take longer than a second."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415

    with Console(stderr=True).status(what):
        yield
