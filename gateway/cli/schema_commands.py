"""``explain`` and ``schema …``: inspect the API."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import typer

from gateway.audit.opening import recording
from gateway.changes.describe import describe_changes
from gateway.config.profiles import profile_settings
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import Event
from gateway.explain.explain import explain
from gateway.explain.report import Explanation
from gateway.http.request_parameters import companies_of
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, build_profile, open_gateway
from gateway.runtime.role_views import build_view, row_rules
from gateway.storage.sealing import Sealer
from schema.compare.sizes import number_of_types
from schema.errors import did_you_mean
from schema.introspection import print_subgraph, print_types
from schema.policy.records import Policy
from schema.policy.view import RoleView
from schema.types.build import ODataSchema
from schema.types.printing import Stats, stats
from schema.why.reads import Reasons, reasons

from .progress import reading_metadata, working

T = TypeVar("T")


def quiet(_: Event) -> None:
    """Drop an event: the commands print results, not logs."""


def with_gateway(
    settings: Settings,
    use: Callable[[Gateway], Awaitable[T]],
    *,
    profile: str | None,
    roles: str | None = None,
    labels: bool = False,
    writes: bool = False,
) -> T:
    """Return what ``use`` returns for a gateway, for that of a profile, or for the view of roles (``a,b``) of either.

    Raises SettingsError for an unknown profile or role.

    Label texts, which may take thousands of requests, are only fetched with ``labels``. ``writes``: what it writes is
    recorded in the audit log.
    """
    settings = with_profile(settings, profile)
    if not labels:
        settings = settings.model_copy(update={"language": None})

    async def run() -> T:
        async with AsyncExitStack() as stack:
            log = None
            if writes:
                # Standard output has what the command prints.
                log = await stack.enter_async_context(recording(settings, quiet, sys.stderr))
            with reading_metadata() as report:
                gateway = await stack.enter_async_context(
                    open_gateway(settings, observe=quiet, progress=report, audit=log)
                )
            with working("Working on the schema"):
                served = gateway if profile is None else build_profile(gateway, profile)
                return await use(served if roles is None else _view(gateway, served, roles))

    return asyncio.run(run())


def _view(whole: Gateway, served: Gateway, roles: str) -> Gateway:
    if whole.policy is None:
        raise SettingsError("--as: there are no roles.", hint="Declare them in the setting roles.")
    view = RoleView(whole.policy, known_roles(whole.policy, roles))
    # Nothing is sealed or hashed here that anybody keeps.
    return build_view(served, view, row_rules(whole), Sealer(secrets.token_bytes(32)))


def known_roles(policy: Policy, roles: str) -> tuple[str, ...]:
    """Return the names in ``a,b``. Raises SettingsError for one that is no role."""
    names = tuple(name for part in roles.split(",") if (name := part.strip()))
    for name in names:
        if name not in policy.roles:
            raise SettingsError(f"There is no role {name}.{did_you_mean(name, policy.roles)}")
    if not names:
        raise SettingsError("--as names no role.")
    return names


def with_profile(settings: Settings, profile: str | None) -> Settings:
    """Return the settings with this profile only, so that nothing is fetched for others.

    Raises SettingsError for an unknown one.
    """
    if profile is None:
        return settings.model_copy(update={"profiles": {}})
    profile_settings(settings, profile)
    return settings.model_copy(update={"profiles": {profile: settings.profiles[profile]}})


def read_operation(
    file: Path, variables: str, operation: str | None, companies: str | None
) -> GraphQLRequest:
    """Return the request in the arguments of ``explain``. Raises SettingsError."""
    return GraphQLRequest(
        query=_read_text(file),
        variables=_decode_variables(variables),
        operation_name=operation,
        companies=companies_of(companies),
    )


def _read_text(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8 text.") from error


def _decode_variables(text: str) -> dict[str, Any]:
    try:
        variables = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SettingsError(f"--variables is not JSON: {error}.") from error
    if not isinstance(variables, dict):
        raise SettingsError('--variables is not a JSON object, such as {"first": 5}.')
    return variables


def print_explanation(
    settings: Settings,
    request: GraphQLRequest,
    profile: str | None = None,
    *,
    as_json: bool = False,
) -> None:
    """Print the plan of an operation. Exits with 2 if it cannot run."""

    async def run(gateway: Gateway) -> tuple[Explanation, str | None]:
        service = None if gateway.is_sandbox else gateway.client.root
        return await explain(gateway, request), service

    explanation, service = with_gateway(settings, run, profile=profile)
    if as_json:
        print(_json({**explanation.to_json(service), "errors": explanation.errors}))
    else:
        print(explanation.text())
    if explanation.cannot_run:
        raise typer.Exit(2)


def current_schema(
    settings: Settings, *, labels: bool, profile: str | None = None, roles: str | None = None
) -> ODataSchema:
    """Return the schema of the configured environment or the sandbox, or that of a profile or of roles."""

    async def schema(gateway: Gateway) -> ODataSchema:
        return gateway.schema

    return with_gateway(settings, schema, profile=profile, roles=roles, labels=labels)


def print_sdl(
    settings: Settings, *, federation: bool, profile: str | None = None, roles: str | None = None
) -> None:
    """Print the API's schema; with ``federation``, the SDL that ``_service`` returns. Raises SettingsError."""
    schema = current_schema(settings, labels=True, profile=profile, roles=roles)
    twin = schema.catalog.fresh_copy()
    if not federation:
        sys.stdout.writelines(print_types(schema.copy_for(twin, federated=False)))
        return
    if schema.federation is None:
        raise SettingsError(
            "The API is not a subgraph: the setting federation.enabled is false.",
            hint="Remove --federation, or set D365_FEDERATION__ENABLED=true.",
        )
    sys.stdout.writelines(print_subgraph(schema.copy_for(twin)))


