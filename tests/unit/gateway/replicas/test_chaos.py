"""Whatever happens to the shared state or a replica: requests go on, never too many of them, and events say so."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.events.replicas import SharedStateFound, SharedStateLost
from gateway.replicas import shared_state
from tests.support.held import GROUP
from tests.support.manual_clock import until
from tests.support.redis_server import RedisServer, slow_way
from tests.support.replicated import CACHED, CUSTOMERS, GROUPS, Replica, Upstream, replicas

pytestmark = pytest.mark.anyio
CONCURRENCY = 12
"""Of ``replicas``."""


@pytest.fixture(autouse=True)
def quick_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_state, "RETRY", 0.1)


async def ask_all(running: list[Replica], *, first: int = 1, number: int = 20) -> None:
    """Let all replicas send requests at once; each must be answered."""
    numbers = range(first, first + number)
    answers = await asyncio.gather(*(r.ask(CUSTOMERS, n=n) for n in numbers for r in running))
    assert not any("errors" in answer for answer in answers)


async def lost(running: list[Replica]) -> None:
    """Wait until all have noticed, and go on by themselves."""
    await until(lambda: not any(r.replicas.state.is_up for r in running))
    for replica in running:
        replica.replicas._shares._all_changed()
    await until(lambda: all(r.limit.is_alone for r in running))


async def found(running: list[Replica]) -> None:
    await until(lambda: all(r.replicas.state.is_up for r in running))
    await until(lambda: not any(r.limit.is_alone for r in running))
    await until(lambda: all(r.limit.replicas == len(running) for r in running))


def reasons(replica: Replica) -> list[str]:
    return [event.reason for event in replica.events if isinstance(event, SharedStateLost)]


# What is done to the server, and how its clients are told.
TROUBLES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "full": (("CONFIG SET maxmemory 1",), ("CONFIG SET maxmemory 0",), "maxmemory"),
    "read-only": (("REPLICAOF 127.0.0.1 1",), ("REPLICAOF NO ONE",), "read only"),
    "wrong password": (
        ("CONFIG SET requirepass other", "CLIENT KILL TYPE normal", "CLIENT KILL TYPE pubsub"),
        ('CONFIG SET requirepass ""',),
        "Authentication",
    ),
}


@contextmanager
def trouble(redis: RedisServer, name: str) -> Iterator[None]:
    causes, cures, _ = TROUBLES[name]
    with redis.client() as admin:
        connection = admin.connection_pool.get_connection()

        def say(command: str) -> None:
            words = ["" if word == '""' else word for word in command.split()]
            connection.send_command(*words)
            connection.read_response()

        for command in causes:
            say(command)
        try:
            yield
        finally:
            for command in cures:
                say(command)
            admin.connection_pool.release(connection)


@pytest.mark.parametrize("name", TROUBLES)
async def test_one_that_takes_no_writes_counts_as_away(redis: RedisServer, name: str) -> None:
    upstream = Upstream(seconds=0.005)
    async with replicas(redis, 2, upstream) as running:
        await ask_all(running)
        with trouble(redis, name):
            await lost(running)
            upstream.most = 0
            await ask_all(running, first=100)
            # It is tried again several times meanwhile, and is found by none of them.
            await asyncio.sleep(0.5)
            most = upstream.most
        await found(running)
        await ask_all(running, first=200)

    assert most <= CONCURRENCY
    assert [r.count(SharedStateFound) for r in running] == [2, 2]
    for replica in running:
        said = reasons(replica)
        assert len(said) <= 2
        assert any(TROUBLES[name][2] in reason for reason in said)


async def test_a_slow_one_counts_as_away(redis: RedisServer) -> None:
    upstream = Upstream(seconds=0.005)
    async with (
        slow_way(redis) as way,
        replicas(redis, 2, upstream, address=way.address, slowest=0.5) as running,
    ):
        await ask_all(running)
        before = [r.count(SharedStateFound) for r in running]
        way.seconds = 0.4  # twice that there and back
        await lost(running)
        upstream.most = 0
        await ask_all(running, first=100)
        most = upstream.most
        assert [r.count(SharedStateFound) for r in running] == before
        way.seconds = 0.0
        await found(running)

    assert most <= CONCURRENCY


async def test_one_that_is_restarted_empty_is_filled_again(redis: RedisServer) -> None:
    upstream = Upstream(seconds=0.005)
    async with replicas(redis, 3, upstream) as running:
        await ask_all(running)
        redis.kill()
        redis.start()
        await until(lambda: all(r.count(SharedStateFound) == 2 for r in running))
        await found(running)
        upstream.most = 0
        await ask_all(running, first=100)

    assert upstream.most <= CONCURRENCY
    assert all(1 <= r.count(SharedStateLost) <= 2 for r in running)


async def test_a_write_during_a_partition_is_seen_after_it(redis: RedisServer) -> None:
    """By those, too, who have not noticed that there was one."""
    upstream = Upstream()
    async with replicas(redis, 2, upstream, slowest=0.5, **CACHED) as running:
        for replica in running:
            await replica.ask(GROUPS)
        with redis.frozen():
            await running[0].ask("mutation { a: %s }" % (GROUP % "P1"))
            await until(lambda: not running[0].replicas.state.is_up)
        await until(lambda: len(running[1].answers._store) == 0)
        answers = [await replica.ask(GROUPS) for replica in running]

    for answer in answers:
        names = [n["customerGroupId"] for n in answer["data"]["customerGroups"]["nodes"]]
        assert "P1" in names


async def test_a_process_that_is_killed_leaves_its_share(redis: RedisServer) -> None:
    """Its clock is an hour ahead, which is nobody's business."""
    upstream = Upstream(seconds=0.005)
    async with replicas(redis, 1, upstream) as running:
        url = running[0].gateway.settings.url
        assert url is not None
        command = [sys.executable, "-m", "tests.support.hanging_replica"]
        process = await asyncio.create_subprocess_exec(
            *command, redis.address, url, str(CONCURRENCY), stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            theirs = int(await process.stdout.readline())
            await until(lambda: running[0].limit.replicas == 2)
            upstream.most = 0
            await ask_all(running)
            beside = upstream.most
        finally:
            process.kill()
            await process.wait()
        until_gone = asyncio.get_running_loop().time() + 20
        upstream.most = 0
        while upstream.most <= CONCURRENCY - theirs and upstream.most <= beside:
            assert asyncio.get_running_loop().time() < until_gone
            await ask_all(running, number=40)

    assert beside + theirs <= CONCURRENCY
