"""``explain``, ``schema …``, ``metadata …`` and ``settings``: look at things, change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from schema.why import why as schema_why

from gateway.assemble import Gateway, open_client, open_gateway, read_model
from gateway.errors import BadArgument, SettingsError
from gateway.events import Event
from gateway.execute import GraphQLRequest
from gateway.explain import explain as explain_operation
from gateway.http import companies_of
from gateway.metadata import load_metadata
from gateway.settings import Settings, effective
from schema.model import Model
from schema.printing import stats as schema_stats
from schema.relations import suggest

from .options import Config, Sandbox, errors_to_exit, fail, settings_of

T = TypeVar("T")

schema_commands = typer.Typer(help="The GraphQL schema.", no_args_is_help=True)
metadata_commands = typer.Typer(help="The metadata document.", no_args_is_help=True)


def _quiet(_: Event) -> None:
    """Say nothing: a command's output is its answer."""


def _with_gateway(settings: Settings, use: Callable[[Gateway], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_gateway(settings, observe=_quiet) as gateway:
            return await use(gateway)

    return asyncio.run(run())


def explain(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A GraphQL document.")],
    variables: Annotated[str, typer.Option(help="Variables as JSON.")] = "{}",
    operation: Annotated[str | None, typer.Option(help="Name of the operation.")] = None,
    companies: Annotated[
        str | None, typer.Option(help="Company scope, as the header: usmf, demf.")
    ] = None,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Print an operation's plan and its exact OData requests, without sending any."""
    with errors_to_exit():
        request = GraphQLRequest(
            query=file.read_text("utf-8"),
            variables=_variables(variables),
            operation_name=operation,
            companies=companies_of(companies),
        )
        settings = settings_of(config, sandbox=sandbox)
        found = _with_gateway(settings, lambda g: explain_operation(g.engine, request))
        print(found.text())
        if found.errors:
            raise typer.Exit(2)


def _variables(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SettingsError(f"--variables is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise SettingsError("--variables is not a JSON object.")
    return found


@schema_commands.command("print")
def print_schema(config: Config = None, sandbox: Sandbox = False) -> None:
    """Write the SDL."""

    async def sdl(gateway: Gateway) -> str:
        return gateway.schema.as_str()

    with errors_to_exit():
        print(_with_gateway(settings_of(config, sandbox=sandbox), sdl))


@schema_commands.command("stats")
def print_stats(config: Config = None, sandbox: Sandbox = False) -> None:
    """Count what the schema holds."""

    async def counted(gateway: Gateway) -> str:
        return str(schema_stats(gateway.catalog))

    with errors_to_exit():
        print(_with_gateway(settings_of(config, sandbox=sandbox), counted))


@schema_commands.command("why")
def print_why(
    name: Annotated[
        str, typer.Argument(help="A field or type: CustomerV3.creditLimit, customersV3, NoYes.")
    ],
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Tell where a field comes from, and why an operator is or is not offered."""

    async def told(gateway: Gateway) -> str:
        return schema_why(gateway.catalog, name)

    with errors_to_exit():
        print(_with_gateway(settings_of(config, sandbox=sandbox), told))


@metadata_commands.command("pull")
def pull(
    target: Annotated[Path, typer.Argument(help="File to write.")],
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Fetch the metadata document anew and write it to a file."""

    async def fetch(settings: Settings) -> bytes:
        async with open_client(settings, observe=_quiet) as client:
            return (await load_metadata(settings, client, refresh=True, observe=_quiet)).text

    with errors_to_exit():
        text = asyncio.run(fetch(settings_of(config, sandbox=sandbox)))
        try:
            target.write_bytes(text)
        except OSError as error:
            fail(f"Cannot write {target}: {error.strerror}.", None, 1)
        print(f"{len(text):,} bytes written to {target}.")


@metadata_commands.command("stats")
def metadata_stats(config: Config = None, sandbox: Sandbox = False) -> None:
    """Count what the metadata document holds."""
    with errors_to_exit():
        model = _model(settings_of(config, sandbox=sandbox))
        rows = {
            "entity sets": len(model.entity_sets),
            "singletons": len(model.singletons),
            "entity types": len(model.entity_types),
            "complex types": len(model.complex_types),
            "enum types": len(model.enum_types),
            "properties": sum(len(t.properties) for t in model.entity_types.values()),
            "navigations": sum(len(t.navigations) for t in model.entity_types.values()),
            "actions and functions": len(model.operations),
            "findings": len(model.findings),
        }
        for name, number in rows.items():
            print(f"{number:>9,}  {name}")
        for finding in model.findings:
            print(f"- {finding}")


@metadata_commands.command("relations")
def relations(
    entity_set: Annotated[
        str | None, typer.Option("--set", help="Only relations from this entity set.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most candidates to print.")] = 20,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Suggest relations by equal key names, as TOML to copy into the settings. Nothing is switched on."""
    with errors_to_exit():
        model = _model(settings_of(config, sandbox=sandbox))
        if entity_set is not None and entity_set not in model.entity_sets:
            raise BadArgument(
                f"There is no entity set {entity_set}.", hint="See `schema stats` and the SDL."
            )
        found = (s for s in suggest(model) if entity_set in (None, s.relation.from_set))
        for suggestion in islice(found, limit):
            print(f"{suggestion}\n")


def _model(settings: Settings) -> Model:
    async def read() -> Model:
        async with open_client(settings, observe=_quiet) as client:
            return read_model(settings, await load_metadata(settings, client, observe=_quiet))

    return asyncio.run(read())


def settings(config: Config = None) -> None:
    """Print the effective settings as TOML, secrets masked."""
    with errors_to_exit():
        print(effective(settings_of(config)))
