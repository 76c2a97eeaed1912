"""One build for all replicas: counted builds, and what happens if the builder, bytes or shared state are gone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.replica_models import ReplicaOptions
from gateway.config.settings import Settings
from gateway.metadata import shared_models
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.model_builder import LoadedModel, content_of, make_model
from gateway.replicas.shared_builds import LIFETIME, PIECE, Build, SharedBuilds
from gateway.replicas.shared_state import SharedState
from schema.errors import SchemaError
from tests.support.changing_metadata import Changing, csdl
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.anyio
FINGERPRINT = b"settings, document, program"


@dataclass
class Builder:
    """A replica that builds text."""

    builds: SharedBuilds
    state: SharedState
    result: bytes = b"the model"
    seconds: float = 0.0
    made: int = 0
    began: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None

    async def once(self, fingerprint: bytes = FINGERPRINT) -> bytes:
        async def make() -> bytes:
            self.made += 1
            self.began.set()
            await asyncio.sleep(self.seconds)
            if self.error is not None:
                raise self.error
            return self.result

        async def open_(content: bytes) -> bytes | None:
            return None if content == b"\0" else content

        return await self.builds.once(
            Build[bytes](fingerprint=fingerprint, make=make, open=open_, content=lambda r: r)
        )


@asynccontextmanager
async def builders(
    redis: RedisServer, number: int, *, lease: float = 0.5, longest_wait: float = 30.0
) -> AsyncIterator[list[Builder]]:
    with redis.client() as client:
        client.flushall()
    options = ReplicaOptions(address=SecretStr(redis.address), timeout=0.5)
    async with AsyncExitStack() as stack:
        running = []
        for _ in range(number):
            state = SharedState(options, lambda _: None)
            await stack.enter_async_context(state.running())
            builds = SharedBuilds(state, lease=lease, longest_wait=longest_wait)
            running.append(Builder(builds, state))
        yield running


def made(running: list[Builder]) -> int:
    return sum(one.made for one in running)


async def test_one_builds_and_the_others_take_it(redis: RedisServer) -> None:
    async with builders(redis, 4) as running:
        for one in running:
            one.seconds = 0.1
        results = await asyncio.gather(*(one.once() for one in running))
        later = await running[3].once()
        with redis.client() as client:
            (place,) = client.keys("*:built:*")
            expires = client.ttl(place)

    assert {*results, later} == {b"the model"}
    assert made(running) == 1
    assert 0 < expires <= LIFETIME


async def test_a_long_build_keeps_its_lease(redis: RedisServer) -> None:
    async with builders(redis, 2, lease=0.2) as running:
        running[0].seconds = 1.0
        first = asyncio.ensure_future(running[0].once())
        await running[0].began.wait()
        assert [await running[1].once(), await first] == [b"the model"] * 2

    assert made(running) == 1


async def test_large_results_come_in_pieces(redis: RedisServer) -> None:
    noise = random.Random(1).randbytes(3 * PIECE)
    async with builders(redis, 2) as running:
        running[0].result = noise
        assert await running[0].once() == noise
        assert await running[1].once() == noise

    assert running[1].made == 0


async def test_others_of_another_program_build_themselves(redis: RedisServer) -> None:
    async with builders(redis, 2) as running:
        await running[0].once()
        await running[1].once(b"another version")

    assert [one.made for one in running] == [1, 1]


async def test_a_builder_that_dies_is_replaced(redis: RedisServer) -> None:
    async with builders(redis, 2) as running:
        running[0].seconds = 60
        dead = asyncio.ensure_future(running[0].once())
        await running[0].began.wait()
        # As if it were killed: it renews nothing, and gives nothing back.
        running[0].state.is_up = False
        assert await running[1].once() == b"the model"
        dead.cancel()

    assert running[1].made == 1


async def test_one_that_hangs_is_waited_for_so_long(redis: RedisServer) -> None:
    async with builders(redis, 2, longest_wait=0.5) as running:
        running[0].seconds = 60
        hanging = asyncio.ensure_future(running[0].once())
        await running[0].began.wait()
        assert await running[1].once() == b"the model"
        hanging.cancel()


async def test_a_failed_build_is_tried_by_each_at_once(redis: RedisServer) -> None:
    async with builders(redis, 3) as running:
        for one in running:
            one.error, one.seconds = SchemaError("It is no metadata."), 0.1
        results = await asyncio.gather(*(one.once() for one in running), return_exceptions=True)
        with redis.client() as client:
            leases = client.keys("*:building:*")

    assert [type(result) for result in results] == [SchemaError] * 3
    assert [one.made for one in running] == [1, 1, 1]
    assert leases == []


@pytest.mark.parametrize("stored", [b"damaged", b"(\xb5/\xfd damaged"])
async def test_damaged_bytes_are_built_anew(redis: RedisServer, stored: bytes) -> None:
    async with builders(redis, 2) as running:
        await running[0].once()
        with redis.client() as client:
            (place,) = client.keys("*:built:*")
            client.set(place, stored)
        assert await running[1].once() == b"the model"
        assert await running[0].once() == b"the model"

    assert [one.made for one in running] == [1, 1]


async def test_without_the_shared_state_each_builds(redis: RedisServer) -> None:
    async with builders(redis, 2) as running:
        with redis.frozen():
            results = await asyncio.gather(*(one.once() for one in running))

    assert results == [b"the model"] * 2
    assert made(running) == 2


async def test_it_is_lost_while_one_waits(redis: RedisServer) -> None:
    async with builders(redis, 2) as running:
        running[0].seconds = 1.0
        first = asyncio.ensure_future(running[0].once())
        await running[0].began.wait()
        second = asyncio.ensure_future(running[1].once())
        redis.kill()
        results = [await first, await second]
        redis.start()

    assert results == [b"the model"] * 2


# Whole gateways


@dataclass
class Deployment:
    """Replicas with cache folders of their own, and a service with metadata."""

    service: Changing
    apps: list[Starlette]
    made: list[str]


@asynccontextmanager
async def deployment(
    redis: RedisServer, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int = 3
) -> AsyncIterator[Deployment]:
    with redis.client() as client:
        client.flushall()
    service, built = Changing(csdl("A")), list[str]()

    def counted(settings: Settings, document: MetadataDocument, *more: object) -> LoadedModel:
        built.append(document.digest)
        return make_model(settings, document)

    async def build(settings: Settings, document: MetadataDocument) -> LoadedModel:
        return await asyncio.to_thread(counted, settings, document)

    monkeypatch.setattr(shared_models, "make_model", counted)
    apps = list[Starlette]()
    async with AsyncExitStack() as stack:

        async def start(n: int) -> None:
            app = create_app(
                Settings(
                    url="https://contoso.operations.dynamics.com/data",
                    auth="none",
                    language=None,
                    cache_dir=folder / str(n),
                    metadata_max_age=0,
                    replicas=ReplicaOptions(address=SecretStr(redis.address), timeout=0.5),
                ),
                transport=httpx.MockTransport(service.answer),
                observe=lambda _: None,
                build_model=build,
            )
            await stack.enter_async_context(app.router.lifespan_context(app))
            apps.append(app)

        for n in range(number):
            await start(n)
        yield Deployment(service, apps, built)


async def test_a_start_and_new_metadata_are_built_once(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with deployment(redis, tmp_path, monkeypatch) as running:
        started = list(running.made)
        running.service.document = csdl("A", "B")
        attempts = await asyncio.gather(
            *(app.state.reloader.reload("signal") for app in running.apps)
        )
        models = [app.state.live.gateway.catalog.model for app in running.apps]
        contents = [content_of(model) for model in models]

    assert len(started) == 1
    assert [attempt.outcome for attempt in attempts] == ["changed"] * 3
    assert len(running.made) == 2
    # Each opened it from its own folder.
    assert len(await asyncio.to_thread(lambda: [*tmp_path.glob("*/models/*.snapshot")])) == 3
    assert all(content is not None for content in contents)
