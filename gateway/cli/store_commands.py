"""`store …`: names, options and help of the commands."""

# ruff: noqa: PLC0415 - the code of a command is imported when it is called, see commands

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .option_types import Config, Json

store_commands = typer.Typer(
    help="Migrate, check and copy the store: the database of API keys and environments.",
    no_args_is_help=True,
)


@store_commands.command("migrate")
def migrate_store(as_json: Json = False, config: Config = None) -> None:
    """Bring the tables of the store to what this version needs.

    A PostgreSQL needs it once before the first start, and before each new version starts. It is safe to run it
    twice at the same time, and one that is interrupted changes nothing. SQLite needs no command.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .store import migrate

        migrate(read_settings(config), as_json=as_json)


@store_commands.command("status")
def show_status(as_json: Json = False, config: Config = None) -> None:
    """Print which store is configured, and whether its tables are what this version needs.

    Exit code 1 if they are behind or newer, or if the store cannot be reached.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .store import print_status

        print_status(read_settings(config), as_json=as_json)


@store_commands.command("check")
def check_store(as_json: Json = False, config: Config = None) -> None:
    """Check whether the file of the store is damaged, page by page.

    Exit code 1 if it is. It may be in use. Of a PostgreSQL only tables and connection are checked.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .store import check

        check(read_settings(config), as_json=as_json)


@store_commands.command("backup")
def back_up_store(
    file: Annotated[Path, typer.Argument(help="The file to make. Secrets stay encrypted in it.")],
    config: Config = None,
) -> None:
    """Copy the store to a file while the gateway runs: SQLite only, PostgreSQL has pg_dump.

    The key that secrets are encrypted with is not in it. To restore it, stop the gateway, remove the file of the store
    and its companions -wal and -shm, and put the copy in its place.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .store import back_up

        back_up(read_settings(config), file)
