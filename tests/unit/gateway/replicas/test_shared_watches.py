"""One poller for all replicas: who polls, what everybody is told, and what happens if the leader is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.config.replica_models import ReplicaOptions
from gateway.config.settings import Settings
from gateway.planning.change_queries import ChangeQuery
from gateway.replicas.opening import open_replicas
from gateway.replicas.replicas import Replicas
from gateway.request import Answer, GraphQLRequest
from gateway.subscriptions.polling import Poll
from gateway.subscriptions.shared_polls import MIN_LEASE, SharedPoll
from tests.support.manual_clock import until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.anyio
BY_ETAG = ChangeQuery(name="things", has_company=False, where=None, stamp=None, rows="R")
BY_STAMP = ChangeQuery(
    name="things", has_company=False, where=None, stamp="at", rows="R", newest="N"
)
NOW = 1_700_000_000.0
STAMP = "2023-11-14T22:13:{:02}Z"


@dataclass
class Service:
    """Rows that all replicas poll, and who polled."""

    rows: dict[str, tuple[str, str]] = field(default_factory=lambda: {"a": ("1", STAMP.format(1))})
    polls: list[int] = field(default_factory=list)

    def ask(self, number: int) -> Any:
        async def answer(request: GraphQLRequest) -> Answer:
            self.polls.append(number)
            nodes = [
                {"id": name, "etag": etag, "changed": at} for name, (etag, at) in self.rows.items()
            ]
            if request.query == "N":
                nodes = sorted(nodes, key=lambda row: row["changed"])[-1:]
            return Answer({"rows": {"nodes": nodes, "pageInfo": {"hasNextPage": False}}})

        return answer


@dataclass
class Watching:
    replicas: Replicas
    poll: SharedPoll

    async def changes(self) -> list[tuple[str, str]]:
        return [(change.kind.value, change.id) for change in await self.poll.changes()]


@asynccontextmanager
async def watching(
    redis: RedisServer, service: Service, query: ChangeQuery, number: int = 3
) -> AsyncIterator[list[Watching]]:
    with redis.client() as client:
        client.flushall()
    options = ReplicaOptions(address=SecretStr(redis.address), timeout=0.5)
    async with AsyncExitStack() as stack:
        running = []
        for n in range(number):
            shared = await stack.enter_async_context(
                open_replicas(Settings(replicas=options), lambda _: None)
            )
            assert shared is not None
            poll = Poll(
                query=query,
                where={},
                companies=None,
                ask=service.ask(n),
                page=100,
                most=1_000,
                late=5.0,
                now=lambda: NOW,
                observe=lambda _: None,
            )
            log = shared.log_of("", (query, frozenset({"x", "y"})))
            assert log is not None
            running.append(Watching(shared, SharedPoll(poll, log, 1.0)))
        for one in running:
            assert await one.changes() == []
        service.polls.clear()
        yield running


@pytest.mark.parametrize("query", [BY_ETAG, BY_STAMP], ids=["etags", "stamps"])
async def test_one_polls_and_all_are_told(redis: RedisServer, query: ChangeQuery) -> None:
    service = Service()
    async with watching(redis, service, query) as running:
        for number in range(2, 6):
            service.rows["a"] = (str(number), STAMP.format(number))
            service.rows[f"n{number}"] = ("1", STAMP.format(number))
            seen = [{name for _, name in await one.changes()} for one in running]
            assert seen == [{"a", f"n{number}"}] * 3

    assert set(service.polls) == {0}


@pytest.mark.parametrize("query", [BY_ETAG, BY_STAMP], ids=["etags", "stamps"])
async def test_who_leads_next_continues(redis: RedisServer, query: ChangeQuery) -> None:
    """What the leader told is told nobody twice, what it had not seen is told all."""
    service = Service()
    async with watching(redis, service, query) as running:
        service.rows["a"] = ("2", STAMP.format(2))
        for one in running:
            assert len(await one.changes()) == 1
        running[0].poll.close()
        service.rows["b"] = ("1", STAMP.format(3))

        async def led() -> bool:
            return bool(await running[1].poll._log.leads(MIN_LEASE))

        for _ in range(100):
            if await led():
                break
        second = [name for _, name in await running[1].changes()]
        third = [name for _, name in await running[2].changes()]

    assert (second, third) == (["b"], ["b"])
    assert service.polls[-1] == 1


async def test_deletions_are_told_once(redis: RedisServer) -> None:
    service = Service()
    async with watching(redis, service, BY_ETAG) as running:
        service.rows.clear()
        told = [await one.changes() for one in running]
        again = [await one.changes() for one in running]

    assert told == [[("DELETED", "a")]] * 3
    assert again == [[]] * 3


@pytest.mark.parametrize("query", [BY_ETAG, BY_STAMP], ids=["etags", "stamps"])
async def test_without_the_shared_state_everybody_polls(
    redis: RedisServer, query: ChangeQuery
) -> None:
    service = Service()
    async with watching(redis, service, query) as running:
        await running[0].changes()
        with redis.frozen():
            service.rows["a"] = ("2", STAMP.format(2))
            alone = [{name for _, name in await one.changes()} for one in running]
        await until(lambda: all(one.replicas.state.is_up for one in running))
        service.rows["c"] = ("1", STAMP.format(4))
        after = [{name for _, name in await one.changes()} for one in running]

    assert alone == [{"a"}] * 3
    assert after == [{"c"}] * 3


async def test_a_watch_that_nobody_can_name_is_not_shared(redis: RedisServer) -> None:
    options = ReplicaOptions(address=SecretStr(redis.address))
    async with open_replicas(Settings(replicas=options), lambda _: None) as shared:
        assert shared is not None
        assert shared.log_of("", (object(),)) is None
        assert shared.log_of("", ("a", frozenset({"b", "c"}))) is not None
