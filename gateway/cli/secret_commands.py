"""`secrets …`: names, options and help of the commands."""

# ruff: noqa: PLC0415 - the code of a command is imported when it is called, see commands

from __future__ import annotations

from typing import Annotated

import typer

from .option_types import Config, Json

secret_commands = typer.Typer(
    help="Rotate the keys that encrypt the secrets of environments in the store.",
    no_args_is_help=True,
)


@secret_commands.command("rotate")
def rotate_secrets(
    environment: Annotated[
        str | None,
        typer.Option(
            "--environment",
            metavar="NAME",
            help="Environment whose secrets are encrypted anew. Not set: all.",
        ),
    ] = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Encrypt the secrets of environments anew: with new data keys, which encryption_key wraps.

    Requests run meanwhile. It is safe to interrupt it and to run it again: each environment is changed at once or not
    at all. Run it after encryption_key was replaced; then encryption_key_old is not needed any more. Exit code 1 if
    the secrets of an environment could not be read; the others are rotated all the same.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .secrets import rotate

        rotate(read_settings(config), environment, as_json=as_json)


@secret_commands.command("status")
def show_secrets(as_json: Json = False, config: Config = None) -> None:
    """List environments with secrets: the version and age of each data key, and which key wraps it.

    Exit code 1 if secrets cannot be read, as their data key is wrapped by none of the keys of the settings.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .secrets import print_status

        print_status(read_settings(config), as_json=as_json)
