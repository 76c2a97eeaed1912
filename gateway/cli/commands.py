"""The command line: ``COMMANDS`` says where each command is declared, with its options and help.

A declaration is imported when its command is called, and the code of the command when it runs, so that ``serve``
imports and builds only what it needs.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated

import typer

from .late_commands import group_of

COMMANDS = MappingProxyType(
    {
        "serve": "serve_command:serve",
        "explain": "inspection_commands:explain",
        "export": "export_commands:export",
        "import": "import_commands:import_rows",
        "size": "size_commands:size",
        "check": "inspection_commands:check",
        "settings": "inspection_commands:settings",
        "schema": "model_commands:schema_commands",
        "metadata": "model_commands:metadata_commands",
        "sandbox": "sandbox_commands:sandbox_commands",
        "env": "environment_commands:environment_commands",
        "keys": "key_commands:key_commands",
        "store": "store_commands:store_commands",
        "secrets": "secret_commands:secret_commands",
        "audit": "key_commands:audit_commands",
        "policy": "policy_commands:policy_commands",
        "documents": "document_commands:document_commands",
        "jobs": "job_commands:job_commands",
        "webhooks": "webhook_commands:webhook_commands",
    }
)
"""The module and the name of each command's function, or of a group's Typer."""

app = typer.Typer(
    cls=group_of(COMMANDS),
    name="d365-graphql",
    help="A typed GraphQL API over Microsoft Dynamics 365 Finance & Operations.\n\n"
    "Settings come from environment variables D365_… and a TOML file (--config); `settings` prints them. "
    "Exit codes: 1 if the upstream failed, 2 if a setting or an argument is invalid.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(requested: bool) -> None:
    if requested:
        from gateway.config.version import gateway_version  # noqa: PLC0415 - no other command needs it

        print(f"d365-graphql-gateway {gateway_version()}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options of the program itself. The help text is that of ``app``."""
