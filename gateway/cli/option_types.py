"""Options that several commands have, with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Config: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="TOML file with settings. Environment variables D365_… override it.",
    ),
]
Sandbox: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--sandbox", help="Use the embedded sandbox even if an environment is configured."
    ),
]

Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, for programs.")
]
Profile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Profile to use.",
        show_default="the whole catalogue",
    ),
]
AS_ROLES = typer.Option(
    "--as", metavar="ROLE[,ROLE]", help="Roles of the caller, separated by commas."
)
AsRoles: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="ROLE[,ROLE]",
        help="What callers with these roles see.",
        show_default="everything",
    ),
]
