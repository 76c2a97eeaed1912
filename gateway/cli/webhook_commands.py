"""`webhooks …`: names, options and help of the commands."""

# ruff: noqa: PLC0415 - the code of a command is imported when it is called, see commands

from __future__ import annotations

from typing import Annotated

import typer

from .option_types import Config, Json

webhook_commands = typer.Typer(
    help="List, pause and resume webhooks of changes, and send their dead letters again.",
    no_args_is_help=True,
)
_Id = Annotated[
    str, typer.Argument(metavar="WEBHOOK", help="Its id, or the first digits that no other has.")
]


@webhook_commands.command("list")
def list_webhooks(as_json: Json = False, config: Config = None) -> None:
    """List the webhooks of all callers: set, address, state, dead letters."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .webhooks import print_list

        print_list(read_settings(config), as_json=as_json)


@webhook_commands.command("show")
def show_webhook(webhook: _Id, config: Config = None) -> None:
    """Print a webhook as JSON, without its secret."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .webhooks import show

        show(read_settings(config), webhook)


@webhook_commands.command("pause")
def pause_webhook(webhook: _Id, config: Config = None) -> None:
    """Send nothing more until it is resumed."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .webhooks import pause

        pause(read_settings(config), webhook)


@webhook_commands.command("resume")
def resume_webhook(webhook: _Id, config: Config = None) -> None:
    """Go on where it has ended. One that needs the token of its caller is resumed by that one."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .webhooks import resume

        resume(read_settings(config), webhook)


@webhook_commands.command("remove")
def remove_webhook(webhook: _Id, config: Config = None) -> None:
    """Remove a webhook and its dead letters."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .webhooks import remove

        remove(read_settings(config), webhook)


@webhook_commands.command("dead-letters")
def list_dead_letters(webhook: _Id, as_json: Json = False, config: Config = None) -> None:
    """List what the receiver has not taken, the oldest first; with --json also what it says."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .webhooks import print_letters

        print_letters(read_settings(config), webhook, as_json=as_json)


@webhook_commands.command("resend")
def resend_dead_letters(
    webhook: _Id,
    letter: Annotated[
        str | None, typer.Argument(metavar="[LETTER]", help="Its id. Without it, all of them.")
    ] = None,
    config: Config = None,
) -> None:
    """Send dead letters again, the oldest first, until one is not taken. Exit code 1 if one is not."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .webhooks import resend

        resend(read_settings(config), webhook, letter)
