"""`policy …`: names, options and help of the commands."""

# ruff: noqa: PLC0415 - the code of a command is imported when it is called, see commands

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .option_types import AS_ROLES, Config, Json, Sandbox

policy_commands = typer.Typer(
    help="Check, show, test and compare what roles may see and do.", no_args_is_help=True
)


@policy_commands.command("check")
def check_policy(config: Config = None, sandbox: Sandbox = False) -> None:
    """Check all roles of the settings against the metadata, and print every problem."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .policy import print_check

        print_check(read_settings(config, sandbox=sandbox))


@policy_commands.command("show")
def show_policy(
    roles: Annotated[str, AS_ROLES],
    set_name: Annotated[
        str | None,
        typer.Argument(metavar="[SET]", help="Entity set or singleton. Without one, an overview."),
    ] = None,
    as_json: Json = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Print what callers with some roles see, and which role gives it."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .policy import print_view

        settings = read_settings(config, sandbox=sandbox)
        print_view(settings, roles, set_name, as_json=as_json)


@policy_commands.command("test")
def run_policy_tests(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="TOML file with tables [[expect]]: role, set, rights."),
    ],
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Compare the roles with a table of expectations. Exits with 1 if one of them fails."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .policy import run_expectations

        if not run_expectations(read_settings(config, sandbox=sandbox), file):
            raise typer.Exit(1)


@policy_commands.command("diff")
def diff_policies(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="TOML file with tables [roles.NAME].")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Likewise.")],
    as_json: Json = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Print what each role gains (+) and loses (-) from one file of roles to another."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .policy import print_diff

        print_diff(read_settings(config, sandbox=sandbox), old, new, as_json=as_json)
