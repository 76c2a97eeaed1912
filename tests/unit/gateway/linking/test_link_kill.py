"""Linking is killed at each store write and at each request; the same browser goes on, and links once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from starlette.types import Receive, Scope, Send

from gateway.errors import StoreUnavailable
from gateway.sandbox import FaultRule
from gateway.sandbox.tenants.cloud import Cloud
from gateway.store.link_register import LinkRegister, StoredSession
from tests.support.linking import (
    Deployment,
    Link,
    customer,
    deployment,
    environments,
    link_settings,
)
from tests.support.process import PATIENCE
from tests.support.soak import bounded
from tests.support.threaded import free_port

pytestmark = pytest.mark.slow
WRITES = 8
"""Changes of a session from its first address to its end."""
MOMENTS = ("before", "within", "after")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with customer() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def gateway(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(cloud, tmp_path_factory.mktemp("data")) as gateway:
        yield gateway


def go_on(link: Link) -> str:
    """Do the step that a session is at, as the page does; return the phase before it."""
    phase: str = link.state()["phase"]
    match phase:
        case "new":
            link.address()
        case "addressed" | "signing_in":
            begun = link.post("sign-in")
            if begun.is_success:
                link.http.get(link.callback(begun.json()["location"]))
        case "proved":
            link.check()
        case "checked":
            link.finish()
    return phase


def to_the_end(link: Link) -> int:
    """Go on until the environment is linked; return how many steps that took."""
    for steps in range(12):
        if go_on(link) == "linked":
            return steps
    raise AssertionError(link.state())


def names(gateway: Deployment) -> list[str]:
    return [environment.name for environment in environments(gateway.settings)]


class Writes:
    """Counts changes of sessions, and fails one: before it, in its transaction, or when it is stored already."""

    def __init__(self, number: int, moment: str) -> None:
        self.number, self.moment, self.seen = number, moment, 0

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = LinkRegister.replacing

        @contextmanager
        def replacing(register: LinkRegister, session: StoredSession) -> Iterator[sa.Connection]:
            self.seen += 1
            moment = self.moment if self.seen == self.number else None
            if moment == "before":
                raise StoreUnavailable("killed")
            with real(register, session) as connection:
                yield connection
                if moment == "within":
                    raise StoreUnavailable("killed")
            if moment == "after":
                raise StoreUnavailable("killed")

        monkeypatch.setattr(LinkRegister, "replacing", replacing)


def test_these_are_all_the_writes(gateway: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = Writes(0, "")
    writes.patch(monkeypatch)

    assert to_the_end(gateway.session(name="counted")) == 4
    assert writes.seen == WRITES


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", range(1, WRITES + 1, bounded(3, 1)))
def test_killed_at_a_write(
    gateway: Deployment, monkeypatch: pytest.MonkeyPatch, number: int, moment: str
) -> None:
    name = f"write-{number}-{moment}"
    link = gateway.session(name=name)
    Writes(number, moment).patch(monkeypatch)
    is_first = number <= 2

    while link.state()["phase"] != "linked":
        before = names(gateway)
        if go_on(link) == "checked" and link.state()["phase"] != "linked":
            # Nothing is half linked.
            assert names(gateway) == before
        if is_first and moment == "after" and "error" in link.state():
            # Its cookie got lost with the answer: the address is of no use to anybody any more.
            assert name not in names(gateway)
            return

    assert names(gateway).count(name) == 1


def requests_of(gateway: Deployment, name: str) -> int:
    before = len(gateway.cloud.sandbox.state.requests)
    to_the_end(gateway.session(name=name))
    return len(gateway.cloud.sandbox.state.requests) - before


def test_killed_at_requests_to_the_environment(gateway: Deployment) -> None:
    faults = gateway.cloud.sandbox.state.faults
    number = requests_of(gateway, "requests")
    assert number >= 14
    # Those of the address and the proof, and some of the check.
    for skip in (0, 1, 2, 3, 4, number // 2, number - 1):
        link = gateway.session(name=f"request-{skip}")
        rule = FaultRule(at="before", skip=skip)
        faults.rules.append(rule)
        try:
            to_the_end(link)
        finally:
            faults.rules.clear()
        assert names(gateway).count(f"request-{skip}") == 1


def test_killed_at_each_request_to_the_login_host(gateway: Deployment) -> None:
    app: Any = gateway.cloud.app
    real, seen, fails_at = app._login, 0, -1

    async def login(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal seen
        is_asked = "authorize" not in scope["path"]
        seen += is_asked
        if is_asked and seen == fails_at:
            scope["path"] = scope["raw_path"] = "/nowhere"
        await real(scope, receive, send)

    app._login = login
    try:
        to_the_end(gateway.session(name="login"))
        number = seen
        assert number >= 4
        for turn in range(1, number + 1):
            seen, fails_at = 0, turn
            link = gateway.session(name=f"login-{turn}")
            to_the_end(link)
            assert names(gateway).count(f"login-{turn}") == 1
    finally:
        app._login = real


@contextmanager
def process(settings: Any, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the program with settings until the end of the block, and kill it."""
    program = Path(sys.executable).with_name("d365-graphql")
    linking = settings.linking
    variables = {
        "D365_DATA_DIR": str(settings.data_dir),
        "D365_CACHE_DIR": str(settings.cache_dir),
        "D365_STORED_ENVIRONMENTS": "true",
        "D365_DIALECT": "finops",
        "D365_AUTHORITY": settings.authority,
        "D365_CLIENT_ID": settings.client_id,
        "D365_CLIENT_SECRET": settings.client_secret.get_secret_value(),
        "D365_LINKING__PUBLIC_URL": linking.public_url,
        "D365_LINKING__ALLOWED_HOSTS": ",".join(linking.allowed_hosts),
        "D365_ADMIN__PORT": "none",
        "D365_SANDBOX__SCALE": "0.1",
    }
    clean = {k: v for k, v in os.environ.items() if not k.startswith("D365_")}
    port = linking.public_url.rpartition(":")[2]
    log = folder / "gateway.log"
    with (
        log.open("ab") as out,
        subprocess.Popen(
            [str(program), "serve", "--port", port],
            cwd=folder,
            env={**clean, **variables},
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as running,
    ):
        try:
            _wait(linking.public_url, running, log)
            yield running
        finally:
            running.send_signal(signal.SIGKILL)


def _wait(url: str, running: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while running.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz", timeout=PATIENCE).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"the gateway did not start:\n{log.read_text()}")


def test_a_process_that_is_killed_between_steps_goes_on(cloud: Cloud, tmp_path: Path) -> None:
    settings = link_settings(cloud, tmp_path / "data", free_port())
    assert settings.linking.public_url is not None
    gateway = Deployment(settings, settings.linking.public_url, cloud)
    with gateway.open:
        with process(settings, tmp_path):
            link = gateway.session(name="killed")
            link.address()
            callback = link.callback(link.login_page())
        with process(settings, tmp_path):
            assert link.http.get(callback).status_code == 303
            assert link.state()["phase"] == "proved"
            with link.http.stream("POST", f"{link.path}/check", json={}) as answer:
                next(answer.iter_raw(), b"")
        with process(settings, tmp_path):
            assert link.state()["phase"] == "proved"
            assert link.check()[-1]["state"]["phase"] == "checked"
            link.finish()
            assert names(gateway) == ["killed"]
            query = {"query": "{ legalEntities(first: 1) { nodes { legalEntityId } } }"}
            answer_ = link.http.post("/e/killed/graphql", json=query)
            assert answer_.json()["data"]["legalEntities"]["nodes"]
