"""WebSockets and event streams of environments: each hears of its own rows only, and keeps its environment open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.environment_models import EnvironmentOptions
from gateway.config.setting_models import SandboxOptions
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register
from gateway.environments.opened import OpenEnvironments
from gateway.events.environments import EnvironmentClosed, EnvironmentOpened
from gateway.sandbox import create_sandbox
from gateway.store import polling
from tests.support.event_stream import asked
from tests.support.manual_clock import until
from tests.support.sockets import PATIENCE
from tests.support.streaming import INIT, Served, Socket, serving, subscribe

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
ONE = EnvironmentOptions(sandbox=SandboxOptions(scale=0.1))
CHANGES = 'subscription { entityChanged(set: "customerGroups") { kind } }'
USMF = {"x-d365-company": "usmf"}
CREATE = """mutation ($id: String!) {
  createCustomerGroup(input: { customerGroupId: $id, description: "New" }) { userErrors { message } }
}"""


@pytest.fixture
async def whole() -> AsyncIterator[Served]:
    environments = {"one": ONE, "two": ONE}
    async with serving(create_sandbox(), [], environments=environments) as served:
        yield served


async def create(served: Served, number: str) -> None:
    address = f"http://127.0.0.1:{served.port}{served.path}"
    body: Any = {"query": CREATE, "variables": {"id": number}}
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as http:
        answer = (await http.post(address, json=body, headers=USMF)).json()
    assert answer["data"]["createCustomerGroup"]["userErrors"] == []


def closed(whole: Served) -> list[str]:
    return [e.environment for e in whole.events if isinstance(e, EnvironmentClosed)]


async def test_a_subscription_hears_of_its_environment_only(whole: Served) -> None:
    one, two = whole.environment("one"), whole.environment("two")
    async with one.begun() as ws:
        await ws.say(subscribe(CHANGES))
        await one.watched()
        assert whole.hub.watches == 0
        await create(two, "901")
        await create(whole, "902")
        await create(one, "903")

        assert (await ws.hear())["payload"]["data"]["entityChanged"]["kind"] == "CREATED"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ws.raw.recv(), 0.3)


async def test_a_subscription_keeps_its_environment_open(whole: Served) -> None:
    one = whole.environment("one")
    async with one.begun() as ws:
        await ws.say(subscribe(CHANGES))
        await one.watched()
        await asyncio.sleep(0.6)
        assert closed(whole) == []

    await until(lambda: closed(whole) == ["one"])
    async with asked(one, CHANGES):
        await one.watched()
        await asyncio.sleep(0.6)
        assert closed(whole) == ["one"]
    await until(lambda: closed(whole) == ["one", "one"])


async def test_a_socket_names_its_environment_when_it_begins(whole: Served) -> None:
    async with whole.begun(**{"X-D365-Environment": "two"}) as ws:
        await ws.say(subscribe(CHANGES))
        await until(lambda: any(isinstance(e, EnvironmentOpened) for e in whole.events))
        await whole.watched()
        await create(whole.environment("two"), "904")

        assert (await ws.hear())["payload"]["data"]["entityChanged"]["kind"] == "CREATED"


async def test_a_socket_to_an_unknown_environment_is_closed(whole: Served) -> None:
    async with whole.environment("nope").connect() as raw:
        ws = Socket(raw)
        await ws.say(INIT)

        assert await ws.end() == (4403, "There is no such environment.")


@pytest.mark.parametrize("act", ["remove", "disable", "replace"])
async def test_streams_end_when_the_store_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    monkeypatch.setattr(polling, "REFRESH", 0.05)
    register = open_environment_register(Settings(data_dir=tmp_path))
    for name in ("one", "two"):
        register.create(name, ONE)
    acts: dict[str, Callable[[], object]] = {
        "remove": lambda: register.remove("one"),
        "disable": lambda: register.set_state("one", "disabled"),
        "replace": lambda: register.replace("one", ONE.model_copy(update={"title": "1"})),
    }
    async with serving(create_sandbox(), [], data_dir=tmp_path) as served:
        one, two = served.environment("one"), served.environment("two")
        async with one.begun() as ws, one.begun() as silent, two.begun() as other:
            await ws.say(subscribe(CHANGES))
            await one.watched()
            await other.say(subscribe(CHANGES))
            await two.watched()
            async with asked(one, CHANGES) as stream:
                await asyncio.to_thread(acts[act])

                # Not ``complete``: clients subscribe again, and learn what became of the environment.
                assert await ws.end() == (1012, "The environment has changed")
                assert await silent.end() == (1012, "The environment has changed")
                assert "".join(await stream.rest()).startswith("retry: ")
                await until(lambda: closed(served) == ["one"])
            await create(two, "905")
            assert (await other.hear())["payload"]["data"]["entityChanged"]["kind"] == "CREATED"
    register.close()


async def test_subscriptions_end_with_their_environment(whole: Served) -> None:
    one = whole.environment("one")
    async with one.begun() as ws:
        await ws.say(subscribe(CHANGES))
        await one.watched()
        opened: OpenEnvironments = whole.app.state.environments

        await opened.close()

        assert await ws.end() == (1012, "The environment has changed")
