"""Crowds: many environments that are used at a time, and many subscriptions to one list, in this process's CPU time.

The upstreams are in the process too: what is shown is how the cost follows the number, not what one costs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

import httpx
import orjson
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.environment_models import EnvironmentOptions
from gateway.config.setting_models import SubscriptionOptions
from gateway.config.settings import Settings
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.model_builder import LoadedModel, make_model
from gateway.sandbox import create_sandbox
from tests.bench.bench_growth import NOTES, grown
from tests.bench.bench_size import SUBSCRIPTION, UPDATE
from tests.bench.environment_deployment import Deployment, Upstream, called, name_of
from tests.bench.measure import GC_FROZEN, Report, frozen_gc
from tests.bench.serving import recorded_answer
from tests.bench.workload import PLAIN, names

ENVIRONMENTS = (5, 50, 500)
SUBSCRIPTIONS = (10, 100, 1_000)
QUERY = f"{{ orders(first: 10) {{ nodes {{ {names(PLAIN[:10])} }} }} }}"


async def crowds(quick: bool) -> list[Report]:
    """Measure both over their numbers."""
    report = Report("crowds", f"all at the same time; CPU time, {GC_FROZEN}")
    rounds = 2 if quick else 5
    first, again = [], []
    for number in ENVIRONMENTS:
        opening, asking = await environments(number, rounds)
        first.append(opening)
        again.append(asking)
    report.add(crowd="environments", what="the first query of each", **grown(ENVIRONMENTS, first))
    report.add(crowd="environments", what="a further one in each", **grown(ENVIRONMENTS, again))
    pushed = [await subscriptions(number, rounds) for number in SUBSCRIPTIONS]
    report.add(crowd="subscriptions", what="a change, sent to each", **grown(SUBSCRIPTIONS, pushed))
    report.notes += NOTES
    return [report]


class _Small(Upstream):
    """Answers for all services with the orders of the benchmarks."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return recorded_answer(request)


async def _build(settings: Settings, document: MetadataDocument) -> LoadedModel:
    return make_model(settings, document)


async def environments(number: int, rounds: int) -> tuple[float, float]:
    """Return the CPU seconds of the first queries of so many environments at a time, and of a further one in each."""
    names_of_all = map(name_of, range(number))
    settings = Settings(
        environments={
            name: EnvironmentOptions(url=f"https://{name}.example/data", auth="none")
            for name in names_of_all
        },
        cache_dir=None,
        language=None,
        dialect="finops",
        retries=0,
    )
    upstream = _Small()
    app = create_app(settings, transport=upstream, observe=lambda _: None, build_model=_build)
    async with app.router.lifespan_context(app):
        deployment = Deployment(app, upstream)
        # What the first use of anything loads is not an environment's.
        await deployment.post(0, QUERY)

        async def ask() -> float:
            return await _cpu_of(*(deployment.post(n, QUERY) for n in range(number)))

        opening = await ask()
        with frozen_gc():
            return opening, median([await ask() for _ in range(rounds)])


async def subscriptions(number: int, rounds: int) -> float:
    """Return the CPU seconds of a change that so many event streams get."""
    options = SubscriptionOptions(interval=0.2, max_connections=2 * number)
    settings = Settings(cache_dir=None, language=None, subscriptions=options)
    transport = httpx.ASGITransport(create_sandbox())
    app = create_app(settings, transport=transport, observe=lambda _: None)
    async with app.router.lifespan_context(app), _streaming(app, number) as streams:
        await _change(app, streams, "warm")
        with frozen_gc():
            taken = [await _cpu_of(_change(app, streams, str(n))) for n in range(rounds)]
    return median(taken)


async def _cpu_of(*work: Awaitable[Any]) -> float:
    started = time.process_time()
    await asyncio.gather(*work)
    return time.process_time() - started


class _Stream:
    """The changes that one event stream has brought."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    async def hear(self, message: Any) -> None:
        if b"event: next" in message.get("body", b""):
            self.came.set()


@asynccontextmanager
async def _streaming(app: Starlette, number: int) -> AsyncIterator[list[_Stream]]:
    """Hold event streams open; they get the changes of one list."""
    body = orjson.dumps({"query": SUBSCRIPTION})
    streams = [_Stream() for _ in range(number)]
    running = [
        asyncio.ensure_future(
            called(app, "/graphql", body, stream.hear, accept="text/event-stream")
        )
        for stream in streams
    ]
    # Until the first poll is over: what was before it is not a change.
    await asyncio.sleep(0.5)
    try:
        yield streams
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _change(app: Starlette, streams: list[_Stream], text: str) -> None:
    """Change a row, and wait until all streams have it."""
    for stream in streams:
        stream.came.clear()
    said: list[Any] = []

    async def hear(message: Any) -> None:
        said.append(message)

    body = orjson.dumps({"query": UPDATE, "variables": {"text": text}})
    await called(app, "/graphql", body, hear)
    if b'"errors"' in said[-1]["body"]:
        raise RuntimeError(str(said[-1]))
    async with asyncio.timeout(60):
        await asyncio.gather(*(stream.came.wait() for stream in streams))
