"""Webhooks: stored with the change, signed, sent by one process at a time, and again until they are a day old."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.administration.actors import Actor
from gateway.administration.environment_service import EnvironmentService
from gateway.administration.sign_in_watch import QUIET, SignInWatch
from gateway.audit.entries import Who
from gateway.config.environment_models import EnvironmentOptions
from gateway.config.linking_models import webhook_key
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register
from gateway.environments.webhook_events import open_webhook_queue
from gateway.events import ErrorRaised, Event, StoreFailed
from gateway.events.environments import (
    SignInRefused,
    WebhookAbandoned,
    WebhookFailed,
    WebhookSent,
)
from gateway.store.environment_register import EnvironmentRegister
from gateway.store.stored_environment import Linked
from gateway.store.webhook_queue import CLAIM, WebhookQueue
from gateway.webhooks.integrator import (
    DAY,
    PAUSES,
    WebhookSender,
    sending_webhooks,
)
from gateway.webhooks.sending import signature
from tests.support.manual_clock import until
from tests.support.sockets import PATIENCE, answering, listening
from tests.support.stored_environments import URL, stored_settings

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
TARGET = "https://hooks.example/d365"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOBODY = Actor(who=Who(kind="key"), log=None)
ACME = {"url": URL, "auth": "none"}
REFUSED = SignInRefused(reason="AADSTS7000222", hint="Make a new secret.")
PLANTED = "planted-s3cret"


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    linking = {"webhook_url": TARGET, "webhook_secret": SECRET}
    return stored_settings(request, tmp_path, linking=linking)


@pytest.fixture
def register(settings: Settings) -> Iterator[EnvironmentRegister]:
    register = open_environment_register(settings)
    yield register
    register.close()


@pytest.fixture
def queue(settings: Settings) -> Iterator[WebhookQueue]:
    queue = open_webhook_queue(settings)
    yield queue
    queue.close()


class Receiver:
    """Receives webhooks, and answers what a test wants. Its clock stands still."""

    def __init__(self, settings: Settings, queue: WebhookQueue, now: float | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self.events: list[Event] = []
        self.answer: Callable[[], httpx.Response] = lambda: httpx.Response(204)
        self.at = time.time() + 1.0 if now is None else now
        self.sender = WebhookSender(
            settings,
            queue,
            self.events.append,
            transport=httpx.MockTransport(self._receive),
            now=lambda: self.at,
        )

    def _receive(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer()

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]


def service_of(settings: Settings, register: EnvironmentRegister) -> EnvironmentService:
    return EnvironmentService(settings, lambda: register, lambda _: None)


def test_signatures_are_those_of_standard_webhooks() -> None:
    """The example of the specification's libraries."""
    options = Settings.model_validate({"linking": {"webhook_secret": SECRET}}).linking
    assert options.webhook_secret is not None

    key, webhook = webhook_key(options.webhook_secret), "msg_p5jXN8AQM9LWM0D4loKWxJek"
    signed = signature(key, webhook, 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_each_change_is_sent_once(
    settings: Settings, register: EnvironmentRegister, queue: WebhookQueue
) -> None:
    service = service_of(settings, register)
    linked = Linked(tenant="acme", subject="o", name="Ada", at=1.0)
    secret = {"client_id": "x", "client_secret": PLANTED, "tenant_id": "acme"}
    for _ in range(2):  # what changes nothing the second time is told once
        service.add("acme", {"url": URL, **secret}, NOBODY, linked=linked)
    for _ in range(2):
        service.update("acme", {"title": "Acme"}, NOBODY)
        service.set_state("acme", "disabled", NOBODY)
    service.set_state("acme", "active", NOBODY)
    service.reload("acme", NOBODY)
    service.remove("acme", NOBODY)

    receiver = Receiver(settings, queue)
    assert await receiver.sender.send_due() == 5
    assert await receiver.sender.send_due() == 0
    types = [body["type"].removeprefix("environment.") for body in receiver.bodies()]
    assert sorted(types) == ["disabled", "enabled", "linked", "removed", "updated"]
    first = next(body for body in receiver.bodies() if body["type"] == "environment.linked")
    assert (first["data"]["name"], first["data"]["linked"]["name"]) == ("acme", "Ada")
    assert first["data"]["secrets"] == ["client_secret"]
    assert PLANTED not in str(receiver.bodies())
    assert {type(event) for event in receiver.events} == {WebhookSent}

    request = receiver.requests[0]
    assert (request.method, str(request.url)) == ("POST", TARGET)
    at = int(request.headers["webhook-timestamp"])
    options = settings.linking
    assert options.webhook_secret is not None
    assert at == int(receiver.at)
    key, webhook = webhook_key(options.webhook_secret), request.headers["webhook-id"]
    expected = signature(key, webhook, at, request.content)
    assert request.headers["webhook-signature"] == expected
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 5


async def test_without_a_receiver_nothing_is_stored(
    settings: Settings, queue: WebhookQueue
) -> None:
    silent = settings.model_copy(update={"linking": type(settings.linking)()})
    register = open_environment_register(silent)
    service_of(silent, register).add("acme", ACME, NOBODY)
    register.close()

    assert queue.claim(4e9) is None


def fails_to_connect() -> httpx.Response:
    raise httpx.ConnectError("no route")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda: httpx.Response(500), "status 500"),
        (lambda: httpx.Response(302, headers={"Location": "http://127.0.0.1/"}), "status 302"),
        (fails_to_connect, "ConnectError"),
    ],
    ids=["error", "redirect", "connection"],
)
async def test_a_failed_webhook_is_sent_again_later(
    settings: Settings,
    register: EnvironmentRegister,
    queue: WebhookQueue,
    answer: Callable[[], httpx.Response],
    reason: str,
) -> None:
    service_of(settings, register).add("acme", ACME, NOBODY)
    receiver = Receiver(settings, queue)
    receiver.answer = answer

    assert await receiver.sender.send_due() == 1
    (event,) = receiver.events
    assert isinstance(event, WebhookFailed)
    assert (event.reason, event.retry_after) == (reason, PAUSES[0])
    receiver.at += PAUSES[0] - 1
    assert await receiver.sender.send_due() == 0
    # By another process, after a restart.
    receiver.at += 1
    receiver.answer = lambda: httpx.Response(200)
    assert await receiver.sender.send_due() == 1
    assert isinstance(receiver.events[-1], WebhookSent)
    assert receiver.events[-1].attempts == 2
    # The receiver recognizes what it has had already.
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert str(receiver.requests[0].url) == str(receiver.requests[1].url) == TARGET


