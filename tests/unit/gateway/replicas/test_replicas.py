"""Replicas over a real Redis: shares of limits, pauses, cached answers, and what happens without it."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from gateway.admission.work import Lane
from gateway.config.admission_models import AdmissionOptions
from gateway.config.cost_models import CostOptions
from gateway.cost.budgets import Terms
from gateway.cost.operation_costs import Costs
from gateway.documents.automatic import AutomaticDocuments
from gateway.documents.trusted import sha256_of
from gateway.events.replicas import SharedStateFound, SharedStateLost
from gateway.runtime.assembly import open_client
from tests.support.held import GROUP
from tests.support.manual_clock import until
from tests.support.redis_server import RedisServer
from tests.support.replicated import CACHED, CUSTOMERS, GROUPS, Replica, Upstream, replicas

pytestmark = pytest.mark.anyio


async def test_shares_add_up_to_the_limit(redis: RedisServer) -> None:
    upstream = Upstream(seconds=0.02)
    async with replicas(redis, 4, upstream) as running:
        work = [replica.ask(CUSTOMERS, n=n) for n in range(1, 60) for replica in running]
        await asyncio.gather(*work)
        totals = {round(replica.limit.total.value) for replica in running}

    assert len(upstream.sent) == 4 * 59
    assert upstream.most <= 12
    assert max(totals) > 4


async def test_a_lone_replica_with_work_gets_the_whole_limit(redis: RedisServer) -> None:
    upstream = Upstream(seconds=0.02)
    async with replicas(redis, 3, upstream) as running:
        await asyncio.gather(*(running[0].ask(CUSTOMERS, n=n) for n in range(1, 200)))

    assert upstream.most >= 9


async def test_a_refusal_shrinks_the_limit_of_all(redis: RedisServer) -> None:
    upstream = Upstream(seconds=0.01)
    async with replicas(redis, 2, upstream) as running:
        await asyncio.gather(*(r.ask(CUSTOMERS, n=n) for n in range(1, 100) for r in running))
        before = running[1].limit.total.value
        upstream.refusal = lambda: httpx.Response(503)
        await running[0].ask(CUSTOMERS, n=500)
        upstream.refusal = lambda: None
        await until(lambda: running[1].limit.total.value < before)
        after = running[1].limit.total.value

    assert after <= before * 0.7 + 0.5


async def test_a_429_pauses_all_replicas(redis: RedisServer) -> None:
    upstream = Upstream()
    async with replicas(redis, 3, upstream) as running:
        upstream.refusal = lambda: httpx.Response(429, headers={"retry-after": "3600"})
        await running[0].ask(CUSTOMERS, n=1)
        upstream.refusal = lambda: None
        others = [replica.gateway.client.admission for replica in running[1:]]
        await until(lambda: all(a.pauses.remaining(None) > 3_000 for a in others))
        upstream.sent.clear()
        answer = await running[1].ask(CUSTOMERS, n=2)

    (error,) = answer["errors"]
    assert (error["extensions"]["code"], upstream.sent) == ("OVERLOADED", [])
    assert error["extensions"]["retryAfter"] > 3_000


async def test_a_replica_without_answers_warns_the_others(redis: RedisServer) -> None:
    upstream = Upstream()

    def away() -> httpx.Response:
        raise httpx.ConnectError("away")

    async with replicas(redis, 2, upstream, admission=AdmissionOptions(breaker_failures=3)) as both:
        first, second = (replica.gateway.client.admission.breaker for replica in both)
        upstream.refusal = away
        for n in range(3):
            await both[0].ask(CUSTOMERS, n=n + 1)
        await until(lambda: second.is_warned)
        assert (first.is_open, second.is_open) == (True, False)
        await both[1].ask(CUSTOMERS, n=9)
        assert (second.is_open, len(upstream.sent)) == (True, 4)


async def test_an_answer_is_read_once_for_all(redis: RedisServer) -> None:
    upstream = Upstream()
    async with replicas(redis, 3, upstream, **CACHED) as running:
        answers = [await replica.ask(GROUPS) for replica in running]

    assert len(upstream.sent) == 1
    assert answers[0]["data"] == answers[1]["data"] == answers[2]["data"]
    assert [a.get("extensions", {}).get("cache") for a in answers[1:]] == [
        {"age": 0, "stale": False}
    ] * 2


async def test_a_write_of_one_is_seen_by_all(redis: RedisServer) -> None:
    upstream = Upstream()
    async with replicas(redis, 3, upstream, **CACHED) as running:
        for replica in running:
            await replica.ask(GROUPS)
        await running[0].ask("mutation { a: %s }" % (GROUP % "T1"))
        await until(lambda: all(len(replica.answers._store) == 0 for replica in running))
        answers = [await replica.ask(GROUPS) for replica in (*running[1:], running[0])]

    for answer in answers:
        names = [n["customerGroupId"] for n in answer["data"]["customerGroups"]["nodes"]]
        assert "T1" in names


async def test_the_writer_sees_its_write_at_once(redis: RedisServer) -> None:
    upstream = Upstream()
    async with replicas(redis, 2, upstream, **CACHED) as running:
        for number in range(10):
            await running[1].ask(GROUPS)
            await running[0].ask(GROUPS)
            await running[0].ask("mutation { a: %s }" % (GROUP % f"W{number}"))
            answer = await running[0].ask(GROUPS)
            names = [n["customerGroupId"] for n in answer["data"]["customerGroups"]["nodes"]]
            assert f"W{number}" in names


async def test_a_write_without_the_shared_state_is_seen_by_the_writer(redis: RedisServer) -> None:
    upstream = Upstream()
    async with replicas(redis, 2, upstream, slowest=0.5, **CACHED) as running:
        await running[1].ask(GROUPS)
        with redis.frozen():
            await running[0].ask("mutation { a: %s }" % (GROUP % "F1"))
        await until(lambda: running[0].replicas.state.is_up)
        answer = await running[0].ask(GROUPS)

    names = [n["customerGroupId"] for n in answer["data"]["customerGroups"]["nodes"]]
    assert "F1" in names


async def test_other_deployments_and_settings_share_nothing(redis: RedisServer) -> None:
    upstream = Upstream()
    async with replicas(redis, 1, upstream, **CACHED) as (first,):
        await first.ask(GROUPS)
        with redis.client() as client:
            keys = {key.decode() for key in client.keys("*")}
            stored = b"".join(filter(None, (client.get(k) for k in keys if ":answer:" in k)))

    assert all(key.startswith("d365-graphql:") for key in keys)
    assert any(":answer:" in key for key in keys)
    # What is searched for is in no key, and the rows are compressed, not in clear.
    assert "usmf" not in " ".join(keys)
    assert b"customerGroupId" not in stored


async def test_without_the_shared_state_each_goes_on_with_less(redis: RedisServer) -> None:
    upstream = Upstream(seconds=0.01)
    async with replicas(redis, 3, upstream) as running:
        await asyncio.gather(*(r.ask(CUSTOMERS, n=n) for n in range(1, 60) for r in running))
        redis.kill()
        await until(lambda: all(r.limit.is_alone for r in running) or not await_work(running))
        upstream.most = 0
        answers = await asyncio.gather(
            *(r.ask(CUSTOMERS, n=n) for n in range(60, 160) for r in running)
        )
        alone = [replica.limit.value for replica in running]
        redis.start()
        await until(lambda: all(r.replicas.state.is_up for r in running))
        await asyncio.gather(*(r.ask(CUSTOMERS, n=1) for r in running))
        await until(lambda: not any(r.limit.is_alone for r in running))

    assert not any("errors" in answer for answer in answers)
    assert all(value <= 12 // 3 for value in alone)
    assert upstream.most <= 12
    assert all(1 <= r.count(SharedStateLost) <= 2 for r in running)
    assert all(r.count(SharedStateFound) == 2 for r in running)


def await_work(running: list[Replica]) -> bool:
    """Give every replica something to agree on."""
    for replica in running:
        replica.replicas._shares._changed(
            next(iter(replica.replicas._shares._lanes)), refused=False
        )
    return True


async def test_one_that_answers_nothing_holds_nobody_up(redis: RedisServer) -> None:
    upstream = Upstream()
    async with replicas(redis, 2, upstream, slowest=0.5, **CACHED) as running:
        with redis.frozen():
            answers = [await replica.ask(GROUPS) for replica in running]
            assert not any(replica.replicas.state.is_up for replica in running)
            # From then on it is not even tried.
            more = [await replica.ask(CUSTOMERS, n=1) for replica in running]
        await until(lambda: all(r.replicas.state.is_up for r in running))

    assert not any("errors" in answer for answer in (*answers, *more))


async def test_a_budget_is_one_for_all_replicas(redis: RedisServer) -> None:
    upstream = Upstream()
    cost = CostOptions(points_per_minute=60, burst=60)
    async with replicas(redis, 3, upstream, cost=cost) as running:
        await until(lambda: all(r.limit.replicas == 3 for r in running))
        books = [costs_of(replica) for replica in running]
        terms = Terms(60, 60)
        books[0].budgets.spend("anna", 40, terms, books[0].clock())
        books[0].budgets.spend("anna", -10, terms, books[0].clock())
        left = [lambda b=book: b.budgets.balance("anna", terms, b.clock()).points for book in books]
        await until(lambda: all(29 < points() < 35 for points in left))
        others = books[1].budgets.balance("ben", terms, books[1].clock()).points
        redis.kill()
        await until(lambda: not any(r.replicas.state.is_up for r in running))
        alone = books[1].budgets.balance("ben", terms, books[1].clock()).points
        redis.start()

    assert (others, alone) == (60, 20)


def costs_of(replica: Replica) -> Costs:
    costs = replica.gateway.client.costs
    assert isinstance(costs, Costs)
    return costs


async def test_what_a_client_registers_is_known_to_all(redis: RedisServer) -> None:
    async with replicas(redis, 2, Upstream()) as running:
        stores = [AutomaticDocuments(10_000) for _ in running]
        for replica, store in zip(running, stores, strict=True):
            replica.replicas.share_documents(store)
        stores[0].register(sha256_of(GROUPS), GROUPS)
        await until(lambda: stores[1].get(sha256_of(GROUPS)) == GROUPS)


async def test_a_closed_environment_is_forgotten(redis: RedisServer) -> None:
    async with replicas(redis, 1, Upstream(), **CACHED) as (one,):
        state = one.replicas.state
        before = len(state._listeners), len(state._returned)
        for _ in range(3):
            async with open_client(one.gateway.settings, transport=Upstream()) as client:
                with one.replicas.joined(client, one.gateway.settings):
                    assert len(state._listeners) == before[0] + 1

        assert (len(state._listeners), len(state._returned)) == before


async def test_lanes_with_credentials_share_limits_of_their_own(redis: RedisServer) -> None:
    async with replicas(redis, 2, Upstream()) as running:
        for one in running:
            async with open_client(one.gateway.settings, transport=Upstream()) as client:
                client.use_credentials({Lane.EXPORT: httpx.BasicAuth("a", "b")})
                with one.replicas.joined(client, one.gateway.settings):
                    names = set(one.replicas._shares._lanes)

    assert sum(name.endswith(":export") for name in names) == 1


async def test_a_replica_that_is_killed_leaves_its_share(redis: RedisServer) -> None:
    upstream = Upstream(seconds=0.02)
    async with replicas(redis, 2, upstream) as running:
        busy = [asyncio.ensure_future(running[1].ask(CUSTOMERS, n=n)) for n in range(1, 40)]
        await asyncio.gather(*(running[0].ask(CUSTOMERS, n=n) for n in range(1, 40)))
        # Killed: it says nothing any more, not even that it leaves.
        running[1].replicas._shares._lanes.clear()
        await asyncio.gather(*busy, return_exceptions=True)

        async def whole() -> bool:
            await asyncio.gather(*(running[0].ask(CUSTOMERS, n=n) for n in range(1, 40)))
            return running[0].limit.value >= running[0].limit.total.value - 1

        for _ in range(30):
            if await whole():
                break
        else:
            pytest.fail("the share of the killed replica is not used")
