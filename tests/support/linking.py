"""A deployment with a link page, and a customer's environment behind a login host: all on loopback sockets."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import httpx
from msgspec.structs import replace

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register
from gateway.events import Event
from gateway.linking import budget
from gateway.linking.opening import open_sessions
from gateway.linking.session import decode
from gateway.linking.sessions import NewSession
from gateway.sandbox import SandboxSettings
from gateway.sandbox.tenants.cloud import Cloud, create_cloud
from gateway.sandbox.tenants.directory import Application
from gateway.store.link_register import LinkRegister
from gateway.store.opening import open_database
from gateway.store.stored_environment import StoredEnvironment

from .threaded import free_port, threaded

CLIENT, SECRET = "11111111-0000-4000-8000-000000000001", "link-s3cret"
OWN_CLIENT, OWN_SECRET = "11111111-0000-4000-8000-000000000002", "own-s3cret"
UNKNOWN_CLIENT = "11111111-0000-4000-8000-000000000003"
"""An application of the customer's that the environment does not know."""
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RETURN = "https://app.example.com/linked?tab=1"
SANDBOX = SandboxSettings(hostile_rows=False, scale=0.2)


@contextmanager
def customer(settings: SandboxSettings = SANDBOX) -> Iterator[Cloud]:
    """Run a customer's environment with its login host while the block does."""
    port = free_port()
    applications = [
        Application(client_id=client, secret=secret, name=name, return_path="/link/callback")
        for client, secret, name in (
            (CLIENT, SECRET, "Contoso Analytics"),
            (OWN_CLIENT, OWN_SECRET, "My application"),
            (UNKNOWN_CLIENT, OWN_SECRET, "Unknown"),
        )
    ]
    cloud = create_cloud(f"http://127.0.0.1:{port}", settings, applications, (CLIENT, OWN_CLIENT))
    with threaded(cloud.app, port):
        yield cloud


def link_settings(cloud: Cloud, folder: Path, port: int, **values: Any) -> Settings:
    """Return the settings of a deployment to which the environment can be linked."""
    linking = {
        "public_url": f"http://127.0.0.1:{port}",
        "allowed_hosts": ["127.0.0.1"],
        "return_urls": [RETURN],
        "webhook_secret": WEBHOOK_SECRET,
        **values.pop("linking", {}),
    }
    return Settings.model_validate(
        {
            "data_dir": folder,
            "cache_dir": folder / "cache",
            "stored_environments": True,
            "dialect": "finops",
            "authority": cloud.host.address,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "linking": linking,
            "sandbox": {"scale": 0.1},
            "language": None,
            **values,
        }
    )


@dataclass
class Deployment:
    """A gateway with a link page that runs."""

    settings: Settings
    url: str
    cloud: Cloud
    events: list[Event] = field(default_factory=list)
    open: ExitStack = field(default_factory=ExitStack)
    """Browsers."""

    def browser(self) -> httpx.Client:
        """Return a browser without cookies."""
        return self.open.enter_context(httpx.Client(base_url=self.url, timeout=30))

    def session(self, **values: Any) -> Link:
        """Make a link session, and open its page in a new browser."""
        # In a thread of its own: that of a browser's test has a loop that runs.
        with ThreadPoolExecutor(1) as pool:
            session, token = pool.submit(asyncio.run, self._create(NewSession(**values))).result()
        return Link(self, token, session.id)

    async def _create(self, new: NewSession) -> Any:
        sessions = open_sessions(self.settings)
        try:
            return await sessions.create(new)
        finally:
            sessions.close()


@contextmanager
def deployment(
    cloud: Cloud, folder: Path, port: int | None = None, **values: Any
) -> Iterator[Deployment]:
    """Run a gateway to which the customer's environment can be linked."""
    port = port or free_port()
    settings = link_settings(cloud, folder, port, **values)
    events: list[Event] = []
    # Its limits are for people; the tests of it have budgets of their own.
    with mock.patch.object(budget, "PER_MINUTE", 100_000):
        app = create_app(settings, observe=events.append)
    with threaded(app, port) as url:
        gateway = Deployment(settings, url, cloud, events)
        with gateway.open:
            yield gateway


class Link:
    """A link session, and the browser in which it is open."""

    def __init__(self, deployment: Deployment, token: str, session_id: str) -> None:
        self.deployment = deployment
        self.token = token
        self.id = session_id
        self.http = deployment.browser()

    @property
    def path(self) -> str:
        return f"/link/{self.token}"

    def post(
        self,
        step: str,
        content: object = None,
        http: httpx.Client | None = None,
        headers: Mapping[str, str] = {},
    ) -> httpx.Response:
        """Request a step, as the page does."""
        sent = {"Origin": self.deployment.url, "Content-Type": "application/json", **headers}
        text = json.dumps({} if content is None else content)
        client = http or self.http
        return client.post(
            f"{self.path}/{step}", content=text, headers={k: v for k, v in sent.items() if v}
        )

    def state(self) -> dict[str, Any]:
        content: dict[str, Any] = self.http.get(f"{self.path}/state").json()
        return content

    def address(self, url: str | None = None, **values: str) -> httpx.Response:
        return self.post(
            "address", {"url": url or self.deployment.cloud.address + "/data", **values}
        )

    def login_page(self) -> str:
        """Begin a sign-in; return the address of the login page."""
        location: str = self.post("sign-in").json()["location"]
        return location

    def callback(self, location: str, person: int = 0) -> str:
        """Sign in on the login page as a person; return the address that leads back."""
        who = self.deployment.cloud.tenant.people[person]
        page = f"{location}&person={who.oid}"
        consent = httpx.get(page)
        (accept,) = re.findall(r'href="(\?[^"]*consent=yes[^"]*)"', consent.text)
        answer = httpx.get(location.partition("?")[0] + accept.replace("&amp;", "&"))
        back: str = answer.headers["location"]
        return back

    def sign_in(self, person: int = 0) -> httpx.Response:
        """Sign in as a person, and come back."""
        return self.http.get(self.callback(self.login_page(), person))

    def check(self) -> list[dict[str, Any]]:
        """Check the environment; return the lines of the answer."""
        answer = self.post("check")
        return [json.loads(line) for line in answer.text.splitlines()]

    def finish(self) -> httpx.Response:
        return self.post("finish")

    def to(self, phase: str) -> Link:
        """Go on to a phase; return the same session."""
        steps = ("addressed", "proved", "checked", "linked")
        for step in steps[: steps.index(phase) + 1]:
            match step:
                case "addressed":
                    self.address()
                case "proved":
                    self.sign_in()
                case "checked":
                    self.check()
                case "linked":
                    self.finish()
        assert self.state()["phase"] == phase, self.state()
        return self


def query_of(address: str) -> Mapping[str, str]:
    """Return the parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def expire(link: Link) -> None:
    """Let a session expire now."""
    register = LinkRegister(open_database(link.deployment.settings))
    try:
        stored = register.by_id(link.id)
        assert stored is not None
        session = replace(decode(stored.content), expires_at=1.0, version=stored.version + 1)
        register.replace(
            replace(stored, version=session.version, expires_at=1.0, content=session.encode())
        )
    finally:
        register.close()


def environments(settings: Settings) -> list[StoredEnvironment]:
    """Return the environments in the store."""
    register = open_environment_register(settings)
    try:
        return register.list()
    finally:
        register.close()
