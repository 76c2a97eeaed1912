"""`sandbox …`: names, options and help of the commands. Without a further word it serves the sandbox by itself."""

# ruff: noqa: PLC0415 - the code of a command is imported when it is called, see commands

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from .option_types import Config, Json

sandbox_commands = typer.Typer()


@sandbox_commands.callback(invoke_without_command=True)
def serve_alone(  # noqa: PLR0913, PLR0917 - one argument an option of the command
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0: any free port.")] = 8765,
    host: Annotated[str, typer.Option(help="Network interface to listen on.")] = "127.0.0.1",
    metadata: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Serve this metadata document (.xml, .xml.gz) with generated rows.",
            show_default="the built-in catalogue",
        ),
    ] = None,
    scale: Annotated[float, typer.Option(min=0.01, help="Factor for the number of rows.")] = 1.0,
    hostile: Annotated[
        bool,
        typer.Option(
            "--hostile", help="Add rows with difficult texts: quotes, wildcards, blanks, scripts."
        ),
    ] = False,
    latency: Annotated[
        float, typer.Option(min=0, metavar="MS", help="Milliseconds added to each response.")
    ] = 0.0,
    throttle: Annotated[
        str | None,
        typer.Option(
            metavar="every=N[,retry-after=S]",
            help="Answer every Nth request with 429.",
            show_default="never",
        ),
    ] = None,
    capacity: Annotated[
        str | None,
        typer.Option(
            metavar="N[,N…]",
            help="Requests answered at a time, one number after the other; above, 429.",
            show_default="no limit",
        ),
    ] = None,
    every: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Seconds of each number of capacity.")
    ] = 60.0,
    page_limit: Annotated[int, typer.Option(min=1, help="Maximum rows of a page.")] = 10_000,
    next_link: Annotated[
        Literal["skip", "skiptoken"],
        typer.Option(help="Query option by which next links continue."),
    ] = "skip",
    database: Annotated[
        str, typer.Option(metavar="FILE", help="SQLite file for the rows.")
    ] = ":memory:",
    knobs: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Set a setting sandbox.* by its name, such as null_order=last. Repeatable.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve the sandbox by itself, as an OData service at /data."""
    if context.invoked_subcommand is not None:
        return
    from .options import errors_to_exit

    with errors_to_exit():
        from gateway.odata.dialects import SANDBOX
        from gateway.sandbox import SandboxSettings

        from .sandbox import knobs_of, serve_sandbox

        chosen = SandboxSettings(
            metadata=metadata,
            scale=scale,
            hostile_rows=hostile,
            latency_ms=latency,
            throttle=throttle,
            capacity=capacity,
            capacity_every=every,
            page_limit=page_limit,
            next_link=next_link,
            database=database,
            relations=SANDBOX.relations,
        )
        serve_sandbox(replace(chosen, **knobs_of(knobs or ())), host, port)


@sandbox_commands.command("token")
def print_token(
    roles: Annotated[
        list[str] | None,
        typer.Option("--role", metavar="ROLE", help="Role of the caller. Repeatable."),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="User of the sandbox.",
            show_default="the one with the role",
        ),
    ] = None,
    companies: Annotated[
        list[str] | None,
        typer.Option(
            "--company",
            metavar="ID",
            help="Legal entity of the caller (claims company and companies). Repeatable.",
            show_default="those of the user",
        ),
    ] = None,
    expires: Annotated[
        str, typer.Option(metavar="TIME", help="How long it is valid: 30m, 1h, 7d.")
    ] = "1h",
    config: Config = None,
) -> None:
    """Print a token for a user of the sandbox, which `serve --sandbox --roles` on this machine accepts."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .sandbox_tokens import sandbox_token

        settings = read_settings(config, sandbox=True)
        print(sandbox_token(settings, roles or (), user, companies or (), expires))


@sandbox_commands.command("users")
def print_users(as_json: Json = False) -> None:
    """List the users of the sandbox, with their roles and legal entities."""
    from .sandbox_tokens import print_sandbox_users

    print_sandbox_users(as_json=as_json)
