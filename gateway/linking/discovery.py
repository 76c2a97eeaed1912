"""Finds out the tenant of an environment whose address was typed."""

from __future__ import annotations

from gateway.config.environment_models import EnvironmentOptions
from gateway.config.environments import overlaid
from gateway.config.settings import Settings

from .options import CheckedInput
from .session import Problem
from .tenants import (
    TENANT_HINT,
    LoginTenant,
    Unreachable,
    environment_http,
    login_http,
    resolve_tenant,
    tenant_of_environment,
)


class Discovery:
    """Asks an environment and the login host."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def tenant(self, values: CheckedInput) -> str:
        """Return the id of the tenant of an environment. Raises Unreachable, LinkError."""
        authority = self._settings.authority
        options = EnvironmentOptions(url=values.url)
        environment = overlaid(self._settings, "link", options, stored=True)
        async with environment_http(environment) as http:
            named = await tenant_of_environment(http, values.url, authority)
        typed = values.tenant
        if named is None and typed is None:
            raise Unreachable(
                Problem(
                    "LINK_TENANT",
                    "The environment does not say in which tenant of Microsoft Entra it is.",
                    f"Enter the tenant, too. {TENANT_HINT}",
                )
            )
        async with login_http() as http:
            own = None if named is None else await resolve_tenant(http, authority, named)
            other = None if typed is None else await resolve_tenant(http, authority, typed)
        return _agreed(own, other).id


def _agreed(named: LoginTenant | None, typed: LoginTenant | None) -> LoginTenant:
    if named is not None and typed is not None and named != typed:
        raise Unreachable(
            Problem(
                "LINK_TENANT",
                "The environment is not in the tenant that you have entered.",
                "Leave the tenant empty: the environment names its own.",
            )
        )
    tenant = named or typed
    assert tenant is not None
    return tenant
