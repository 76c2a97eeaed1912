"""``explain``, ``check`` and ``settings``: names, options and help of the commands."""

# ruff: noqa: PLC0415 - the code of a command is imported when it is called

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .option_types import Config, Json, Profile, Sandbox


def explain(  # noqa: PLR0913, PLR0917 - one argument an option of the command
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A GraphQL document; - reads standard input.")
    ],
    variables: Annotated[
        str, typer.Option(metavar="JSON", help='Variables as JSON: {"first": 5}.')
    ] = "{}",
    operation: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Operation to explain, if the document has several."),
    ] = None,
    companies: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Company scope, as in the header: usmf, demf."),
    ] = None,
    profile: Profile = None,
    as_json: Json = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Print the plan of an operation and its OData requests, without sending them.

    Only the metadata document is fetched, if it is not cached. Exit code 2: the operation cannot run.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .schema_commands import print_explanation, read_operation

        request = read_operation(file, variables, operation, companies)
        chosen = read_settings(config, sandbox=sandbox)
        print_explanation(chosen, request, profile, as_json=as_json)


def check(
    environment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Check this environment only: of the settings or the store."
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Check all environments, one after the other.")
    ] = False,
    as_json: Json = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Test what the gateway needs: cache folder, sign-in, $metadata, user, roles, companies, read access.

    Nothing is written upstream. Exit code 1: at least one step failed; each failure has a hint.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .check import print_all, print_check, print_environment

        read = read_settings(config, sandbox=sandbox)
        if every:
            print_all(read, as_json=as_json)
        elif environment is not None:
            print_environment(read, environment, as_json=as_json)
        else:
            print_check(read, as_json=as_json)


def settings(config: Config = None) -> None:
    """Print the effective settings as TOML that --config accepts. Secrets are masked."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from gateway.config.rendering import to_toml

        print(to_toml(read_settings(config)), end="")
