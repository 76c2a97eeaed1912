"""Generations: memory stays bounded while every entity set is used, and no request notices a replacement."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.events import Event, TypesNotRenewed, TypesRenewed
from gateway.process import garbage_collection as collector
from gateway.process.garbage_collection import clear_in_steps, freeze
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, fresh_copy
from gateway.runtime.generations import Freeing, GenerationManager, open_generations
from schema.types.lazy import LazyInputType, LazyObjectType
from schema.types.strawberry_definitions import DEFINITION
from tests.support.changing_metadata import Changing, csdl
from tests.support.garbage import unfrozen
from tests.support.manual_clock import until
from tests.support.soak import bounded

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
NAMES = tuple(f"Item{letter}s" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
BUDGET = 40
FREEING = Freeing()


@dataclass
class ChangeQuery:
    """A live gateway; ``alive`` tells how many of the generations that there were are still in memory."""

    live: GenerationManager
    service: Changing
    events: list[Event]
    schemas: list[weakref.ref[Any]]

    async def touch(self, name: str) -> Any:
        root = f"{name[0].lower()}{name[1:]}"
        query = f"""query($where: {name[:-1]}Where, $order: [{name[:-1]}OrderBy!]) {{
            {root}(first: 1, where: $where, orderBy: $order) {{ edges {{ cursor }} nodes {{ id name }} }} }}"""
        with self.live.serving() as gateway:
            answer = await gateway.engine.execute(GraphQLRequest(query=query))
        self.note()
        return answer.to_builtins()

    def note(self) -> None:
        made = self.live.gateway.schema
        if not self.schemas or self.schemas[-1]() is not made:
            self.schemas.append(weakref.ref(made))

    @property
    def alive(self) -> int:
        return sum(schema() is not None for schema in self.schemas)


@asynccontextmanager
async def watched(freeing: Freeing = FREEING, **values: object) -> AsyncIterator[ChangeQuery]:
    service = Changing(csdl("Name", sets=NAMES))
    events: list[Event] = []
    chosen: dict[str, object] = {
        "url": "https://fo.example/data",
        "auth": "none",
        "dialect": "finops",
        "cache_dir": None,
        "max_types": BUDGET,
        **values,
    }
    opened = open_generations(
        Settings.model_validate(chosen),
        transport=httpx.MockTransport(service.answer),
        observe=events.append,
        freeing=freeing,
    )
    async with opened as found:
        yield ChangeQuery(found, service, events, [])


def is_at_rest(found: GenerationManager) -> bool:
    return found._freeing is None or found._freeing.done()


def remade(gateway: Gateway) -> Gateway:
    """Return a fresh generation over metadata that count as others."""
    return replace(
        fresh_copy(gateway),
        metadata=replace(gateway.metadata, digest=gateway.metadata.digest + "+"),
    )


def made_of(gateway: Gateway) -> list[weakref.ref[Any]]:
    """Make all types of some sets; points at them, their definitions and fields, and at row types."""
    core, entries = gateway.schema.core, list(gateway.schema.entries())
    types = [core.type_map[e.name] for e in entries if e.name.startswith(("ItemA", "ItemB"))]
    lazy = [type_ for type_ in types if isinstance(type_, LazyObjectType | LazyInputType)]
    fields = [field for type_ in lazy for field in type_.fields.values()]
    prepared = [operation for operation, _ in gateway.engine._prepared._compiled.table.values()]
    rows = [row for operation in prepared for row in operation.row_types._cache.values()]
    definitions = [found.extensions[DEFINITION] for found in (*types, *fields)]
    return [weakref.ref(thing) for thing in (*types, *fields, *definitions, *rows)]


@pytest.fixture
def frozen() -> Iterator[None]:
    """What a serving process does once it has started."""
    with unfrozen():
        freeze()
        yield


@pytest.fixture
def not_frozen() -> Iterator[None]:
    with unfrozen():
        yield


@pytest.mark.heavy
async def test_the_types_in_memory_stay_within_the_budget(frozen: None) -> None:
    most = 0
    async with watched() as watcher:
        for name in NAMES * 3:
            body = await watcher.touch(name)
            assert [node["name"] for node in body["data"][name[0].lower() + name[1:]]["nodes"]] == [
                "one"
            ]
            await until(lambda: is_at_rest(watcher.live))
            watcher.note()
            most = max(most, watcher.live.gateway.schema.made_types)
            assert watcher.alive == 1

        events = [event for event in watcher.events if isinstance(event, TypesRenewed)]
        assert watcher.live.generation == len(events) + 1 > 5
        assert most <= BUDGET
        assert max(event.types for event in events) < BUDGET + 20


async def test_frozen_objects_are_freed_with_their_metadata(frozen: None) -> None:
    async with watched(max_types=3_000) as watcher:
        await watcher.touch(NAMES[0])
        gc.freeze()
        watcher.live.replace(remade(watcher.live.gateway))
        watcher.note()
        await until(lambda: watcher.alive == 1)

        assert watcher.alive == 1
        assert gc.get_freeze_count() > 10_000


async def test_types_are_freed_without_the_collector(
    frozen: None,
) -> None:
    async with watched(max_types=3_000) as watcher:
        for name in NAMES[:5]:
            await watcher.touch(name)
        made = made_of(watcher.live.gateway)
        gc.freeze()
        watcher.live.replace(fresh_copy(watcher.live.gateway))
        await until(lambda: is_at_rest(watcher.live))

        assert len(made) > 50
        assert [thing() for thing in made if thing() is not None] == []


@pytest.mark.heavy
async def test_a_generation_is_freed_in_steps_and_leaves_little_garbage() -> None:
    async with watched(max_types=3_000) as watcher:
        gc.collect()
        before = len(gc.get_objects())
        for name in NAMES:
            await watcher.touch(name)
        gc.collect()
        made = len(gc.get_objects()) - before
        gone = watcher.live.gateway
        gc.disable()  # what the steps free is not what it would find
        try:
            freed = [sys.getallocatedblocks()]
            freed += [sys.getallocatedblocks() for _ in clear_in_steps(gone.tables())]
            left = len(gc.get_objects()) - before
        finally:
            gc.enable()

        assert len(freed) > 50
        assert max(a - b for a, b in pairwise(freed)) < 500 * collector.ENTRIES_PER_STEP
        assert left < made / 5
        assert gone.schema.made_types == 0


async def test_freeing_a_generation_yields_to_other_tasks() -> None:
    async with watched(Freeing(turn=0.0), max_types=3_000) as watcher:
        for name in NAMES[:5]:
            await watcher.touch(name)
        types: Any = watcher.live.gateway.schema.core.type_map
        steps = len(types.table)
        watcher.live.replace(fresh_copy(watcher.live.gateway))
        turns = 0
        while not is_at_rest(watcher.live):
            await asyncio.sleep(0)
            turns += 1

        assert turns > steps / collector.ENTRIES_PER_STEP


async def test_an_emptied_generation_still_answers() -> None:
    async with watched(max_types=3_000) as watcher:
        answer = await watcher.touch(NAMES[0])
        held = watcher.live.gateway
        watcher.live.replace(fresh_copy(held))
        await until(lambda: is_at_rest(watcher.live))
        assert held.schema.made_types == 0

        watcher.live.replace(held)
        assert await watcher.touch(NAMES[0]) == answer
        assert held.schema.made_types > 5


async def test_an_unfrozen_process_stays_unfrozen(not_frozen: None) -> None:
    assert gc.get_freeze_count() == 0
    async with watched() as watcher:
        await watcher.touch(NAMES[0])
        watcher.live.replace(fresh_copy(watcher.live.gateway))
        watcher.note()
        await until(lambda: watcher.alive == 1)

    assert gc.get_freeze_count() == 0


@pytest.mark.heavy
async def test_a_fresh_generation_is_empty_and_answers_the_same() -> None:
    async with watched(max_types=3_000) as watcher:
        answers = [await watcher.touch(name) for name in NAMES]
        before = watcher.live.gateway
        watcher.live.replace(fresh_copy(before))
        fresh = watcher.live.gateway

        assert fresh.schema.made_types < 10 < before.schema.made_types
        assert (fresh.metadata, fresh.since, fresh.client) == (
            before.metadata,
            before.since,
            before.client,
        )
        assert [await watcher.touch(name) for name in NAMES] == answers
        assert fresh.schema.as_str() == before.schema.as_str()


async def test_running_operations_keep_their_generation() -> None:
    async with watched() as watcher:
        watcher.service.gate = asyncio.Event()
        running = [asyncio.create_task(watcher.touch(name)) for name in NAMES[:3]]
        await until(lambda: watcher.service.waiting == 3)
        watcher.note()
        watcher.live.replace(fresh_copy(watcher.live.gateway))
        watcher.note()

        assert (watcher.live.retired, watcher.alive) == (1, 2)
        watcher.service.gate.set()
        answers = await asyncio.gather(*running)
        assert all("errors" not in answer for answer in answers)
        await until(lambda: watcher.alive == 1)
        assert (watcher.live.retired, watcher.alive) == (0, 1)


@pytest.mark.heavy
async def test_concurrent_requests_are_answered_across_generations() -> None:
    async with watched(max_types=15) as watcher:

        async def walk(start: int) -> list[Any]:
            return [
                await watcher.touch(NAMES[(start + i) % len(NAMES)]) for i in range(bounded(12, 40))
            ]

        answers = await asyncio.gather(*(walk(start) for start in range(0, 24, 3)))
        await until(lambda: is_at_rest(watcher.live) and watcher.alive == 1)

        assert all("errors" not in answer for walked in answers for answer in walked)
        assert watcher.live.generation > 5
        assert watcher.alive == 1


async def test_a_failed_replacement_leaves_the_old_generation() -> None:
    calls: list[Gateway] = []

    def broken(gateway: Gateway) -> Gateway:
        calls.append(gateway)
        raise MemoryError("no more")

    async with watched(max_types=3_000) as watcher:
        events: list[Event] = []
        failing = GenerationManager(watcher.live.gateway, broken, budget=10, observe=events.append)
        watcher.live = failing
        for name in NAMES:
            assert "errors" not in await watcher.touch(name)
            await until(lambda: is_at_rest(failing))

        assert failing.generation == 1
        # not at every request: each time that the budget is full once more
        assert len(calls) == len(events) < len(NAMES)
        assert {type(event) for event in events} == {TypesNotRenewed}
        await failing.close()


async def test_frozen_objects_are_collected_when_idle() -> None:
    running: list[int] = []
    freeing = Freeing(collect=lambda: running.append(watcher.live._running))
    async with watched(freeing, max_types=3_000) as watcher:
        watcher.service.gate = asyncio.Event()
        task = asyncio.create_task(watcher.touch(NAMES[0]))
        await until(lambda: watcher.service.waiting == 1)
        for _ in range(2):
            watcher.live.replace(remade(watcher.live.gateway))
        await asyncio.sleep(0.05)
        assert running == []
        watcher.service.gate.set()
        await task
        await until(lambda: running != [])

    assert set(running) == {0}


async def test_frozen_objects_are_collected_under_load_in_the_end() -> None:
    running: list[int] = []
    freeing = Freeing(idle_wait=0.05, collect=lambda: running.append(watcher.live._running))
    async with watched(freeing, max_types=3_000) as watcher:
        watcher.service.gate = asyncio.Event()
        task = asyncio.create_task(watcher.touch(NAMES[0]))
        await until(lambda: watcher.service.waiting == 1)
        for _ in range(2):  # the operation runs on the first, nothing on the second
            watcher.live.replace(remade(watcher.live.gateway))
        await until(lambda: running != [])
        watcher.service.gate.set()
        await task

    assert running[0] == 1


def test_evicted_documents_are_collected_soon() -> None:
    """The thresholds of the oldest generation have to be within reach: a million objects, not half a billion."""
    young, middle, _ = collector.THRESHOLDS

    assert young * middle <= 1_000_000