async def test_a_webhook_is_given_up_after_a_day(
    settings: Settings, register: EnvironmentRegister, queue: WebhookQueue
) -> None:
    service_of(settings, register).add("acme", ACME, NOBODY)
    webhook = queue.claim(4e9)
    assert webhook is not None
    queue.settle(webhook, webhook.created)
    receiver = Receiver(settings, queue, webhook.created)
    receiver.answer = lambda: httpx.Response(503)

    while await receiver.sender.send_due():
        last = receiver.events[-1]
        receiver.at += last.retry_after if isinstance(last, WebhookFailed) else DAY
    assert isinstance(receiver.events[-1], WebhookAbandoned)
    assert len(PAUSES) < len(receiver.requests) < 25
    assert receiver.at >= webhook.created + DAY
    assert queue.claim(4e9) is None


async def test_a_receiver_that_is_gone_gets_no_more(
    settings: Settings, register: EnvironmentRegister, queue: WebhookQueue
) -> None:
    service_of(settings, register).add("acme", ACME, NOBODY)
    receiver = Receiver(settings, queue)
    receiver.answer = lambda: httpx.Response(410)

    assert await receiver.sender.send_due() == 1
    assert isinstance(receiver.events[-1], WebhookAbandoned)
    assert queue.claim(4e9) is None


def test_a_webhook_is_claimed_by_one_process(
    settings: Settings, register: EnvironmentRegister
) -> None:
    names = [f"e{number}" for number in range(8)]
    for name in names:
        service_of(settings, register).add(name, ACME, NOBODY)

    def claims(_: int) -> list[str]:
        queue = open_webhook_queue(settings)
        claimed = []
        while (webhook := queue.claim(2e9)) is not None:
            claimed.append(webhook.id)
        queue.close()
        return claimed

    with ThreadPoolExecutor(4) as pool:
        found = [webhook for claimed in pool.map(claims, range(4)) for webhook in claimed]
    assert len(found) == len(set(found)) == len(names)


async def test_what_a_killed_process_claimed_is_sent_by_another(
    settings: Settings, register: EnvironmentRegister, queue: WebhookQueue
) -> None:
    service_of(settings, register).add("acme", ACME, NOBODY)
    receiver = Receiver(settings, queue)

    claimed = queue.claim(receiver.at)  # and the process is killed
    assert claimed is not None
    assert await receiver.sender.send_due() == 0
    receiver.at += CLAIM
    assert await receiver.sender.send_due() == 1
    assert receiver.requests[0].headers["webhook-id"] == claimed.id


