"""Replicas of one deployment over a real Redis, before a sandbox that counts what comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from pydantic import SecretStr

from gateway.cache.environment_answers import EnvironmentAnswers
from gateway.config.cache_models import CacheOptions
from gateway.config.replica_models import ReplicaOptions
from gateway.config.settings import Settings
from gateway.events import Event
from gateway.replicas.opening import open_replicas
from gateway.replicas.replicas import Replicas
from gateway.replicas.shared_limit import SharedLimit
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.runtime.generations import GenerationManager, ProcessParts, open_generations
from gateway.sandbox import create_sandbox
from tests.support.redis_server import RedisServer

GROUPS = '{ customerGroups(companies: ["usmf"]) { nodes { customerGroupId description } } }'
CUSTOMERS = (
    'query($n: Int!) { customersV3(companies: ["usmf"], first: $n) { nodes { customerAccount } } }'
)


@dataclass
class Upstream(httpx.AsyncBaseTransport):
    """One sandbox for all replicas, which answers as many requests at a time as it can."""

    sandbox: httpx.ASGITransport = field(
        default_factory=lambda: httpx.ASGITransport(create_sandbox())
    )
    sent: list[str] = field(default_factory=list)
    under_way: int = 0
    most: int = 0
    refusal: Callable[[], httpx.Response | None] = lambda: None
    seconds: float = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(f"{request.method} {request.url.path}")
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            refused = self.refusal()
            if refused is not None:
                return refused
            await asyncio.sleep(self.seconds)
            return await self.sandbox.handle_async_request(request)
        finally:
            self.under_way -= 1


@dataclass
class Replica:
    live: GenerationManager
    replicas: Replicas
    events: list[Event]

    @property
    def gateway(self) -> Gateway:
        return self.live.gateway

    @property
    def limit(self) -> SharedLimit:
        (lane,) = self.replicas._shares._lanes.values()
        return lane.limit

    @property
    def answers(self) -> EnvironmentAnswers:
        answers = self.gateway.client.answers
        assert isinstance(answers, EnvironmentAnswers)
        return answers

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        request = GraphQLRequest(query=query, variables=variables)
        return (await self.gateway.engine.execute(request)).to_builtins()

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)


@asynccontextmanager
async def replicas(
    redis: RedisServer,
    number: int,
    upstream: Upstream,
    *,
    address: str = "",
    slowest: float = 5.0,
    **more: Any,
) -> AsyncIterator[list[Replica]]:
    """Yield several replicas of one deployment.

    ``slowest`` is how long the Redis may take. They share one event loop: with what a real deployment allows, a busy
    machine would count as a Redis that is away.
    """
    with redis.client() as client:
        client.flushall()
    settings = Settings(
        cache_dir=None,
        language=None,
        url="https://contoso.operations.dynamics.com/data",
        auth="none",
        metadata=None,
        replicas=ReplicaOptions(address=SecretStr(address or redis.address), timeout=slowest),
        **{"concurrency": 12, "retries": 0, **more},
    )
    async with AsyncExitStack() as stack:
        running = []
        for _ in range(number):
            events = list[Event]()
            shared = await stack.enter_async_context(open_replicas(settings, events.append))
            assert shared is not None
            opened = open_generations(
                settings,
                transport=upstream,
                observe=events.append,
                parts=ProcessParts(join=shared.joined),
            )
            running.append(Replica(await stack.enter_async_context(opened), shared, events))
        upstream.sent.clear()
        yield running


CACHED: dict[str, Any] = {"cache": CacheOptions(ttl=60, sets=("CustomerGroups",), categories=())}
