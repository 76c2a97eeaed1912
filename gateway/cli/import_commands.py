"""``import``: name, options and help of the command."""

# ruff: noqa: PLC0415 - as in ``commands``

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .option_types import AsRoles, Config, Profile, Sandbox


class Mode(StrEnum):
    """How rows are written."""

    CREATE = "create"
    UPSERT = "upsert"


def import_rows(  # noqa: PLR0913, PLR0917 - one argument an option of the command
    set_name: Annotated[
        str,
        typer.Argument(
            metavar="SET",
            help="Entity set, or its list: CustomersV3, customersV3, accounting.vendors.",
        ),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="File with rows; its ending is the format: .ndjson, .jsonl or .csv, and .gz or .zst behind it.",
        ),
    ],
    mode: Annotated[
        Mode, typer.Option(help="Create rows, or change those that are there.")
    ] = Mode.CREATE,
    unique_by: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Fields whose values no other row has: rows that are there are not created.",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="NDJSON file for the results of all rows.",
            show_default="those of refused rows to standard output",
        ),
    ] = None,
    validate: Annotated[
        bool, typer.Option("--validate", help="Check the rows, and send nothing.")
    ] = False,
    max_errors: Annotated[
        int | None, typer.Option(min=0, metavar="ROWS", help="Stop if more rows are refused.")
    ] = None,
    empty_is_null: Annotated[
        bool, typer.Option("--empty-is-null", help="Empty cells of CSV are null, and not left out.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="Idempotency key: a row is written once under it, for 24 hours."
        ),
    ] = None,
    companies: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Company scope: usmf,demf.")
    ] = None,
    profile: Profile = None,
    roles: AsRoles = None,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Write the rows of a file: NDJSON or CSV, by the names of the API or of the metadata.

    Exit code 1: the import has ended early; 2: an argument is invalid, and nothing was written; 3: rows were refused.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .imports import ImportOptions, import_file

        parameters = {"mode": mode.value}
        if unique_by is not None:
            parameters["uniqueBy"] = unique_by
        if validate:
            parameters["validate"] = "true"
        if max_errors is not None:
            parameters["maxErrors"] = str(max_errors)
        if empty_is_null:
            parameters["empty"] = "null"
        if companies is not None:
            parameters["companies"] = companies
        settings = read_settings(config, sandbox=sandbox)
        options = ImportOptions(results=results, key=key, profile=profile, roles=roles)
        import_file(settings, set_name, file, parameters, options)
