"""``serve``: name, options and help of the command."""

# ruff: noqa: PLC0415 - the code of a command is imported when it is called

from __future__ import annotations

from typing import Annotated

import typer

from .option_types import Config, Sandbox


def serve(
    config: Config = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Network interface to listen on.", show_default="setting host: 127.0.0.1"
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            help="Port; 0: any free port.",
            show_default="setting port: 8000",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes on the port.")] = 1,
    sandbox: Sandbox = False,
    roles: Annotated[
        bool,
        typer.Option(
            "--roles", help="Callers of the sandbox sign in as one of its users, who have roles."
        ),
    ] = False,
    demo_environments: Annotated[
        int,
        typer.Option(
            min=0,
            max=20,
            metavar="NUMBER",
            help="Serve so many further sandboxes as environments, below /e/demo-1 and so on, from a temporary"
            " store; and one more that can be linked.",
        ),
    ] = 0,
) -> None:
    """Serve the GraphQL API of the configured environment (D365_URL), or of the embedded sandbox.

    On a loopback interface, the sandbox is the default; on other interfaces, it needs --sandbox.
    """
    from gateway.process.garbage_collection import paused
    from gateway.process.lean_imports import without_terminal_imports

    with paused():
        with without_terminal_imports():
            from .options import errors_to_exit
            from .serve import log_as, serve
            from .settings_source import ServeOptions
        with errors_to_exit():
            options = ServeOptions(
                config=config, sandbox=sandbox, roles=roles, host=host, port=port
            )
            settings = options.read()
            log_as(settings)
            serve(settings, options.read, workers, sandbox=sandbox, demos=demo_environments)
