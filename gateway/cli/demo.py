"""`serve --demo-environments`: sandboxes of customers, linked in a store of their own, and one more to be linked.

    this process ── login host, and an environment for each customer: on loopback ports, in a thread
                 └─ gateway ── store in a temporary folder: environments, a key for administrators, a link session

They are reached as those of customers are: over HTTP, with tokens of their tenants. All of it ends with the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from gateway.config.audit_models import ADMIN_ROLE
from gateway.config.demo_environments import Demo, demos
from gateway.config.environment_models import EnvironmentOptions
from gateway.config.environments import real_address
from gateway.config.linking_models import LinkingOptions
from gateway.config.settings import Settings
from gateway.errors import SettingsError

if TYPE_CHECKING:  # it imports SQLAlchemy
    from gateway.sandbox.tenants.cloud import Cloud

LOOPBACK = "127.0.0.1"
CLIENT_ID = "d365-graphql-demo"
_DAY = 1_440
"""Minutes for which the link session is valid."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What a newcomer is told of it."""

    names: Sequence[tuple[str, str]]
    """Name and title of each linked environment."""
    admin_key: str
    link: str
    unlinked: str
    """Service root of the environment that is to be linked."""
    administrator: str
    """Who may link it."""
    data_dir: Path

    def lines(self, address: str, admin: str | None) -> Iterator[str]:
        """Yield the text. ``admin``: address of the second listener."""
        yield "Demonstration, whose environments and store end with this process:"
        for name, title in self.names:
            yield f"  {title + ':':<14} {address}/e/{name}/graphiql"
        if admin is not None:
            yield f"  Administer:    curl -H 'Authorization: Bearer {self.admin_key}' {admin}/admin/environments"
        yield f"  By command:    D365_DATA_DIR={self.data_dir} D365_STORED_ENVIRONMENTS=true d365-graphql env list"
        yield f"  Link one more: {self.link}"
        yield f"                 its address is {self.unlinked}; sign in as {self.administrator}"


@contextlib.contextmanager
def demonstrating(
    settings: Settings, number: int, address: str
) -> Iterator[tuple[Settings, Demonstration | None]]:
    """Yield the settings of a gateway with so many linked environments, which run until the end of the block.

    ``address``: of the gateway. Raises SettingsError if the gateway serves a real environment.
    """
    if not number:
        yield settings, None
        return
    if real_address(settings) is not None:
        raise SettingsError(
            "--demo-environments are served beside the sandbox only, and there is a real environment.",
            hint="Omit the option, or the address of the environment.",
        )
    *linked, unlinked = demos(number + 1)
    with (
        _customers((*linked, unlinked)) as (clouds, secret),
        tempfile.TemporaryDirectory(prefix="d365-graphql-demo-") as folder,
    ):
        own = _settings(settings, Path(folder), clouds[0].host.address, secret, address)
        _store(own, list(zip(linked, clouds[:-1], strict=True)))
        yield (
            own,
            Demonstration(
                names=[(demo.name, demo.title) for demo in linked],
                admin_key=_admin_key(own),
                link=_link(own, unlinked),
                unlinked=clouds[-1].root,
                administrator=clouds[-1].tenant.people[0].sign_in,
                data_dir=Path(folder),
            ),
        )


def _settings(
    settings: Settings, folder: Path, login_host: str, secret: str, address: str
) -> Settings:
    """Return settings with a store of their own, and an application that the customers' tenants know."""
    linking = LinkingOptions(
        public_url=f"{address}{settings.root_path}",
        allowed_hosts=(LOOPBACK,),
        session_minutes=_DAY,
    )
    return settings.model_copy(
        update={
            "data_dir": folder,
            "store": "sqlite",
            "stored_environments": True,
            # Their addresses do not show the product.
            "dialect": "finops",
            "authority": login_host,
            "client_id": CLIENT_ID,
            "client_secret": SecretStr(secret),
            "linking": linking,
        }
    )


@contextlib.contextmanager
def _customers(environments: Sequence[Demo]) -> Iterator[tuple[list[Cloud], str]]:
    """Serve the environments of customers on loopback; yield them with the secret of our application."""
    from gateway.sandbox import SandboxSettings  # noqa: PLC0415 - SQLAlchemy takes 0.4 s
    from gateway.sandbox.tenants.cloud import create_cloud  # noqa: PLC0415 - likewise
    from gateway.sandbox.tenants.directory import Application  # noqa: PLC0415 - likewise

    secret = secrets.token_urlsafe(32)
    application = Application(
        client_id=CLIENT_ID, secret=secret, name="D365 GraphQL", return_path="/link/callback"
    )
    clouds: list[Cloud] = []
    with contextlib.ExitStack() as stack:
        listeners = []
        for demo in environments:
            listener = stack.enter_context(socket.create_server((LOOPBACK, 0), backlog=128))
            listeners.append(listener)
            clouds.append(
                create_cloud(
                    f"http://{LOOPBACK}:{listener.getsockname()[1]}",
                    SandboxSettings(**demo.sandbox.knobs()),
                    (application,),
                    (CLIENT_ID,),
                    demo.title,
                    clouds[0].host if clouds else None,
                )
            )
        with _serving(list(zip(clouds, listeners, strict=True))):
            yield clouds, secret


@contextlib.contextmanager
def _serving(clouds: Sequence[tuple[Cloud, socket.socket]]) -> Iterator[None]:
    """Answer on the sockets in a thread, in an event loop of its own."""
    import uvicorn  # noqa: PLC0415 - only here

    servers = [
        uvicorn.Server(
            uvicorn.Config(
                cloud.app,
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        for cloud, _ in clouds
    ]

    async def serve() -> None:
        sockets = [listener for _, listener in clouds]
        await asyncio.gather(
            *(server.serve(sockets=[s]) for server, s in zip(servers, sockets, strict=True))
        )

    # Signals are left to the main thread.
    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="demo", daemon=True)
    thread.start()
    try:
        yield
    finally:
        for server in servers:
            server.should_exit = True
        thread.join(3)


def _store(settings: Settings, linked: Sequence[tuple[Demo, Cloud]]) -> None:
    from gateway.environments.environment_store import open_environment_register  # noqa: PLC0415 - SQLAlchemy

    register = open_environment_register(settings)
    try:
        for demo, cloud in linked:
            options = EnvironmentOptions(
                url=cloud.root,
                tenant_id=cloud.tenant.id,
                title=demo.title,
                kind=demo.kind,
                companies=demo.companies,
            )
            register.create(demo.name, options)
    finally:
        register.close()


def _admin_key(settings: Settings) -> str:
    """Return the text of a new key for administrators, which is valid for a day."""
    from gateway.store.api_keys import open_register  # noqa: PLC0415 - SQLAlchemy

    register = open_register(settings)
    try:
        _, text = register.create("demonstration", (ADMIN_ROLE,), time.time() + _DAY * 60)
    finally:
        register.close()
    return text


def _link(settings: Settings, demo: Demo) -> str:
    """Return the address of a new link session."""
    from gateway.linking.opening import open_sessions  # noqa: PLC0415 - SQLAlchemy
    from gateway.linking.sessions import NewSession  # noqa: PLC0415 - likewise

    sessions = open_sessions(settings)
    try:
        _, token = asyncio.run(sessions.create(NewSession(name=demo.name, title=demo.title)))
    finally:
        sessions.close()
    return f"{settings.linking.public_url}/link/{token}"
