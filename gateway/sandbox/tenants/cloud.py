"""An environment of the sandbox as customers have one: behind a login host, in a tenant of its own.

    /login/…    the login host, with the tenant of the environment and a second one, whose people are strangers
    /data …     the environment

Served at an address of its own, so that the gateway reaches both as it reaches Microsoft's: over HTTP, with tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.sandbox.app import create_sandbox
from gateway.sandbox.settings import SandboxSettings
from gateway.sandbox.sign_in import ADMINISTRATOR, SignInRules

from .directory import Application, Person, Tenant, people_of
from .login_host import LoginHost

LOGIN = "/login"
STRANGERS = Tenant(
    name="Fabrikam",
    people=(Person(sign_in="olga@fabrikam.com", name="Olga Other", title="Of another tenant"),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """What is served at one address."""

    app: Starlette
    address: str
    host: LoginHost
    tenant: Tenant
    sandbox: Starlette

    @property
    def root(self) -> str:
        """Service root of the environment."""
        return f"{self.address}/data"


def create_cloud(
    address: str,
    settings: SandboxSettings,
    applications: Sequence[Application],
    registered: Sequence[str],
    tenant_name: str = "Contoso",
    host: LoginHost | None = None,
) -> Cloud:
    """Return an environment and its login host.

    ``registered``: client ids of applications that the environment knows, with the rights of its administrator.
    ``host``: the login host of other environments, which gets one more tenant.
    """
    tenant = Tenant(name=tenant_name, people=())
    host = host or LoginHost(f"{address}{LOGIN}", (STRANGERS,), applications)
    rules = SignInRules(
        issuer=host.issuer(tenant),
        audience=address,
        keys=host.keys,
        authorization=host.authorization(tenant),
    )
    sandbox = create_sandbox(replace(settings, sign_in=rules))
    store = sandbox.state.store
    # The people of the tenant are the users of the environment.
    tenant = host.tenants[tenant.id] = Tenant(
        name=tenant_name, people=people_of(store, ADMINISTRATOR)
    )
    store.insert(
        "SysAADClients",
        [{"AADClientId": c, "Name": "Gateway", "UserId": "Admin"} for c in registered],
    )
    return Cloud(
        app=_ByPath(host.app(), sandbox), address=address, host=host, tenant=tenant, sandbox=sandbox
    )


class _ByPath(Starlette):
    """Passes what is below ``/login`` on to the login host, and the rest to the environment."""

    def __init__(self, login: ASGIApp, environment: ASGIApp) -> None:
        super().__init__()
        self._login = Starlette(routes=[Mount(LOGIN, app=login)])
        self._environment = environment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_login = scope["type"] == "http" and scope["path"].startswith(f"{LOGIN}/")
        await (self._login if is_login else self._environment)(scope, receive, send)
