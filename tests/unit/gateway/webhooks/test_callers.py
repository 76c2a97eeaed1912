"""Whose webhooks they are, what they may send, and until when."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from gateway.config.settings import Settings
from gateway.errors import Forbidden
from gateway.events.webhooks import WebhookPaused
from gateway.identity.caller import Assertion, Caller
from gateway.runtime.served_api import ServedApi
from gateway.store.subscription_register import SubscriptionRegister, SubscriptionRow
from gateway.webhooks import runner as runners
from gateway.webhooks.errors import WrongWebhookState
from gateway.webhooks.outgoing import Outgoing
from gateway.webhooks.records import DeadLetter, NewSubscription, Subscription, Target
from gateway.webhooks.runner import WebhookRunner
from gateway.webhooks.service import Webhooks
from gateway.webhooks.subscription_store import SubscriptionStore
from tests.support.described_api import new_key
from tests.support.hooked import CREDIT, Hooked, hooked
from tests.support.manual_clock import until
from tests.support.receivers import SETTINGS, TARGET, receiving
from tests.support.role_doors import ISSUER, bearer

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
ANN = Caller(kind="token", issuer="i", subject="ann")
ADMIN = Caller(kind="key", issuer="k", subject="boss", roles=("admin",))
FULL = {"export": True, "subscribe": True, "update": True}
ROLES: dict[str, Any] = {
    "syncer": {"sets": {"CustomersV3": {**FULL, "deny_columns": ["PaymentTerms"]}}},
    "exporter": {"sets": {"CustomersV3": {"export": True}}},
    "follower": {"sets": {"CustomersV3": {"export": False, "subscribe": True}}},
}
INBOUND = {"issuers": [ISSUER]}


async def test_rights_of_webhooks_are_those_of_exports_and_changes(tmp_path: Path) -> None:
    async with receiving(tmp_path, roles=ROLES, inbound=INBOUND) as here:
        http = here.here.http
        for role, status in (("exporter", 403), ("follower", 403), ("syncer", 201)):
            http.headers.update(bearer(role))
            answer = await here.create(status)
            if status != 201:
                assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        await here.here.ask(CREDIT, limit="321")
        (message,) = await here.settled(1)
        (row,) = message["data"]["upserts"]
        assert row["node"]["creditLimit"] == "321"
        assert "paymentTerms" not in row["node"]

        http.headers.pop("authorization")
        assert (await http.get(f"/webhooks/{answer['id']}")).status_code == 401


async def test_a_webhook_is_its_callers_and_administrators(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    keys = {name: new_key(settings, name) for name in ("one", "other", "admin")}
    async with receiving(tmp_path, inbound={"api_keys": True}) as here:

        def sign_in(name: str) -> None:
            here.here.http.headers["authorization"] = f"Bearer {keys[name]}"

        sign_in("one")
        own = (await here.create())["links"]["self"]
        sign_in("other")
        assert (await here.get("/webhooks"))["webhooks"] == []
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/secret")):
            await here.get(f"{own}{path}", method, 404)
        sign_in("admin")
        (listed,) = (await here.get("/webhooks"))["webhooks"]
        assert listed["links"]["self"] == own
        assert (await here.get(f"{own}/pause", "POST"))["state"] == "PAUSED"
        # As its creator was, and not as the administrator is.
        resumed = await here.get(f"{own}/resume", "POST")
        assert resumed["state"] == "ACTIVE"
        one = await here.webhooks.find(resumed["id"], "", None)
        assert one.caller.roles == ("one",)


async def test_the_policy_counts_that_holds_when_they_are_sent(tmp_path: Path) -> None:
    async with receiving(tmp_path, roles=ROLES, inbound=INBOUND) as here:
        here.here.http.headers.update(bearer("syncer"))
        one = await here.create()
        own = await here.webhooks.find(one["id"], "", None)
        await here.webhooks.resend(own, letter_of(own, {"customerAccount": "US-001"}))
        with pytest.raises(Forbidden, match="has fields"):
            await here.webhooks.resend(own, letter_of(own, {"paymentTerms": "Net30"}))
        assert len(here.requests) == 1
    less = {**ROLES, "syncer": ROLES["follower"]}
    async with receiving(tmp_path, roles=less, inbound=INBOUND) as later:
        later.here.http.headers.update(bearer("syncer"))
        later.pass_time(5_000.0)
        await until(lambda: [e for e in later.here.events if isinstance(e, WebhookPaused)], 15.0)
        await later.settled(0)
        shown = await later.get(one["links"]["self"])
        assert (shown["state"], shown["error"]["extensions"]["code"]) == ("PAUSED", "FORBIDDEN")
        with pytest.raises(Forbidden):
            await later.webhooks.resend(own, letter_of(own, {"customerAccount": "US-001"}))
        assert later.requests == []


def letter_of(one: Subscription, node: dict[str, Any]) -> DeadLetter:
    """Return a webhook with one row that was not taken."""
    body = msgspec.json.encode(
        {"data": {"upserts": [{"kind": "UPDATED", "id": "x", "node": node}]}}
    )
    return DeadLetter(
        id="msg_" + "0" * 32,
        subscription=one.id,
        body=body,
        error="status 500",
        attempts=1,
        created=0.0,
        died=0.0,
    )


@dataclass
class Process:
    """A process of a deployment: its store, its runner, and what it sends."""

    here: Hooked
    settings: Settings
    time: float = 1_800_000_000.0
    callers: list[Caller] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        def receive(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return httpx.Response(200)

        def now() -> float:
            return self.time

        transport = httpx.MockTransport(receive)
        self.store = SubscriptionStore(self.settings, now=now)
        self.outgoing = Outgoing(self.settings.webhooks, transport=transport, now=now)
        self.runner = WebhookRunner(self.store, self._enter, self.outgoing, lambda _: None)
        self.webhooks = Webhooks(self.store, self.runner, self.outgoing)

    @asynccontextmanager
    async def _enter(
        self, _environment: str, _profile: str | None, caller: Caller
    ) -> AsyncIterator[tuple[Caller, ServedApi]]:
        self.callers.append(caller)
        # The service of this test knows nobody.
        yield Caller(), ServedApi(live=self.here.app.state.environment.live)

    async def create(self, caller: Caller, *, is_personal: bool = True) -> Subscription:
        target = Target(set="CustomerGroups", url=TARGET, fields="customerGroupId")
        return await self.webhooks.create(
            NewSubscription(
                environment="",
                entity_set="CustomerGroups",
                target=target,
                caller=caller,
                is_personal=is_personal,
                since=None,
            )
        )

    async def until(self, one: Subscription, state: str, sent: int) -> Subscription:
        async with asyncio.timeout(60):
            while True:
                current = await self.store.find(one.id)
                assert current is not None
                if (current.state, current.delivered) == (state, sent):
                    return current
                await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hooked]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runners, "POLL", 0.02)
        async with hooked(tmp_path_factory.mktemp("callers")) as opened:
            yield opened


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    # Nothing but the runners of the test runs its webhooks.
    return Settings.model_validate({**SETTINGS, "data_dir": tmp_path / "other"})


async def test_tokens_are_not_stored_and_their_webhooks_wait_for_them(
    here: Hooked, settings: Settings
) -> None:
    signed_in = replace(ANN, assertion=Assertion("s3cret"), expires_at=1_800_000_900.0)
    first, second = Process(here, settings), Process(here, settings)
    async with first.runner.running():
        one = await first.create(signed_in)
        await first.until(one, "ACTIVE", 1)
        async with second.runner.running():
            # Though it is due, it is not another process's, which has no token.
            second.time += 10.0
            await asyncio.sleep(0.1)
            assert second.callers == []
            assert (await first.until(one, "ACTIVE", 1)).is_personal
    async with second.runner.running():
        second.time += 4_000.0
        waiting = await second.until(one, "NEEDS_AUTH", 1)
        assert waiting.error is not None
        assert waiting.error["extensions"]["code"] == "UNAUTHENTICATED"
        assert second.callers == []
        with pytest.raises(WrongWebhookState):
            await second.webhooks.resume(waiting, ADMIN)
        renewed = replace(signed_in, assertion=Assertion("n3w"), expires_at=second.time + 60.0)
        await second.webhooks.resume(waiting, renewed)
        await until(lambda: second.callers == [renewed] and not second.runner._running, 15.0)
        # It ends with the token.
        second.time += 8_000.0
        await second.until(one, "NEEDS_AUTH", 1)

    assert settings.data_dir is not None
    files = b"".join(p.read_bytes() for p in (settings.data_dir / "store").iterdir())
    assert b"s3cret" not in files
    assert b"n3w" not in files


async def test_a_claim_under_way_is_released_at_the_end(
    here: Hooked, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending, other = Process(here, settings), Process(here, settings)
    one = await ending.create(ANN, is_personal=False)
    begun, goes_on, ended = threading.Event(), threading.Event(), threading.Event()
    claim = SubscriptionRegister.claim

    def slow_claim(*args: Any) -> Sequence[SubscriptionRow]:
        begun.set()
        assert goes_on.wait(10.0)
        claimed = claim(*args)
        ended.set()
        return claimed

    monkeypatch.setattr(SubscriptionRegister, "claim", slow_claim)
    async with ending.runner.running():
        await until(begun.is_set, 10.0)
        asyncio.get_running_loop().call_later(0.05, goes_on.set)
    monkeypatch.undo()
    await until(ended.is_set, 10.0)
    async with other.runner.running():
        await other.until(one, "ACTIVE", 1)


async def test_another_process_goes_on_after_a_kill(here: Hooked, settings: Settings) -> None:
    killed, other = Process(here, settings), Process(here, settings)
    one = await killed.create(ANN, is_personal=False)
    assert [c.id for c in await killed.store.claim(killed.runner.owner, (), 5)] == [one.id]
    async with other.runner.running():
        await asyncio.sleep(0.1)
        assert other.requests == []
        other.time += settings.webhooks.lease + 1.0
        await other.until(one, "ACTIVE", 1)
    assert len(other.requests) == 1
    await killed.store.close()
    await killed.outgoing.close()
