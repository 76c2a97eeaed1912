"""``schema`` and ``metadata``: names, options and help of the commands."""

# ruff: noqa: PLC0415 - the code of a command is imported when it is called

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .option_types import AsRoles, Config, Json, Profile, Sandbox

schema_commands = typer.Typer(
    help="Print, explain, compare and measure the GraphQL schema.", no_args_is_help=True
)
metadata_commands = typer.Typer(
    help="Fetch and inspect the metadata document.", no_args_is_help=True
)


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
