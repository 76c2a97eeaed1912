"""`jobs …`: names, options and help of the commands."""

# ruff: noqa: PLC0415 - the code of a command is imported when it is called, see commands

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .option_types import Config, Json

job_commands = typer.Typer(
    help="List, cancel and resume jobs of the store, and fetch their files.", no_args_is_help=True
)
_Id = Annotated[
    str, typer.Argument(metavar="JOB", help="Its id, or the first digits that no other has.")
]


@job_commands.command("list")
def list_jobs(as_json: Json = False, config: Config = None) -> None:
    """List the newest jobs of all callers: kind, state, progress."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .jobs import print_list

        print_list(read_settings(config), as_json=as_json)


@job_commands.command("show")
def show_job(job: _Id, config: Config = None) -> None:
    """Print a job with its manifest, as JSON."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .jobs import show

        show(read_settings(config), job)


@job_commands.command("cancel")
def cancel_job(job: _Id, config: Config = None) -> None:
    """Cancel a job that has not ended; its files stay as long as those of any that has."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .jobs import cancel

        cancel(read_settings(config), job)


@job_commands.command("resume")
def resume_job(job: _Id, config: Config = None) -> None:
    """Let a gateway go on with a job that has failed, at its last part."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .jobs import resume

        resume(read_settings(config), job)


@job_commands.command("download")
def download_job(
    job: _Id,
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            metavar="PATH",
            help="File for all parts of NDJSON or CSV; folder for the parts of other formats.",
        ),
    ],
    config: Config = None,
) -> None:
    """Write the files of a job that has succeeded, and check their SHA-256."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .jobs import download

        download(read_settings(config), job, to)
