"""``check``: tests step by step whether a gateway with these settings would work, with a hint for each problem."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import msgspec
import typer

from gateway.config.settings import Settings
from gateway.errors import GatewayError, UpstreamForbidden
from gateway.metadata.document_loader import load_metadata
from gateway.metadata.model_builder import LoadedModel, dialect_of, open_model
from gateway.odata.account import AccountSets, Lookup
from gateway.odata.client import ODataClient
from gateway.odata.dialect import Dialect
from gateway.odata.query import Compare, Literal, Operator, Path, Query, Request, Resource
from gateway.odata.render import render
from gateway.runtime.assembly import open_client
from gateway.storage.private_files import make_own_folder
from schema.errors import SchemaError

from .check_callers import check_callers
from .progress import reading_metadata, working
from .schema_commands import quiet

MAX_NAMES = 20
"""Names in a line; the rest are counted."""
_FREE = 200 * 1024 * 1024
"""Free bytes that a cache folder needs: documents, models and introspection of two generations of a whole catalogue."""


class Status(Enum):
    """Result of a step."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Step:
    """One check and its result."""

    name: str
    status: Status
    text: str
    hint: str | None = None


def print_check(settings: Settings, *, as_json: bool) -> None:
    """Print each step as it ends. Exits with 1 if one of them is a problem."""
    steps: list[Step] = []

    async def run() -> None:
        async for step in check(settings):
            steps.append(step)
            if not as_json:
                print(_line(step), flush=True)

    asyncio.run(run())
    failed = any(step.status is Status.PROBLEM for step in steps)
    if as_json:
        content = {"ok": not failed, "steps": [asdict(step) for step in steps]}
        print(msgspec.json.encode(content).decode())
    if failed:
        raise typer.Exit(1)


def _line(step: Step) -> str:
    hint = f"\n{'':21}hint: {step.hint}" if step.hint else ""
    return f"{step.status.value:<8} {step.name:<11} {step.text}{hint}"


async def check(settings: Settings) -> AsyncIterator[Step]:
    """Yield the steps in order. Steps that depend on a failed one are left out."""
    yield _environment(settings)
    yield _cache(settings)
    if settings.url is not None or settings.inbound.knows_callers:
        async for text, hint in check_callers(settings):
            yield Step("callers", Status.OK if hint is None else Status.PROBLEM, text, hint)
    async with open_client(settings, observe=quiet) as client:
        if settings.auth != "none":
            step = await _sign_in(settings)
            yield step
            if step.status is Status.PROBLEM:
                return
        metadata = await _metadata(settings, client)
        if isinstance(metadata, Step):
            yield metadata
            return
        step, loaded = metadata
        yield step
        dialect = dialect_of(settings, loaded.model)
        yield Step("dialect", Status.OK, f"{dialect.title} ({dialect.name})")
        async for step in _account(settings, client, loaded, dialect):
            yield step


def _environment(settings: Settings) -> Step:
    if settings.url is None:
        return Step(
            "environment", Status.OK, "embedded sandbox; D365_URL selects a real environment"
        )
    sign_in = "no sign-in" if settings.auth == "none" else f"signs in as {settings.client_id}"
    return Step("environment", Status.OK, f"{settings.url}, {sign_in}")


def _cache(settings: Settings) -> Step:
    folder = settings.cache_dir
    if folder is None:
        text = "no cache between starts"
        return Step("cache", Status.WARNING, text, "Set cache_dir: starts then take a second.")
    try:
        make_own_folder(folder)
        with tempfile.NamedTemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        text = f"{folder} cannot be written: {error.strerror}"
        hint = (
            "Make the folder writable for the user of the gateway, or set cache_dir to another one."
        )
        return Step("cache", Status.PROBLEM, text, hint)
    text = f"{folder}, {free / 1e9:,.1f} GB free"
    if free < _FREE:
        return Step("cache", Status.WARNING, text, "The whole catalogue takes some 200 MB.")
    return Step("cache", Status.OK, text)


async def _sign_in(settings: Settings) -> Step:
    from gateway.odata.auth import auth_of  # noqa: PLC0415 - importing msal takes 0.1 s

    auth = auth_of(settings, quiet)
    assert auth is not None
    try:
        with working("Signing in"):
            seconds = await auth.sign_in()
    except GatewayError as error:
        return _problem("sign-in", error)
    text = f"token from tenant {settings.tenant_id}, valid for {seconds / 60:,.0f} minutes"
    return Step("sign-in", Status.OK, text)


async def _metadata(settings: Settings, client: ODataClient) -> tuple[Step, LoadedModel] | Step:
    try:
        with reading_metadata() as report:
            document = await load_metadata(settings, client, progress=report, observe=quiet)
            loaded = await asyncio.to_thread(open_model, settings, document, report, quiet)
    except SchemaError as error:
        return Step("$metadata", Status.PROBLEM, str(error), error.hint)
    except GatewayError as error:
        return _problem("$metadata", error)
    sets, findings = len(loaded.model.entity_sets), len(loaded.model.findings)
    text = f"{sets:,} entity sets from {document.source}, SHA-256 {document.digest[:12]}"
    if findings:
        text += f"; {findings:,} findings, listed by `metadata stats`"
    return Step("$metadata", Status.OK, text), loaded


