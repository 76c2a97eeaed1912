"""In which tenant an environment is: what it says itself, and the tenant's id by what the login host publishes.

    GET service root, without a token ──▶ 401 with ``authorization_uri`` ──▶ tenant ──▶ discovery document ──▶ its id

Of ``authorization_uri`` the tenant alone is used, and only if it is on a login host that is known: where visitors sign
in is decided by the setting ``authority``. A domain is a name that may move, so the id is what counts from then on.
https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import httpx
from msgspec import Struct

from gateway.config.environment_addresses import LOGIN_HOSTS
from gateway.config.inbound_models import MANY_TENANTS
from gateway.config.profiles import EnvironmentSettings
from gateway.identity.accepted_issuers import WELL_KNOWN
from gateway.identity.key_documents import KeysError, fetch_json

from .problems import bad_input
from .session import Problem

LONGEST = 10.0
"""Seconds for the answer of an environment."""
_OLD_HOSTS = frozenset({"https://login.windows.net", "https://login.microsoft.com"})
_URI = re.compile(r'authorization_uri\s*=\s*"?([^",\s]{1,500})')
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,198}[a-z0-9])?")
TENANT_HINT = "It is in the Azure portal under Microsoft Entra ID > Overview > Tenant ID."


class Unreachable(Exception):
    """An environment that does not answer as one does."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class LoginTenant(Struct, frozen=True, kw_only=True):
    """A tenant at the login host."""

    id: str
    issuer: str
    """Of its ID tokens."""


def tenant_text(value: str) -> str:
    """Return a typed tenant: an id or a domain. Raises LinkError."""
    tenant = value.strip().lower()
    if not _TENANT.fullmatch(tenant) or tenant in MANY_TENANTS:
        message = "Expected the id of the tenant, or one of its domains, such as contoso.com."
        raise bad_input("tenant", message, TENANT_HINT)
    return tenant


def environment_http(settings: EnvironmentSettings) -> httpx.AsyncClient:
    """Return a client for an environment: to its own origin, at public addresses. Raises SettingsError."""
    from gateway.odata.own_origin import own_origin_transport  # noqa: PLC0415 - importing aiohttp takes 0.1 s

    return httpx.AsyncClient(transport=own_origin_transport(settings), timeout=LONGEST)


def login_http() -> httpx.AsyncClient:
    """Return a client for the login host, which the settings name."""
    return httpx.AsyncClient(timeout=LONGEST, follow_redirects=False)


async def tenant_of_environment(http: httpx.AsyncClient, url: str, authority: str) -> str | None:
    """Return the tenant that an environment names; None if it names none that can be used. Raises Unreachable."""
    try:
        async with http.stream("GET", f"{url}/", headers={"Accept": "application/json"}) as answer:
            status, challenge = answer.status_code, answer.headers.get("www-authenticate", "")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(_no_answer(url)) from error
    if status != 401:
        # Whatever it is: an environment answers nobody without a token.
        raise Unreachable(
            Problem(
                "LINK_NO_ENVIRONMENT",
                f"{urlsplit(url).hostname} does not answer like an environment (status {status}).",
                "Copy the address from the browser in which you use Dynamics 365.",
            )
        )
    match = _URI.search(challenge)
    return None if match is None else tenant_in(match[1], authority)


def tenant_in(address: str, authority: str) -> str | None:
    """Return the tenant in the address of a login page; None if it is not on a known login host, or names none."""
    known = {authority.rstrip("/"), *LOGIN_HOSTS, *_OLD_HOSTS}
    base = next((base for base in known if address.startswith(f"{base}/")), None)
    if base is None:
        return None
    tenant = address[len(base) + 1 :].partition("/")[0].lower()
    return tenant if _TENANT.fullmatch(tenant) and tenant not in MANY_TENANTS else None


def login_tenant(authority: str, tenant_id: str) -> LoginTenant:
    """Return the tenant with an id."""
    return LoginTenant(id=tenant_id, issuer=f"{authority}/{tenant_id}/v2.0")


async def resolve_tenant(http: httpx.AsyncClient, authority: str, tenant: str) -> LoginTenant:
    """Return the tenant with an id or domain. Raises LinkError if the login host knows none."""
    try:
        document = await fetch_json(http, f"{authority}/{tenant}/v2.0{WELL_KNOWN}")
    except KeysError as error:
        raise _no_tenant(tenant) from error
    issuer = document.get("issuer") if isinstance(document, dict) else None
    start, end = f"{authority}/", "/v2.0"
    if isinstance(issuer, str) and issuer.startswith(start) and issuer.endswith(end):
        tenant_id = issuer[len(start) : -len(end)]
        # The document of a tenant that is named by its id is about that one.
        if _ID.fullmatch(tenant_id) and (not _ID.fullmatch(tenant) or tenant == tenant_id):
            return login_tenant(authority, tenant_id)
    raise _no_tenant(tenant)


def _no_answer(url: str) -> Problem:
    return Problem(
        "LINK_UNREACHABLE",
        f"{urlsplit(url).hostname} cannot be reached.",
        "Is the address right, and does the environment run?",
    )


def _no_tenant(tenant: str) -> Exception:
    return bad_input("tenant", f"Microsoft Entra does not know the tenant {tenant}.", TENANT_HINT)
