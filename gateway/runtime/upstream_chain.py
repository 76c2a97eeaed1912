"""The way to the environment, step by step: token, user, roles, companies, rights; and what to do where it ends.

token ──▶ for this service and tenant? ──▶ registered (401)? ──▶ which user? ──▶ which roles (403), which companies?
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from gateway.config.settings import Settings
from gateway.errors import GatewayError, UpstreamForbidden
from gateway.odata.account import AccountSets, Lookup
from gateway.odata.client import ODataClient
from gateway.odata.dialect import Dialect
from gateway.odata.rows_of import equals, rows_of
from gateway.odata.token_facts import TokenFacts, token_facts

MAX_NAMES = 20
"""Names in a line; the rest are counted."""
_REGISTRATION = "System administration > Setup > Microsoft Entra ID applications"


class Status(StrEnum):
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


def token_step(settings: Settings, token: str, seconds: float) -> tuple[TokenFacts | None, Step]:
    """Return what the application's token says, and whether it fits the service; it is valid for so many seconds."""
    minutes = f"valid for {seconds / 60:,.0f} minutes"
    facts = token_facts(token)
    if facts is None:
        return None, Step(
            "sign-in", Status.OK, f"token from tenant {settings.tenant_id}, {minutes}"
        )
    text = (
        f"token for {facts.aud} from tenant {facts.tid}, {minutes};"
        f" application {facts.application}, object {facts.oid}"
    )
    if facts.oid is None:
        hint = (
            "The application must exist in the tenant of the environment: is tenant_id that tenant?"
        )
        return facts, Step("sign-in", Status.PROBLEM, f"{text}: no object (oid)", hint)
    if _is_of_another_host(facts.aud, settings.url):
        hint = "Set scope to the address of the environment + /.default."
        return facts, Step("sign-in", Status.WARNING, f"{text}: not for {settings.url}", hint)
    return facts, Step("sign-in", Status.OK, text)


def _is_of_another_host(audience: str | None, url: str | None) -> bool:
    """Return whether a token is for another address; the audience may also be the id of an application."""
    host = urlsplit(audience or "").hostname
    return host is not None and url is not None and host != urlsplit(url).hostname


async def account_steps(
    settings: Settings,
    client: ODataClient,
    entity_sets: Sequence[str],
    dialect: Dialect,
    application: str | None,
) -> AsyncIterator[Step]:
    """Yield the steps about the account: its user, roles, companies, and what it may read.

    ``application`` is the client id with which the gateway signs in.
    """
    sets = dialect.account
    if sets is None:
        yield await _reads(client, dialect, entity_sets[:1])
        return
    reader = _Reader(client, dialect)
    if application is not None and settings.auth != "none":
        user, step = await _user(reader, sets, application)
        yield step
        if user is not None:
            yield await _roles(reader, sets, user)
    yield await _companies(reader, sets, settings.companies)
    served = frozenset(entity_sets)
    yield await _reads(client, dialect, [s for s in sets.samples if s in served])


@dataclass(frozen=True, slots=True)
class _Reader:
    client: ODataClient
    dialect: Dialect

    async def values(self, lookup: Lookup, key: str | None = None) -> list[str]:
        """Return the values of all rows of a lookup, or of those with this key. Raises GatewayError."""
        where = None if key is None else equals(lookup.key, key)
        column = lookup.key if key is None else lookup.value
        rows = await rows_of(self.client, self.dialect, lookup.entity_set, (column,), where)
        return sorted({str(row.get(column, "")) for row in rows})


async def _user(reader: _Reader, sets: AccountSets, client_id: str) -> tuple[str | None, Step]:
    try:
        users = await reader.values(sets.clients, client_id)
    except GatewayError as error:
        return None, _unreadable("user", sets.clients, error)
    if not users:
        text = f"{client_id} is not registered in the environment"
        hint = f"Add it, with a user: {_REGISTRATION}."
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
    for entity_set in entity_sets:
        try:
            await rows_of(client, dialect, entity_set, top=1)
        except UpstreamForbidden as error:
            if error.upstream_status == 401:
                return problem_step("rights", error)
            refused.append(entity_set)
        except GatewayError as error:
            return problem_step("rights", error)
    readable = [name for name in entity_sets if name not in refused]
    if refused:
        text = f"may read {_join(readable) or 'nothing'}; may not read {_join(refused)}"
        status = Status.WARNING if readable else Status.PROBLEM
        return Step("rights", status, text, "Assign a role with these data entities to the user.")
    return Step("rights", Status.OK, f"may read {_join(readable)}; writing is not tested")


def _unreadable(name: str, lookup: Lookup, error: GatewayError) -> Step:
    if error.upstream_status == 401:
        return problem_step(name, error)
    # A warning only: the account works without reading what an administrator would look up.
    return Step(name, Status.WARNING, f"{lookup.entity_set} cannot be read: {error.message}")


def problem_step(name: str, error: GatewayError) -> Step:
    """Return the step that ends with an error. A 401 and a 403 of the environment have different causes."""
    text = f"{error.code}: {error.message}"
    if isinstance(error, UpstreamForbidden) and error.upstream_status == 401:
        hint = f"The environment does not know the application: add it under {_REGISTRATION}. {error.hint or ''}"
        return Step(name, Status.PROBLEM, text, hint.rstrip())
    return Step(name, Status.PROBLEM, text, error.hint)


def _join(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more:,} more" if more > 0 else "")
