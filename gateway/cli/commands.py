"""The command line: names, options and help of the commands.

The code of a command is imported when it is called, so that ``--help`` and errors take 0.3 s (importing everything
takes 1.5 s) and ``serve`` imports only what it needs.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .document_commands import document_commands
from .environment_commands import environment_commands
from .export_commands import export
from .import_commands import import_rows
from .job_commands import job_commands
from .key_commands import audit_commands, key_commands
from .option_types import AsRoles, Config, Json, Profile, Sandbox
from .policy_commands import policy_commands
from .sandbox_commands import sandbox_commands
from .secret_commands import secret_commands
from .size_commands import size
from .store_commands import store_commands
from .webhook_commands import webhook_commands

app = typer.Typer(
    name="d365-graphql",
    help="A typed GraphQL API over Microsoft Dynamics 365 Finance & Operations.\n\n"
    "Settings come from environment variables D365_… and a TOML file (--config); `settings` prints them. "
    "Exit codes: 1 if the upstream failed, 2 if a setting or an argument is invalid.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
schema_commands = typer.Typer(
    help="Print, explain, compare and measure the GraphQL schema.", no_args_is_help=True
)
metadata_commands = typer.Typer(
    help="Fetch and inspect the metadata document.", no_args_is_help=True
)


def _print_version(requested: bool) -> None:
    if requested:
        from gateway.config.version import gateway_version

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


@app.command()
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


@app.command()
def explain(  # noqa: PLR0913, PLR0917 - one argument an option of the command
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A GraphQL document; - reads standard input.")
    ],
    variables: Annotated[
        str, typer.Option(metavar="JSON", help='Variables as JSON: {"first": 5}.')
    ] = "{}",
    operation: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Operation to explain, if the document has several."),
    ] = None,
    companies: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Company scope, as in the header: usmf, demf."),
    ] = None,
    profile: Profile = None,
    as_json: Json = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Print the plan of an operation and its OData requests, without sending them.

    Only the metadata document is fetched, if it is not cached. Exit code 2: the operation cannot run.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .schema_commands import print_explanation, read_operation

        request = read_operation(file, variables, operation, companies)
        chosen = read_settings(config, sandbox=sandbox)
        print_explanation(chosen, request, profile, as_json=as_json)


app.command()(export)
app.command("import")(import_rows)
app.command()(size)


@app.command()
def check(
    environment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Check this environment only: of the settings or the store."
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Check all environments, one after the other.")
    ] = False,
    as_json: Json = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Test what the gateway needs: cache folder, sign-in, $metadata, user, roles, companies, read access.

    Nothing is written upstream. Exit code 1: at least one step failed; each failure has a hint.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .check import print_all, print_check, print_environment

        read = read_settings(config, sandbox=sandbox)
        if every:
            print_all(read, as_json=as_json)
        elif environment is not None:
            print_environment(read, environment, as_json=as_json)
        else:
            print_check(read, as_json=as_json)


@app.command()
def settings(config: Config = None) -> None:
    """Print the effective settings as TOML that --config accepts. Secrets are masked."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from gateway.config.rendering import to_toml

        print(to_toml(read_settings(config)), end="")


