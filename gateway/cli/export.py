"""``export``: writes a whole list to a file, which appears when it is complete.

The rows are read as ``/export/{set}`` reads them, by a gateway of the command's own. They are written to a file beside
the target, which takes its place at the end: a failed export leaves an older file as it was.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, BinaryIO

import typer

from gateway.config.settings import Settings
from gateway.errors import SettingsError, client_error_codes
from gateway.export.formats import RowWriter
from gateway.export.reading import ExportFailed, read_pages
from gateway.export.request import ENDINGS, Export, exporting_view, prepare, read_export
from gateway.export.selection import find_list
from gateway.http.request_parameters import companies_of
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from schema.errors import did_you_mean

from .options import fail
from .schema_commands import with_gateway

Show = Callable[[int, int], None]
"""Shows how many rows and bytes are written."""


def export_list(
    settings: Settings,
    name: str,
    target: Path,
    parameters: Mapping[str, str],
    *,
    profile: str | None = None,
    roles: str | None = None,
) -> None:
    """Write a list to a file, and print how many rows it has. Exits with 1 or 2 if it is not complete.

    ``parameters``: those of the address of an export, without the format, which the name of the file tells.
    """
    suffix = target.suffix.lower().removeprefix(".")
    form = next((form for form, ending in ENDINGS.items() if ending == suffix), None)
    if form is None:
        endings = ", ".join(f".{ending}" for ending in ENDINGS.values())
        raise SettingsError(f"--to {target}: the name of the file ends with none of {endings}.")

    async def run(gateway: Gateway) -> int:
        export = _prepared(gateway, name, {**parameters, "format": form})
        request = export.first(
            GraphQLRequest(query="", companies=companies_of(parameters.get("companies")))
        )
        with _replacing(target) as file, _progress(export.set) as show:
            return await _write(gateway, export, request, file, show)

    try:
        rows = with_gateway(settings, run, profile=profile, roles=roles)
    except ExportFailed as failed:
        error: dict[str, Any] = failed.answer.errors[0]
        extensions: dict[str, Any] = error.get("extensions", {})
        code = extensions.get("code", "")
        status = 2 if code in client_error_codes() or code == "BAD_USER_INPUT" else 1
        fail(f"{code}: {error['message']}", extensions.get("hint"), status)
    except OSError as error:
        fail(f"{target} cannot be written: {error.strerror}.", None, 1)
    typer.echo(f"{target}: {rows:,} rows", err=True)


def _prepared(gateway: Gateway, name: str, parameters: Mapping[str, str]) -> Export:
    root = find_list(gateway.catalog, name)
    if root is None:
        names = [of for _, of, _ in gateway.catalog.set_roots()]
        raise SettingsError(f"There is no list called {name}.{did_you_mean(name, names)}")
    view = exporting_view(gateway, root)
    if view is not None and gateway.view is not None and view.roles != gateway.view.roles:
        raise SettingsError(
            f"--as: of these roles, some may read {name} and not export it.",
            hint=f"Name those that may: {', '.join(view.roles)}.",
        )
    return prepare(gateway, root, read_export(parameters))


async def _write(
    gateway: Gateway, export: Export, first: GraphQLRequest, file: BinaryIO, show: Show
) -> int:
    """Write all rows, and return their number. Raises ExportFailed, GatewayError, OSError."""
    writer: RowWriter = export.writer()
    try:
        size = file.write(writer.begin())
        async with aclosing(read_pages(gateway.engine.execute_unlogged, first)) as pages:
            async for nodes in pages:
                for piece in writer.page(nodes):
                    size += file.write(piece)
                show(writer.rows, size)
        file.write(writer.end())
    finally:
        writer.close()
    return writer.rows


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """Yield a file that takes the place of another one at the end, unless there is an error. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner can read.
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Show]:
    """Yield a function that shows progress on a terminal; pipes and logs get none."""
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
        task = bar.add_task(f"Exporting {name}", total=None, rows=0)
        yield lambda rows, size: bar.update(task, completed=size, rows=rows)