async def test_a_change_that_fails_is_not_told(
    settings: Settings, register: EnvironmentRegister, queue: WebhookQueue
) -> None:
    new = register.prepare("acme", EnvironmentOptions.model_validate(ACME))

    def insert() -> None:
        with register.database.writing() as connection:
            register.insert(connection, new)
            raise RuntimeError("the rest of the transaction failed")

    with pytest.raises(RuntimeError):
        insert()

    assert queue.claim(4e9) is None
    assert register.list() == []


async def test_refused_credentials_are_told_once_a_day(
    settings: Settings, register: EnvironmentRegister, queue: WebhookQueue
) -> None:
    service = service_of(settings, register)
    service.add("acme", ACME, NOBODY)
    now = 0.0
    seen: list[Event] = []
    watches = [SignInWatch(settings, seen.append, lambda: now) for _ in range(2)]  # processes
    for at in (0.0, 1.0, QUIET + 1.0):
        now = at
        for watch in watches:
            watch.observer("acme")(REFUSED)
            watch.observer("declared")(REFUSED)
    await asyncio.gather(*(watch.close() for watch in watches))

    receiver = Receiver(settings, queue)
    await receiver.sender.send_due()
    reauth = [b for b in receiver.bodies() if b["type"] == "environment.needs_reauth"]
    assert len(reauth) == 1
    assert (reauth[0]["data"]["name"], reauth[0]["data"]["reason"]) == ("acme", "AADSTS7000222")
    assert seen == []

    # New credentials may be wrong, too.
    service.update("acme", {"title": "x"}, NOBODY)
    watch = SignInWatch(settings, seen.append)
    watch.observer("acme")(REFUSED)
    await watch.close()
    receiver.requests.clear()
    await receiver.sender.send_due()
    assert [b["type"].rpartition(".")[2] for b in receiver.bodies()] == ["updated", "needs_reauth"]


async def test_a_topic_is_forgotten_after_a_day(settings: Settings, queue: WebhookQueue) -> None:
    assert queue.add_once("t", "e", "{}", now=1.0)
    assert not queue.add_once("t", "e", "{}", now=2.0)
    webhook = queue.claim(3.0)
    assert webhook is not None
    queue.settle(webhook, None)
    assert not queue.add_once("t", "e", "{}", now=DAY)
    assert queue.add_once("t", "e", "{}", now=DAY + 2.0)


async def test_a_running_gateway_sends(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    async with listening(answering(answer)) as server:
        linking = {"webhook_url": server.url("127.0.0.1"), "webhook_secret": SECRET}
        values = {"stored_environments": True, "data_dir": tmp_path, "linking": linking}
        settings = Settings.model_validate(values)
        register = open_environment_register(settings)
        service_of(settings, register).add("acme", ACME, NOBODY)
        register.close()
        sent: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        async with sending_webhooks(settings, sent.set_result):
            event = await asyncio.wait_for(sent, PATIENCE)

    assert isinstance(event, WebhookSent)
    assert b"environment.linked" in server.requests[0]


async def test_a_store_that_is_away_is_reported_once(tmp_path: Path) -> None:
    values = {
        "stored_environments": True,
        "data_dir": tmp_path,
        "linking": {"webhook_url": TARGET, "webhook_secret": SECRET},
    }
    settings = Settings.model_validate(values)
    (tmp_path / "store").mkdir(mode=0o700)
    (tmp_path / "store" / "gateway.db").touch(0o600)
    (tmp_path / "store" / "gateway.db").write_bytes(b"this is no database, but another file")
    queue = open_webhook_queue(settings)
    receiver = Receiver(settings, queue)

    assert [await receiver.sender.send_due() for _ in range(3)] == [0, 0, 0]
    assert [type(event) for event in receiver.events] == [StoreFailed]
    queue.close()


async def test_a_defect_stops_no_other_webhook(
    settings: Settings, register: EnvironmentRegister, queue: WebhookQueue
) -> None:
    service_of(settings, register).add("acme", ACME, NOBODY)
    receiver = Receiver(settings, queue)
    events = receiver.events

    def observe(event: Event) -> None:
        events.append(event)
        if isinstance(event, WebhookSent):
            raise ValueError("a defect")

    receiver.sender._observe = observe
    running = asyncio.ensure_future(receiver.sender.run())
    await until(lambda: any(isinstance(event, ErrorRaised) for event in events))
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
