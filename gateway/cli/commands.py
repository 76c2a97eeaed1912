"""The command line as people see it: names, options, help.

A command's code is imported when the command is called, so that ``--help`` and a misspelled option are answered
at once (0.3 s; everything together takes 1.5 s) and ``serve`` waits for nothing that it does not need.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

Config: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="TOML file with settings. Variables D365_… of the environment go before it.",
    ),
]
Sandbox: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--sandbox", help="Use the embedded sandbox even where an environment is configured."
    ),
]

Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, for machines.")
]
Profile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="A profile of the settings.",
        show_default="the whole catalogue",
    ),
]

app = typer.Typer(
    name="d365-graphql",
    help="A typed GraphQL API over Microsoft Dynamics 365 Finance & Operations.\n\n"
    "Settings come from variables D365_… and a TOML file (--config); `settings` prints them all. "
    "Exit codes: 1 the upstream failed, 2 something that was given cannot be used.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
schema_commands = typer.Typer(
    help="Print, count, question, compare and weigh the GraphQL schema.", no_args_is_help=True
)
metadata_commands = typer.Typer(
    help="Fetch and inspect the metadata document.", no_args_is_help=True
)


def _print_version(wanted: bool) -> None:
    if wanted:
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
    """Hold the options of the command without a subcommand; the help text is that of ``app``."""


@app.command()
def serve(
    config: Config = None,
    host: Annotated[
        str | None,
        typer.Option(help="Interface to listen on.", show_default="setting host: 127.0.0.1"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            help="Port; 0 lets the system choose one.",
            show_default="setting port: 8000",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the port.")] = 1,
    sandbox: Sandbox = False,
) -> None:
    """Serve the GraphQL API: on the configured environment (D365_URL), else on the embedded sandbox.

    Without an environment the sandbox starts by itself on a loopback interface only; elsewhere it needs --sandbox.
    """
    from gateway.process.garbage_collection import paused
    from gateway.process.lean_imports import without_terminal_imports

    with paused():
        with without_terminal_imports():
            from .options import errors_to_exit, settings_of
            from .serve import serve
        with errors_to_exit():
            settings = settings_of(config, sandbox=sandbox, host=host, port=port)
            serve(settings, workers, sandbox=sandbox)


@app.command()
def sandbox(  # noqa: PLR0913, PLR0917 - one argument an option of the command
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port; 0 lets the system choose one.")
    ] = 8765,
    host: Annotated[str, typer.Option(help="Interface to listen on.")] = "127.0.0.1",
    metadata: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Serve this metadata document (.xml, .xml.gz) with generated rows.",
            show_default="the built-in catalogue",
        ),
    ] = None,
    scale: Annotated[float, typer.Option(min=0.01, help="Factor on the number of rows.")] = 1.0,
    hostile: Annotated[
        bool,
        typer.Option(
            "--hostile", help="Add rows with hostile texts: quotes, wildcards, blanks, scripts."
        ),
    ] = False,
    latency: Annotated[
        float, typer.Option(min=0, metavar="MS", help="Milliseconds added to every answer.")
    ] = 0.0,
    throttle: Annotated[
        str | None,
        typer.Option(
            metavar="every=N[,retry-after=S]",
            help="Answer every Nth request with 429.",
            show_default="never",
        ),
    ] = None,
    page_limit: Annotated[int, typer.Option(min=1, help="Rows of one page.")] = 10_000,
    next_link: Annotated[
        Literal["skip", "skiptoken"], typer.Option(help="How a next link continues.")
    ] = "skip",
    database: Annotated[
        str, typer.Option(metavar="FILE", help="SQLite file that keeps the rows.")
    ] = ":memory:",
    knobs: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Set one of the settings sandbox.* by its name, as null_order=last. Can be given several times.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve the Finance & Operations look-alike by itself, as OData under /data."""
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
            page_limit=page_limit,
            next_link=next_link,
            database=database,
            relations=SANDBOX.relations,
        )
        serve_sandbox(replace(chosen, **knobs_of(knobs or ())), host, port)


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
        typer.Option(metavar="NAME", help="Which operation, where the document holds several."),
    ] = None,
    companies: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Company scope, as the header's: usmf, demf."),
    ] = None,
    profile: Profile = None,
    as_json: Json = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Print an operation's plan and its OData requests, without sending any.

    The metadata document is read, from the cache where it is there. Exit code 2: the operation cannot run.
    """
    from .options import errors_to_exit, settings_of

    with errors_to_exit():
        from .schema_commands import print_explanation, read_operation

        request = read_operation(file, variables, operation, companies)
        chosen = settings_of(config, sandbox=sandbox)
        print_explanation(chosen, request, profile, as_json=as_json)


@app.command()
def check(as_json: Json = False, config: Config = None, sandbox: Sandbox = False) -> None:
    """Try what a start needs: sign-in, $metadata, user, roles, companies, what may be read, the cache folder.

    Nothing is written upstream. Exit code 1: at least one step is a problem; each says what to do.
    """
    from .options import errors_to_exit, settings_of

    with errors_to_exit():
        from .check import print_check

        print_check(settings_of(config, sandbox=sandbox), as_json=as_json)


@app.command()
def settings(config: Config = None) -> None:
    """Print the effective settings as TOML that --config takes; secrets are masked."""
    from .options import errors_to_exit, settings_of

    with errors_to_exit():
        from gateway.config.rendering import to_toml

        print(to_toml(settings_of(config)), end="")


@schema_commands.command("print")
def print_schema(
    federation: Annotated[
        bool,
        typer.Option(
            "--federation", help="That of the subgraph, as _service answers it, for composers."
        ),
    ] = False,
    profile: Profile = None,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Write the schema definition language (SDL) to standard output."""
    from .options import errors_to_exit, settings_of

    with errors_to_exit():
        from .schema_commands import print_sdl

        print_sdl(settings_of(config, sandbox=sandbox), federation=federation, profile=profile)