def print_schema_stats(
    settings: Settings, profile: str | None = None, *, as_json: bool = False
) -> None:
    """Print counts and findings of the schema."""

    async def count(gateway: Gateway) -> tuple[Stats, int]:
        return stats(gateway.catalog, gateway.schema.writes), number_of_types(gateway.schema)

    counts, types = with_gateway(settings, count, profile=profile)
    if as_json:
        print(_json({**asdict(counts), "types": types, "types_by_kind": counts.types}))
        return
    rows = {
        "entity sets": counts.entity_sets,
        "singletons": counts.singletons,
        "functions": counts.functions,
        "root fields": counts.root_fields,
        "mutations": counts.mutations,
        "types": types,
        **{f"  {family}": number for family, number in counts.types.items()},
        "  scalars, roots and others": types - sum(counts.types.values()),
        "fields": counts.fields,
        "fields of mutations' inputs": counts.input_fields,
        "enums": counts.enums,
        "enum values": counts.enum_values,
        "findings": len(counts.findings),
    }
    print_counts(rows, counts.findings)


def print_counts(rows: dict[str, int], findings: tuple[str, ...]) -> None:
    """Print figures, then findings."""
    for name, number in rows.items():
        print(f"{number:>9,}  {name}")
    for finding in findings:
        print(f"- {finding}")


def print_why(
    settings: Settings,
    name: str,
    profile: str | None = None,
    *,
    roles: str | None = None,
    as_json: bool = False,
) -> None:
    """Print the origin of a name. Raises SchemaError for an unknown one, also if the roles hide it."""

    async def explain_name(gateway: Gateway) -> Reasons:
        schema = gateway.schema
        found = reasons(
            gateway.catalog,
            name,
            schema.writes,
            aggregates=schema.has_aggregates,
            unified=schema.unified,
        )
        changes = describe_changes(
            gateway.catalog, gateway.settings, gateway.dialect, name.removeprefix("Query.")
        )
        if changes is None:
            return found
        return replace(found, details=(*found.details, ("changes", changes)))

    result = with_gateway(settings, explain_name, profile=profile, roles=roles, labels=True)
    print(_json(asdict(result)) if as_json else result.text())


def _json(content: object) -> str:
    return msgspec.json.encode(content).decode()
