"""`documents …`: names, options and help of the commands."""

# ruff: noqa: PLC0415 - the code of a command is imported when it is called, see commands

from __future__ import annotations

from typing import Annotated

import typer

from .option_types import AsRoles, Config, Json, Profile, Sandbox

document_commands = typer.Typer(help="Check trusted documents.", no_args_is_help=True)


@document_commands.command("check")
def check_documents(  # noqa: PLR0913, PLR0917 - one argument an option of the command
    manifest: Annotated[
        str | None,
        typer.Argument(
            metavar="[MANIFEST]",
            help="Manifest, folder or https address.",
            show_default="the setting documents.manifest",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="FILE",
            help="What to compare with: the output of an earlier check with --json, a metadata document, or a TOML file"
            " with other settings.",
        ),
    ] = None,
    max_dearer: Annotated[
        float | None,
        typer.Option(
            "--max-dearer",
            metavar="PERCENT",
            min=0,
            help="With --against: exit with 4 if an operation costs so much more.",
        ),
    ] = None,
    profile: Profile = None,
    roles: AsRoles = None,
    as_json: Json = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Check every trusted document against the metadata and the roles. Exits with 3 if one cannot run.

    With --against, only what the change breaks counts, and what became dearer is listed.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .documents import CheckOptions, print_check

        options = CheckOptions(
            manifest=manifest,
            against=against,
            max_dearer=max_dearer,
            profile=profile,
            roles=roles,
            as_json=as_json,
        )
        code = print_check(read_settings(config, sandbox=sandbox), options)
        if code:
            raise typer.Exit(code)
