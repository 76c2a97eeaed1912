"""The steps of a check: where they end, and that they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

import pytest

from gateway.config.environment_models import EnvironmentOptions
from gateway.config.environments import overlaid
from gateway.config.settings import Settings
from gateway.errors import UpstreamTimeout
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.model_builder import LoadedModel, make_model
from gateway.runtime.environment_check import bounded, service_steps
from gateway.runtime.upstream_chain import Status, Step
from tests.support.environment import Environment, environment
from tests.support.login_host import SECRET, refusal

pytestmark = pytest.mark.anyio
GOOD = Step("environment", Status.OK, "x")


@pytest.fixture(scope="module")
def world() -> Iterator[Environment]:
    with environment() as running:
        yield running


def quiet(_: object) -> None:
    """Say nothing."""


async def build(settings: Settings, document: MetadataDocument) -> LoadedModel:
    return make_model(settings, document)


async def steps_of(settings: Settings) -> list[Step]:
    return [step async for step in bounded(service_steps(settings, quiet, build_model=build), 60.0)]


async def test_the_metadata_are_the_last_step(world: Environment) -> None:
    steps = await steps_of(world.settings(IDENTITY="app"))

    assert [step.name for step in steps] == [
        *("environment", "sign-in", "service", "user", "roles", "companies", "rights", "$metadata")
    ]
    assert "entity sets from" in steps[-1].text
    assert SECRET not in repr(steps)


async def test_the_sandbox_in_this_process_has_metadata_only() -> None:
    assert [step.name for step in await steps_of(Settings())] == ["environment", "$metadata"]


async def test_a_refused_sign_in_ends_the_check(world: Environment) -> None:
    world.host.refuse = refusal(7000222, "Expired.")
    try:
        steps = await steps_of(world.settings(IDENTITY="app"))
    finally:
        world.host.refuse = None

    assert [step.name for step in steps] == ["environment", "sign-in"]
    assert steps[-1].status is Status.PROBLEM


async def test_an_address_that_is_not_allowed_ends_the_check(world: Environment) -> None:
    options = EnvironmentOptions(url=f"{world.address}/data", auth="none")
    steps = await steps_of(overlaid(Settings(), "acme", options, stored=True))

    assert [step.name for step in steps] == ["environment", "service"]
    assert "cannot be used" in steps[-1].text


async def slow() -> AsyncGenerator[Step]:
    yield GOOD
    await asyncio.sleep(60)


async def failing() -> AsyncGenerator[Step]:
    yield GOOD
    raise UpstreamTimeout("The upstream did not answer in time.", hint="Try again.")


@pytest.mark.parametrize(("steps", "last"), [(slow, "time"), (failing, "service")])
async def test_a_check_ends_with_a_step(steps: object, last: str) -> None:
    assert callable(steps)
    found = [step async for step in bounded(steps(), 0.05)]

    assert [step.name for step in found] == ["environment", last]
    assert found[-1].status is Status.PROBLEM
