"""``import``: writes the rows of a file, as ``/import/{set}`` writes those of a body, by a gateway of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import Any, BinaryIO

import typer
from msgspec import Struct

from gateway.administration.actors import user_of_machine
from gateway.config.settings import Settings
from gateway.engine import Engine
from gateway.errors import Forbidden, SettingsError, UnknownSet, client_error_codes
from gateway.http.refusals import HttpError
from gateway.http.request_parameters import companies_of, idempotency_key_of
from gateway.idempotency.ledger import Ledger
from gateway.identity.caller import Caller
from gateway.imports.request import Format, Import, prepare, read_import
from gateway.imports.results import Counts, RowResult, lines
from gateway.imports.running import ImportRun
from gateway.imports.writing import ImportStopped, ImportWriter
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.storage.content_coding import IDENTITY, StreamDecompressor, stream_decompressor

from .options import fail
from .progress import Show, transferring
from .schema_commands import with_gateway

"""Shows how many rows have results, and how many bytes of the file are read."""
_FORMATS: Mapping[str, Format] = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv"}
_CODINGS = {".gz": "gzip", ".zst": "zstd"}
_PIECE = 1 << 16


class ImportOptions(Struct, frozen=True, kw_only=True):
    """Options of the command that the address of an import does not have."""

    results: Path | None = None
    """The file for the results of all rows; None: those of refused rows are printed."""
    key: str | None = None
    """Idempotency key."""
    profile: str | None = None
    roles: str | None = None
    """``a,b``: the import is what callers with these roles may do."""


class _OwnApi(Struct, frozen=True):
    """The gateway of the command, as imports write by it."""

    engine: Engine

    @property
    def ledger(self) -> Ledger | None:
        """The ledger of idempotency keys."""
        return self.engine.once.ledger

    async def execute(self, request: GraphQLRequest) -> Answer:
        """Run a mutation."""
        return await self.engine.execute_unlogged(request)


def import_file(
    settings: Settings,
    name: str,
    file: Path,
    parameters: Mapping[str, str],
    options: ImportOptions,
) -> None:
    """Write the rows of a file, and print what became of them. Exits with 1, 2 or 3 if not all are written.

    ``parameters``: those of the address of an import.
    """
    form, decompressor = _format_of(file)
    counts = Counts()

    async def run(gateway: Gateway) -> None:
        plan = _prepared(gateway, name, parameters, form)
        request = GraphQLRequest(
            query="",
            companies=companies_of(parameters.get("companies")),
            idempotency_key=_key(options.key),
            caller=_caller(),
        )
        writer = ImportWriter(plan, plan.first(request), _OwnApi(gateway.engine))
        with ExitStack() as stack:
            source = stack.enter_context(file.open("rb"))
            target: BinaryIO | None = None
            if options.results is not None:
                target = stack.enter_context(options.results.open("wb"))
            show = stack.enter_context(
                transferring(f"Importing {plan.set}", os.fstat(source.fileno()).st_size)
            )
            await _run(ImportRun(plan, writer, counts), source, decompressor, target, show)

    stopped: ImportStopped | None = None
    try:
        with_gateway(settings, run, profile=options.profile, roles=options.roles, writes=True)
    except ImportStopped as error:
        stopped = error
    except OSError as error:
        fail(f"{error.filename} cannot be opened: {error.strerror}.", None, 2)
    _report(file, counts, stopped)


def _format_of(file: Path) -> tuple[Format, StreamDecompressor]:
    """Return what a file holds by the endings of its name. Raises SettingsError."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    coding = _CODINGS.get(suffixes[-1], IDENTITY) if suffixes else IDENTITY
    ending = suffixes[-2:-1] if coding != IDENTITY else suffixes[-1:]
    form = _FORMATS.get(ending[0]) if ending else None
    decompressor = stream_decompressor(coding)
    if form is None or decompressor is None:
        raise SettingsError(
            f"{file}: the name of the file ends with none of {', '.join(_FORMATS)}.",
            hint="Behind that it may end with .gz or .zst.",
        )
    return form, decompressor


def _prepared(gateway: Gateway, name: str, parameters: Mapping[str, str], form: Format) -> Import:
    request = read_import(parameters, form)
    try:
        return prepare(gateway, name, request)
    except (UnknownSet, Forbidden) as error:
        raise SettingsError(error.message, hint=error.hint) from error


def _key(key: str | None) -> str | None:
    try:
        return idempotency_key_of(key)
    except HttpError as error:
        raise SettingsError(f"--key: {error}") from error


def _caller() -> Caller:
    """Return the user of the machine, for the audit log and idempotency keys."""
    user = user_of_machine()
    return Caller(kind="os", issuer=user.kind, subject=user.subject)


async def _run(
    run: ImportRun,
    source: BinaryIO,
    decompressor: StreamDecompressor,
    target: BinaryIO | None,
    show: Show,
) -> None:
    """Write all rows, and their results. Raises ImportStopped, OSError."""

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while packed := source.read(_PIECE):
                for piece in decompressor.pieces(packed):
                    yield piece
                show(run.counts.rows, source.tell())
            decompressor.end()
        except ValueError as error:
            text = f"{source.name} is not compressed as its name says, or lacks its end."
            raise SettingsError(text) from error

    try:
        async with aclosing(run.results(pieces())) as results:
            async for some in results:
                _write(some, target)
                show(run.counts.rows, source.tell())
    except ImportStopped as stopped:
        _write(stopped.results, target)
        raise


def _write(results: Any, target: BinaryIO | None) -> None:
    if target is not None:
        target.write(lines(results))
        return
    refused: list[RowResult] = [result for result in results if result.is_refused]
    typer.echo(lines(refused), nl=False)


def _report(file: Path, counts: Counts, stopped: ImportStopped | None) -> None:
    """Print the number of rows. Exits unless all were written."""
    by = ", ".join(
        f"{count:,} {status.replace('_', ' ')}"
        for status, count in counts.to_json().items()
        if status != "rows"
    )
    typer.echo(f"{file}: {counts.rows:,} rows{f' ({by})' if by else ''}", err=True)
    if stopped is not None:
        error = stopped.answer.errors[0]
        extensions: dict[str, Any] = error.get("extensions", {})
        code = extensions.get("code", "")
        is_invalid = not counts.rows and code in client_error_codes()
        fail(f"{code}: {error['message']}", extensions.get("hint"), 2 if is_invalid else 1)
    if counts.refused:
        raise typer.Exit(3)