@schema_commands.command("print")
def print_schema(
    federation: Annotated[
        bool,
        typer.Option(
            "--federation", help="Print the schema of the subgraph, as _service returns it."
        ),
    ] = False,
    profile: Profile = None,
    roles: AsRoles = None,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Print the schema in the schema definition language (SDL)."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .schema_commands import print_sdl

        settings = read_settings(config, sandbox=sandbox)
        print_sdl(settings, federation=federation, profile=profile, roles=roles)


@schema_commands.command("stats")
def schema_stats(
    profile: Profile = None, as_json: Json = False, config: Config = None, sandbox: Sandbox = False
) -> None:
    """Print the numbers of entity sets, root fields, types and fields, and list renamed and omitted ones."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .schema_commands import print_schema_stats

        print_schema_stats(read_settings(config, sandbox=sandbox), profile, as_json=as_json)


@schema_commands.command("why")
def why(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A field or type: CustomerV3.creditLimit, customersV3, CustomerV3."
        ),
    ],
    profile: Profile = None,
    roles: AsRoles = None,
    as_json: Json = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Explain where a field comes from, and why an operator is or is not available."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .schema_commands import print_why

        settings = read_settings(config, sandbox=sandbox)
        print_why(settings, name, profile, roles=roles, as_json=as_json)


@schema_commands.command("diff")
def schema_diff(  # noqa: PLR0913, PLR0917 - one argument an option of the command
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD",
            help="File with SDL, an introspection result or a metadata document; -: the current schema.",
        ),
    ],
    new: Annotated[
        str, typer.Argument(metavar="[NEW]", help="Likewise. Default: the current schema.")
    ] = "-",
    include: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Compare only types and root fields whose GraphQL names match, in any case. Repeatable.",
        ),
    ] = None,
    descriptions: Annotated[
        bool,
        typer.Option("--descriptions", help="List changed descriptions, too, as safe changes."),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 4 if there are dangerous changes.")
    ] = False,
    as_json: Json = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """List the breaking, dangerous and safe changes between two schemas.

    A metadata document stands for its schema under the current settings. Exit code 3: there are breaking changes.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .diff import print_diff

        print_diff(
            read_settings(config, sandbox=sandbox),
            old,
            new,
            include=tuple(include or ()),
            descriptions=descriptions,
            strict=strict,
            as_json=as_json,
        )


@schema_commands.command("simulate")
def schema_simulate(
    profile: Annotated[
        str | None,
        typer.Argument(
            metavar="[PROFILE]",
            help="Profile to measure. Default: the whole catalogue, or what the patterns leave of it.",
            show_default=False,
        ),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="Serve only entity sets that match: 'Customer*'. Repeatable."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Leave out entity sets that match. Repeatable."),
    ] = None,
    as_json: Json = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Measure the API of a profile, or the one that other patterns would expose, without serving it.

    The patterns replace the settings include and exclude.

    The metadata document is the one that `serve` would use; no model is stored.
    """
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .simulate import print_simulation

        chosen = read_settings(config, sandbox=sandbox)
        print_simulation(chosen, profile, include or (), exclude or (), as_json=as_json)


@metadata_commands.command("pull")
def pull(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="File to write to.")],
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Fetch the metadata document, ignoring the cache, and write it to a file (for D365_METADATA)."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .metadata import pull_document

        pull_document(read_settings(config, sandbox=sandbox), target)


@metadata_commands.command("stats")
def metadata_stats(as_json: Json = False, config: Config = None, sandbox: Sandbox = False) -> None:
    """Print the numbers of elements in the metadata document, and list repaired and omitted ones."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .metadata import print_document_stats

        print_document_stats(read_settings(config, sandbox=sandbox), as_json=as_json)


@metadata_commands.command("relations")
def relations(
    entity_set: Annotated[
        str | None,
        typer.Option("--set", metavar="SET", help="Only relations from this entity set."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum candidates to print.")] = 20,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Suggest relations by equal key names, as TOML to copy into the settings."""
    from .options import errors_to_exit, read_settings

    with errors_to_exit():
        from .metadata import print_suggestions

        print_suggestions(read_settings(config, sandbox=sandbox), entity_set, limit)


app.add_typer(schema_commands, name="schema")
app.add_typer(metadata_commands, name="metadata")
app.add_typer(sandbox_commands, name="sandbox")
app.add_typer(environment_commands, name="env")
app.add_typer(key_commands, name="keys")
app.add_typer(store_commands, name="store")
app.add_typer(secret_commands, name="secrets")
app.add_typer(audit_commands, name="audit")
app.add_typer(policy_commands, name="policy")
app.add_typer(document_commands, name="documents")
app.add_typer(job_commands, name="jobs")
app.add_typer(webhook_commands, name="webhooks")