async def _account(
    settings: Settings, client: ODataClient, loaded: LoadedModel, dialect: Dialect
) -> AsyncIterator[Step]:
    """Yield the steps about the account: its user, roles, companies, and what it may read."""
    sets = dialect.account
    if sets is None:
        yield await _reads(client, dialect, tuple(loaded.model.entity_sets)[:1])
        return
    reader = _Reader(client, dialect, frozenset(loaded.model.entity_sets))
    if settings.client_id is not None and settings.auth != "none":
        user, step = await _user(reader, sets, settings.client_id)
        yield step
        if user is not None:
            yield await _roles(reader, sets, user)
    yield await _companies(reader, sets, settings.companies)
    yield await _reads(client, dialect, [s for s in sets.samples if s in reader.sets])


@dataclass(frozen=True, slots=True)
class _Reader:
    client: ODataClient
    dialect: Dialect
    sets: frozenset[str]

    async def values(self, lookup: Lookup, key: str | None = None) -> list[str]:
        """Return the values of all rows of a lookup, or of those with this key. Raises GatewayError."""
        where = None
        if key is not None:
            where = Compare(Path((lookup.key,)), Operator.EQ, Literal(key, "Edm.String"))
        column = lookup.key if key is None else lookup.value
        rows = await _rows(self.client, self.dialect, lookup.entity_set, (column,), where)
        return sorted({str(row.get(column, "")) for row in rows})


async def _rows(
    client: ODataClient,
    dialect: Dialect,
    entity_set: str,
    select: tuple[str, ...] = (),
    where: Compare | None = None,
    top: int | None = None,
) -> Sequence[Any]:
    query = Query(resource=Resource(entity_set), select=select, where=where, top=top)
    request: Request = render(dialect.lower(query).query, options=dialect.options)
    response = await client.send(request)
    content: dict[str, Any] = msgspec.json.decode(response.body)
    rows: list[Any] = content.get("value", [])
    return rows


async def _user(reader: _Reader, sets: AccountSets, client_id: str) -> tuple[str | None, Step]:
    try:
        users = await reader.values(sets.clients, client_id)
    except GatewayError as error:
        return None, _unreadable("user", sets.clients, error)
    if not users:
        text = f"{client_id} is not registered in the environment"
        hint = (
            "Add it, with a user: System administration > Setup > Microsoft Entra ID applications."
        )
        return None, Step("user", Status.PROBLEM, text, hint)
    return users[0], Step("user", Status.OK, users[0])


async def _roles(reader: _Reader, sets: AccountSets, user: str) -> Step:
    try:
        roles = await reader.values(sets.roles, user)
    except GatewayError as error:
        return _unreadable("roles", sets.roles, error)
    if not roles:
        return Step(
            "roles", Status.PROBLEM, f"{user} has none", "Assign security roles to the user."
        )
    return Step("roles", Status.OK, _join(roles))


async def _companies(reader: _Reader, sets: AccountSets, configured: Sequence[str]) -> Step:
    try:
        companies = await reader.values(sets.companies)
    except GatewayError as error:
        return _unreadable("companies", sets.companies, error)
    existing = {company.casefold() for company in companies}
    unknown = [company for company in configured if company.casefold() not in existing]
    if unknown:
        text = f"{_join(unknown)} of the setting companies is not among {_join(companies)}"
        return Step("companies", Status.PROBLEM, text, "Correct the setting companies.")
    scope = f"; default scope: {_join(configured)}" if configured else ""
    return Step("companies", Status.OK, f"{_join(companies)}{scope}")


async def _reads(client: ODataClient, dialect: Dialect, entity_sets: Sequence[str]) -> Step:
    """Read a row of each of some entity sets. Writing cannot be tested without writing."""
    refused: list[str] = []
    with working("Testing read access"):
        for entity_set in entity_sets:
            try:
                await _rows(client, dialect, entity_set, top=1)
            except UpstreamForbidden:
                refused.append(entity_set)
            except GatewayError as error:
                return _problem("rights", error)
    readable = [name for name in entity_sets if name not in refused]
    if refused:
        text = f"may read {_join(readable) or 'nothing'}; may not read {_join(refused)}"
        status = Status.WARNING if readable else Status.PROBLEM
        return Step("rights", status, text, "Assign a role with these data entities to the user.")
    return Step("rights", Status.OK, f"may read {_join(readable)}; writing is not tested")


def _unreadable(name: str, lookup: Lookup, error: GatewayError) -> Step:
    # A warning only: the account works without reading what an administrator would look up.
    return Step(name, Status.WARNING, f"{lookup.entity_set} cannot be read: {error.message}")


def _problem(name: str, error: GatewayError) -> Step:
    return Step(name, Status.PROBLEM, f"{error.code}: {error.message}", error.hint)


def _join(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more:,} more" if more > 0 else "")
