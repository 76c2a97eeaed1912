"""``export``: writes a whole list to a file, which appears when it is complete.

The rows are read as ``/export/{set}`` reads them, by a gateway of the command's own. They are written to a file beside
the target, which takes its place at the end: a failed export leaves an older file as it was. With ``--resume`` the
pages are written to a log beside it first (``page_log``), so that the same command goes on where it was killed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, BinaryIO

import typer
from msgspec import structs

from gateway.admission.work import Lane, Work, working
from gateway.config.settings import Settings
from gateway.errors import SettingsError, client_error_codes
from gateway.export.formats import RowWriter
from gateway.export.pages import Rows
from gateway.export.reading import ExportFailed, Read, read_rows
from gateway.export.request import ENDINGS, Export, exporting_view, prepare, read_export
from gateway.export.sources import find_source, unified_sources
from gateway.http.request_parameters import companies_of
from gateway.packages.choice import choose_source, no_package_error, read_source
from gateway.packages.completeness import check_rows
from gateway.packages.reading import PackageReader
from gateway.packages.records import NoPackage, SourceChoice
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from schema.errors import did_you_mean

from .options import fail
from .package_pages import ExecutionLog, package_pages
from .page_log import PageLog, has_log
from .progress import Show, transferring
from .replaced_file import replacing
from .schema_commands import with_gateway


def export_list(
    settings: Settings,
    name: str,
    target: Path,
    parameters: Mapping[str, str],
    *,
    profile: str | None = None,
    roles: str | None = None,
    resume: bool = False,
) -> None:
    """Write a list to a file, and print how many rows it has. Exits with 1 or 2 if it is not complete.

    ``parameters``: those of the address of an export, without the format, which the name of the file tells; and the
    ``source`` of export jobs.
    """
    suffix = target.suffix.lower().removeprefix(".")
    form = next((form for form, ending in ENDINGS.items() if ending == suffix), None)
    if form is None:
        endings = ", ".join(f".{ending}" for ending in ENDINGS.values())
        raise SettingsError(f"--to {target}: the name of the file ends with none of {endings}.")

    choice = read_source(parameters.get("source", "auto"))
    parameters = {name: value for name, value in parameters.items() if name != "source"}

    way = ""

    async def run(gateway: Gateway) -> int:
        nonlocal way
        export = _prepared(gateway, name, {**parameters, "format": form})
        request = export.first(
            GraphQLRequest(query="", companies=companies_of(parameters.get("companies")))
        )
        scope = (settings.url, profile, roles, export.set)
        log = ExecutionLog(target, scope, request, resume=resume)
        with transferring(f"Exporting {export.set}") as show:
            read = gateway.engine.execute_unlogged
            rows = await _write_packages(gateway, export, request, choice, log, target, show)
            if rows is not None:
                way = ", from data packages"
                return rows
            if not resume:
                writer = export.writer()
                pages = read_rows(read, request, collect=writer.collect)
                with replacing(target) as file:
                    return await _write(writer, pages, file, show)
            with PageLog(target, scope, request) as log_of_pages:
                await _read_rest(log_of_pages, read, request, show)
                with replacing(target) as file:
                    return await _write(export.writer(), log_of_pages.pages(), file, show)

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
    typer.echo(f"{target}: {rows:,} rows{way}", err=True)


def _prepared(gateway: Gateway, name: str, parameters: Mapping[str, str]) -> Export:
    source = find_source(gateway.schema, name)
    if source is None:
        names = [of for _, of, _ in gateway.catalog.set_roots()]
        names += [unified.name for unified in unified_sources(gateway.schema)]
        raise SettingsError(f"There is no list called {name}.{did_you_mean(name, names)}")
    view = exporting_view(gateway, source)
    if view is not None and gateway.view is not None and view.roles != gateway.view.roles:
        raise SettingsError(
            f"--as: of these roles, some may read {name} and not export it.",
            hint=f"Name those that may: {', '.join(view.roles)}.",
        )
    return prepare(gateway, source, read_export(parameters))


async def _write_packages(
    gateway: Gateway,
    export: Export,
    first: GraphQLRequest,
    choice: SourceChoice,
    log: ExecutionLog,
    target: Path,
    show: Show,
) -> int | None:
    """Write all rows from data packages, and return their number; None if they are to be read as OData.

    Raises BadArgument if a package is requested, and there is none.
    """
    begun: SourceChoice = choice
    if log.is_stored and has_log(target):
        begun = "odata"
    elif log.read():
        begun = "package"
    try:
        _, plan = await choose_source(
            gateway, export, gateway.engine.execute_unlogged, first, begun
        )
        if plan is None:
            return None
        reader = PackageReader(gateway, plan, first.caller)
        writer = export.writer()
        pages = package_pages(reader, log, target, writer.collect)
        read, project = gateway.engine.execute_unlogged, plan.declared.project
        with replacing(target) as file, working(Work(lane=Lane.EXPORT)):
            rows = await _write(writer, pages, file, show)
            await check_rows(read, export, first, rows, project)
    except NoPackage as error:
        log.remove()
        if choice == "package":
            raise no_package_error(error) from error
        return None
    log.remove()
    return rows


async def _read_rest(log: PageLog, read: Read, first: GraphQLRequest, show: Show) -> None:
    """Read the pages that a log lacks. Raises ExportFailed, GatewayError, OSError."""
    if log.is_complete:
        return
    variables = {**first.variables, **({} if log.after is None else {"after": log.after})}
    async with aclosing(read_rows(read, structs.replace(first, variables=variables))) as pages:
        async for rows in pages:
            log.append(rows)
            show(log.rows, log.size)


async def _write(
    writer: RowWriter, pages: AsyncGenerator[Rows, None], file: BinaryIO, show: Show
) -> int:
    """Write all rows, and return their number. Raises ExportFailed, GatewayError, OSError."""
    try:
        size = file.write(writer.begin())
        async with aclosing(pages):
            async for page in pages:
                for piece in writer.page(page):
                    size += file.write(piece)
                show(writer.rows, size)
        file.write(writer.end())
    finally:
        writer.close()
    return writer.rows
