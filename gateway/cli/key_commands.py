"""`keys …` and `audit …`: names, options and help of the commands."""

# ruff: noqa: PLC0415 - the code of a command is imported when it is called, see commands

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .option_types import Config, Json

key_commands = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)
audit_commands = typer.Typer(help="Check the audit log.", no_args_is_help=True)


@key_commands.command("create")
def create_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    role: Annotated[
        list[str] | None,
        typer.Option("--role", metavar="ROLE", help="Role of its callers. Repeatable."),
    ] = None,
    expires: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="How long it is valid: 12h, 90d, 52w; or never.", show_default=True
        ),
    ] = "90d",
    environment: Annotated[
        list[str] | None,
        typer.Option(
            "--environment",
            metavar="PATTERN",
            help="Environment that its callers may use; default: that of the settings. Repeatable. Without it, all.",
        ),
    ] = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Create an API key, and print it. It is stored as a digest only, so it cannot be shown again."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .keys import create

        settings = read_settings(config)
        create(settings, name, role or [], expires, environment or [], as_json=as_json)


@key_commands.command("list")
def list_keys(as_json: Json = False, config: Config = None) -> None:
    """List all API keys: name, roles, when they were created and last used, and whether they are valid."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .keys import print_list

        print_list(read_settings(config), as_json=as_json)


@key_commands.command("revoke")
def revoke_key(
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the key, as `keys list` prints it.")
    ],
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Revoke an API key. Every process of the gateway refuses it within two seconds."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .keys import revoke

        revoke(read_settings(config), key_id, as_json=as_json)


@audit_commands.command("verify")
def verify_audit(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Files to check, also those of a log collector. Without any, all files in audit.path.",
        ),
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            metavar="DIGEST",
            help="Digest of a line that was noted before, which must still be there. Repeatable.",
        ),
    ] = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Check the chains of the audit log: finds lines that were changed or removed, missing files and cut ends.

    It prints the end of each chain; note its digest elsewhere to check later that nothing was cut off. Writes without
    an outcome are listed. Exit code 1 if anything is not as it was written.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .audit import print_verification

        print_verification(read_settings(config), files or [], head or [], as_json=as_json)
