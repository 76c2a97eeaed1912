"""``explain`` and ``schema …``: look at the API, change nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import typer

from gateway.config.profiles import profile_settings
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import Event
from gateway.explain.explain import explain
from gateway.explain.report import Explanation
from gateway.http.graphql_endpoint import companies_of
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, build_profile, open_gateway
from schema.compare.sizes import number_of_types
from schema.introspection import print_subgraph, print_types
from schema.types.build import ODataSchema
from schema.types.printing import Stats, stats
from schema.why.reads import Reasons, reasons

from .progress import reading_metadata, working

T = TypeVar("T")


def quiet(_: Event) -> None:
    """Say nothing: a command's output is its answer."""


def _with_gateway(
    settings: Settings,
    use: Callable[[Gateway], Awaitable[T]],
    *,
    profile: str | None,
    labels: bool = False,
) -> T:
    """Use a gateway, or that of a profile. Raises SettingsError where there is none of that name.

    Label texts, which may be thousands of requests, are only fetched where they are printed.
    """
    chosen = with_profile(settings, profile)
    if not labels:
        chosen = chosen.model_copy(update={"language": None})

    async def run() -> T:
        async with AsyncExitStack() as stack:
            with reading_metadata() as report:
                gateway = await stack.enter_async_context(
                    open_gateway(chosen, observe=quiet, progress=report)
                )
            with working("Working on the schema"):
                return await use(gateway if profile is None else build_profile(gateway, profile))

    return asyncio.run(run())


def with_profile(settings: Settings, profile: str | None) -> Settings:
    """Look away from other profiles: what they need is not asked for. Raises SettingsError for an unknown one."""
    if profile is None:
        return settings.model_copy(update={"profiles": {}})
    profile_settings(settings, profile)
    return settings.model_copy(update={"profiles": {profile: settings.profiles[profile]}})


def read_operation(
    file: Path, variables: str, operation: str | None, companies: str | None
) -> GraphQLRequest:
    """Read what is to be explained. Raises SettingsError."""
    return GraphQLRequest(
        query=_text_of(file),
        variables=_variables(variables),
        operation_name=operation,
        companies=companies_of(companies),
    )


def _text_of(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8 text.") from error


def _variables(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SettingsError(f"--variables is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise SettingsError('--variables is not a JSON object, such as {"first": 5}.')
    return found


def print_explanation(
    settings: Settings,
    request: GraphQLRequest,
    profile: str | None = None,
    *,
    as_json: bool = False,
) -> None:
    """Print the plan of an operation; leave with 2 if it cannot run."""

    async def explained(gateway: Gateway) -> tuple[Explanation, str | None]:
        service = None if gateway.is_sandbox else gateway.client.root
        return await explain(gateway, request), service

    found, service = _with_gateway(settings, explained, profile=profile)
    print(_json({**found.to_json(service), "errors": found.errors}) if as_json else found.text())
    if found.cannot_run:
        raise typer.Exit(2)


def current_schema(settings: Settings, *, labels: bool, profile: str | None = None) -> ODataSchema:
    """Return the schema of the configured environment, or of the sandbox; or that of a profile."""

    async def schema(gateway: Gateway) -> ODataSchema:
        return gateway.schema

    return _with_gateway(settings, schema, profile=profile, labels=labels)


def print_sdl(settings: Settings, *, federation: bool, profile: str | None = None) -> None:
    """Print the API's schema; with ``federation`` what ``_service`` answers. Raises SettingsError."""
    schema = current_schema(settings, labels=True, profile=profile)
    twin = schema.catalog.twin()
    if not federation:
        sys.stdout.writelines(print_types(schema.again(twin, federated=False)))
        return
    if schema.federation is None:
        raise SettingsError(
            "The API is no subgraph: the setting federation.enabled is off.",
            hint="Leave --federation out, or set D365_FEDERATION__ENABLED=true.",
        )
    sys.stdout.writelines(print_subgraph(schema.again(twin)))


def print_schema_stats(
    settings: Settings, profile: str | None = None, *, as_json: bool = False
) -> None:
    async def counted(gateway: Gateway) -> tuple[Stats, int]:
        return stats(gateway.catalog, gateway.schema.writes), number_of_types(gateway.schema)

    found, types = _with_gateway(settings, counted, profile=profile)
    if as_json:
        print(_json({**asdict(found), "types": types, "types_by_kind": found.types}))
        return
    rows = {
        "entity sets": found.entity_sets,
        "singletons": found.singletons,
        "functions": found.functions,
        "root fields": found.root_fields,
        "mutations": found.mutations,
        "types": types,
        **{f"  {family}": number for family, number in found.types.items()},
        "  scalars, roots and others": types - sum(found.types.values()),
        "fields": found.fields,
        "fields of mutations' inputs": found.input_fields,
        "enums": found.enums,
        "enum values": found.enum_values,
        "findings": len(found.findings),
    }
    print_counts(rows, found.findings)


def print_counts(rows: dict[str, int], findings: tuple[str, ...]) -> None:
    """Print figures, then findings."""
    for name, number in rows.items():
        print(f"{number:>9,}  {name}")
    for finding in findings:
        print(f"- {finding}")


def print_why(
    settings: Settings, name: str, profile: str | None = None, *, as_json: bool = False
) -> None:
    """Print where a name comes from. Raises SchemaError for an unknown one."""

    async def answered(gateway: Gateway) -> Reasons:
        return reasons(gateway.catalog, name, gateway.schema.writes)

    found = _with_gateway(settings, answered, profile=profile, labels=True)
    print(_json(asdict(found)) if as_json else found.text())


def _json(content: object) -> str:
    return msgspec.json.encode(content).decode()
