"""Environments are opened at their first request and closed when they are idle; a failure is not repeated at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.config.profiles import EnvironmentSettings
from gateway.environments.open_environment import OpenEnvironment
from gateway.environments.opened import OpenEnvironments, Patience, message_of
from gateway.environments.registry import Environment
from gateway.errors import (
    AuthError,
    EnvironmentUnavailable,
    GatewayError,
    SettingsError,
    UpstreamMalformed,
    UpstreamTimeout,
)
from gateway.events import Event
from gateway.events.environments import EnvironmentClosed, EnvironmentFailed, EnvironmentOpened
from gateway.logs import logged_environment
from schema.errors import SchemaError

pytestmark = pytest.mark.anyio
IDLE = 0.05


class World:
    """A registry, and environments that are nothing but their names."""

    is_complete = True

    def __init__(self, **patience: float) -> None:
        self.declared: dict[str, Environment] = {}
        self.faults: dict[str, Exception] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.attempts: list[str] = []
        self.closed: list[str] = []
        self.stopped: list[str] = []
        self.logged: list[str] = []
        self.events: list[Event] = []
        self.opened = OpenEnvironments(
            self, self.open, idle=IDLE, observe=self.events.append, patience=Patience(**patience)
        )

    def declare(self, name: str) -> Environment:
        declared = Environment(name, cast("Callable[[], EnvironmentSettings]", None))
        self.declared[name] = declared
        return declared

    def find(self, name: str) -> Environment | None:
        return self.declared.get(name)

    def names(self) -> Any:
        return iter(self.declared)

    def follow(self, changed: object, reload: object, removed: object) -> None:
        """Tests call them themselves."""

    def open(self, declared: Environment) -> AbstractAsyncContextManager[OpenEnvironment]:
        return self._opened(declared.name)

    @asynccontextmanager
    async def _opened(self, name: str) -> AsyncIterator[OpenEnvironment]:
        self.attempts.append(name)
        self.logged.append(logged_environment())
        if name in self.gates:
            await self.gates[name].wait()
        if name in self.faults:
            raise self.faults[name]
        hub = SimpleNamespace(stop=lambda: self.stopped.append(name))
        try:
            yield cast("OpenEnvironment", SimpleNamespace(name=name, subscriptions=hub))
        finally:
            self.closed.append(name)

    def said(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until_closed(self, name: str) -> None:
        async with asyncio.timeout(60):
            while name not in self.closed:  # noqa: ASYNC110 - what closes it is not ours
                await asyncio.sleep(IDLE / 10)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World(pause=0.05, request=0.05)
    yield made
    await made.opened.close()


async def test_requests_that_come_together_open_it_once(world: World) -> None:
    declared = world.declare("a")

    leases = await asyncio.gather(*(world.opened.lease(declared) for _ in range(5)))

    assert world.attempts == ["a"]
    assert len({id(lease.environment) for lease in leases}) == 1
    assert world.opened.states() == {"declared": 1, "open": 1, "opening": 0, "unavailable": 0}
    assert [e.environment for e in world.said(EnvironmentOpened)] == ["a"]
    assert world.logged == ["a"]


async def test_it_is_closed_when_it_has_been_idle_and_opened_again(world: World) -> None:
    declared = world.declare("a")
    lease = await world.opened.lease(declared)
    await asyncio.sleep(3 * IDLE)
    assert world.closed == []  # somebody uses it

    lease.release()
    await world.until_closed("a")

    assert [e.environment for e in world.said(EnvironmentClosed)] == ["a"]
    assert world.opened.states()["open"] == 0
    assert (await world.opened.lease(declared)).environment.name == "a"
    assert world.attempts == ["a", "a"]


async def test_each_request_puts_the_end_off(world: World) -> None:
    declared = world.declare("a")
    for _ in range(6):
        (await world.opened.lease(declared)).release()
        await asyncio.sleep(IDLE / 2)

    assert (world.attempts, world.closed) == (["a"], [])


async def test_one_that_nobody_waits_for_any_more_is_closed_too(world: World) -> None:
    world.gates["a"] = asyncio.Event()
    with pytest.raises(EnvironmentUnavailable, match="being opened"):
        await world.opened.lease(world.declare("a"))

    world.gates["a"].set()
    await world.until_closed("a")


async def test_a_failure_is_not_tried_again_at_once(world: World) -> None:
    declared = world.declare("a")
    world.faults["a"] = AuthError("secret", detail="secret")
    for _ in range(3):
        with pytest.raises(EnvironmentUnavailable, match="cannot sign in") as caught:
            await world.opened.lease(declared)
        assert caught.value.retry_after == 1.0
        assert "secret" not in str(caught.value.extensions())
    assert world.attempts == ["a"]
    assert world.opened.states()["unavailable"] == 1

    del world.faults["a"]
    await asyncio.sleep(0.1)

    assert (await world.opened.lease(declared)).environment.name == "a"
    assert world.opened.states()["unavailable"] == 0


async def test_the_pauses_after_failures_grow() -> None:
    world = World(pause=0.001, longest_pause=0.003)
    declared = world.declare("a")
    world.faults["a"] = UpstreamTimeout("no answer")
    for _ in range(4):
        with pytest.raises(EnvironmentUnavailable):
            await world.opened.lease(declared)
        await asyncio.sleep(0.01)

    pauses = [event.retry_after for event in world.said(EnvironmentFailed)]

    assert [round(pause * 1_000) for pause in pauses] == pytest.approx([1, 2, 3, 3], abs=0.5)
    await world.opened.close()


async def test_an_attempt_that_never_ends_is_given_up() -> None:
    world = World(request=5, opening=0.05, pause=60)
    world.gates["a"] = asyncio.Event()

    with pytest.raises(EnvironmentUnavailable, match="does not answer"):
        await world.opened.lease(world.declare("a"))

    assert world.opened.states() == {"declared": 1, "open": 0, "opening": 0, "unavailable": 1}
    await world.opened.close()


async def test_an_environment_that_changes_is_opened_anew(world: World) -> None:
    before = await world.opened.lease(world.declare("a"))
    after = await world.opened.lease(world.declare("a"))

    assert before.environment is not after.environment
    assert world.stopped == ["a"]  # its subscriptions end
    assert world.closed == []  # the request that is under way ends as it began
    before.release()
    await world.until_closed("a")
    assert (await world.opened.lease(world.declared["a"])).environment is after.environment


async def test_a_change_ends_the_pause_after_a_failure(world: World) -> None:
    world.faults["a"] = SettingsError("wrong")
    with pytest.raises(EnvironmentUnavailable):
        await world.opened.lease(world.declare("a"))
    del world.faults["a"]

    assert (await world.opened.lease(world.declare("a"))).environment.name == "a"


async def test_closing_ends_what_opens() -> None:
    world = World()
    world.gates["a"] = asyncio.Event()
    waiting = asyncio.create_task(world.opened.lease(world.declare("a")))
    await world.opened.lease(world.declare("b"))

    async with asyncio.timeout(60):
        await world.opened.close()
        with pytest.raises(EnvironmentUnavailable, match="stops"):
            await waiting

    assert world.closed == ["b"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (AuthError("x"), "The gateway cannot sign in to this environment."),
        (SchemaError("x"), "The metadata of this environment cannot be read."),
        (UpstreamMalformed("x"), "The metadata of this environment cannot be read."),
        (SettingsError("x"), "The settings of this environment do not fit it."),
        (UpstreamTimeout("x"), "This environment does not answer."),
        (TimeoutError(), "This environment does not answer."),
        (GatewayError("x"), "This environment does not answer."),
        (KeyError("x"), "This environment cannot be opened."),
    ],
)
def test_callers_learn_the_kind_of_a_failure(error: Exception, message: str) -> None:
    assert message_of(error) == message
