"""``export``: name, options and help of the command."""

# ruff: noqa: PLC0415 - as in ``commands``

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .option_types import AsRoles, Config, Profile, Sandbox


def export(  # noqa: PLR0913, PLR0917 - one argument an option of the command
    set_name: Annotated[
        str,
        typer.Argument(
            metavar="SET",
            help="Entity set, its list, or a list of a unified model: CustomersV3, customersV3, accounting.vendors.",
        ),
    ],
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            metavar="FILE",
            help="File to write; its ending is the format: .ndjson, .csv, .parquet or .arrows.",
        ),
    ],
    where: Annotated[
        str | None,
        typer.Option(
            metavar="FILTER", help='Filter, as in the API: {dataAreaId: {eq: "usmf"}}; or as JSON.'
        ),
    ] = None,
    fields: Annotated[
        str | None,
        typer.Option(
            metavar="FIELDS",
            help="Columns, as a selection of GraphQL: customerAccount,nameAlias.",
            show_default="all values",
        ),
    ] = None,
    companies: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Company scope: usmf,demf.")
    ] = None,
    neutralize: Annotated[
        bool,
        typer.Option(
            "--neutralize-formulas",
            help="Begin texts that a spreadsheet would take for formulas with an apostrophe. CSV only.",
        ),
    ] = False,
    source: Annotated[
        str,
        typer.Option(
            metavar="SOURCE",
            help="Where the rows come from: package (a data package of the environment), odata, or auto: a package if"
            " there are many, and one is declared in the settings.",
        ),
    ] = "auto",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on where the same command was interrupted; what it has read is beside the file until it is there.",
        ),
    ] = False,
    profile: Profile = None,
    roles: AsRoles = None,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Write a whole list to a file: NDJSON, CSV, Parquet or an Arrow stream. The file appears when it is complete.

    Exit code 1: the upstream failed, and nothing was written; 2: an argument is invalid.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .export import export_list

        options = {"where": where, "fields": fields, "companies": companies, "source": source}
        parameters = {name: value for name, value in options.items() if value is not None}
        if neutralize:
            parameters["formulas"] = "neutralize"
        settings = read_settings(config, sandbox=sandbox)
        export_list(settings, set_name, to, parameters, profile=profile, roles=roles, resume=resume)