@schema_commands.command("stats")
def schema_stats(
    profile: Profile = None, as_json: Json = False, config: Config = None, sandbox: Sandbox = False
) -> None:
    """Count entity sets, root fields, types and fields; list what had to be renamed or left out."""
    from .options import errors_to_exit, settings_of

    with errors_to_exit():
        from .schema_commands import print_schema_stats

        print_schema_stats(settings_of(config, sandbox=sandbox), profile, as_json=as_json)


@schema_commands.command("why")
def why(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A field or type: CustomerV3.creditLimit, customersV3, CustomerV3."
        ),
    ],
    profile: Profile = None,
    as_json: Json = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Tell where a field comes from, and why an operator is or is not offered."""
    from .options import errors_to_exit, settings_of

    with errors_to_exit():
        from .schema_commands import print_why

        print_why(settings_of(config, sandbox=sandbox), name, profile, as_json=as_json)


@schema_commands.command("diff")
def schema_diff(  # noqa: PLR0913, PLR0917 - one argument an option of the command
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD",
            help="A file: SDL, an introspection result, a metadata document; - is the current schema.",
        ),
    ],
    new: Annotated[
        str, typer.Argument(metavar="[NEW]", help="The same; not given: the current schema.")
    ] = "-",
    include: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Only types and root fields of such GraphQL names, in either case; repeatable.",
        ),
    ] = None,
    descriptions: Annotated[
        bool, typer.Option("--descriptions", help="Changed descriptions count, too: as safe.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Dangerous changes end with exit code 4.")
    ] = False,
    as_json: Json = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Tell what changed between two schemas: what breaks clients, what may surprise them, what is safe.

    A metadata document counts as the schema that it gives under these settings. Exit code 3: something breaks.
    """
    from .options import errors_to_exit, settings_of

    with errors_to_exit():
        from .diff import print_diff

        print_diff(
            settings_of(config, sandbox=sandbox),
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
            help="A profile of the settings; not given: the whole, or what the patterns leave.",
            show_default=False,
        ),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="Serve such entity sets only: 'Customer*'; repeatable."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Leave such entity sets out; repeatable."),
    ] = None,
    as_json: Json = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Count and weigh the API of a profile, or that such patterns would expose; nothing is served and nothing kept.

    Given patterns stand in the place of the settings' include and exclude.

    The metadata are those of `serve`: D365_METADATA, or the cache once the service confirms it or does not answer.
    """
    from .options import errors_to_exit, settings_of

    with errors_to_exit():
        from .simulate import print_simulation

        chosen = settings_of(config, sandbox=sandbox)
        print_simulation(chosen, profile, include or (), exclude or (), as_json=as_json)


@metadata_commands.command("pull")
def pull(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.")],
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Fetch the metadata document anew, whatever is cached, and write it to a file (for D365_METADATA)."""
    from .options import errors_to_exit, settings_of

    with errors_to_exit():
        from .metadata import pull_document

        pull_document(settings_of(config, sandbox=sandbox), target)


@metadata_commands.command("stats")
def metadata_stats(as_json: Json = False, config: Config = None, sandbox: Sandbox = False) -> None:
    """Count what the metadata document holds; list what had to be mended or left out."""
    from .options import errors_to_exit, settings_of

    with errors_to_exit():
        from .metadata import print_document_stats

        print_document_stats(settings_of(config, sandbox=sandbox), as_json=as_json)


@metadata_commands.command("relations")
def relations(
    entity_set: Annotated[
        str | None,
        typer.Option("--set", metavar="SET", help="Only relations from this entity set."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most candidates to print.")] = 20,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Suggest relations by equal key names, as TOML to copy into the settings. Nothing is switched on."""
    from .options import errors_to_exit, settings_of

    with errors_to_exit():
        from .metadata import print_suggestions

        print_suggestions(settings_of(config, sandbox=sandbox), entity_set, limit)


app.add_typer(schema_commands, name="schema")
app.add_typer(metadata_commands, name="metadata")
