"""The gateway that serves now, while it is replaced under load.

    request ──▶ serving() ──▶ the current generation         replace(new): requests from now on get the new one,
                                   │ over its budget of types                those that run end on the one they began on
                                   └──▶ replaced by a fresh one (3 ms)

A schema only grows: each entity that is touched for the first time adds its types, its records, and the documents that
use them (some 0.15 MB an entity). A generation whose types pass the budget is replaced by a fresh one over the same
metadata, so the whole catalogue can be walked through in bounded memory.

Types and resolvers refer to each other in circles, and the collector would need half a second for a generation while
everybody waits. But all circles go through tables of what has been made: once its last request has ended, the tables
of a generation are emptied between other requests, which frees nine tenths of its objects. The classes of rows, and
what little else refers to itself, the collector then finds in some 30 ms. What was put aside at the start it only
looks at once new metadata have replaced it, in a moment without requests where there is one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import httpx

from gateway.config.settings import Settings
from gateway.events import Observer, TypesNotRenewed, TypesRenewed, log_event
from gateway.metadata.model_builder import Progress
from gateway.process.garbage_collection import clear_in_steps, collect, reclaim

from .assembly import Gateway, first_gateway, fresh_copy, open_client

IDLE_WAIT = 2.0
"""Longest wait for a moment without requests, in seconds."""

TURN = 0.005
"""Seconds for which one turn of the loop empties tables: the sooner it is done, the less is there for the collector."""

Renew = Callable[[Gateway], Gateway]


@asynccontextmanager
async def open_generations(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    observe: Observer = log_event,
    progress: Progress | None = None,
) -> AsyncIterator[GenerationManager]:
    """Build the first generation, and end everything at the end. Raises what ``open_gateway`` raises."""
    async with open_client(settings, transport=transport, observe=observe) as client:
        # No name here may hold the first generation: it would live for ever.
        live = GenerationManager(
            await first_gateway(settings, client, observe, progress),
            fresh_copy,
            budget=settings.max_types,
            observe=observe,
        )
        try:
            yield live
        finally:
            await live.close()


@dataclass(eq=False, slots=True)
class _Generation:
    gateway: Gateway
    budget: float
    running: int = 0


class GenerationManager:
    """Holds the current generation; belongs to one event loop."""

    def __init__(self, gateway: Gateway, renew: Renew, *, budget: int, observe: Observer) -> None:
        self._renew = renew
        self._budget = budget
        self._observe = observe
        self._current = _Generation(gateway, budget)
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._retired = 0
        self._leaving: deque[Gateway] = deque()
        self._freeing: asyncio.Task[None] | None = None
        self.generation = 1
        """How many there have been."""

    @property
    def gateway(self) -> Gateway:
        """The current generation, for a look at it; operations use ``serving``."""
        return self._current.gateway

    @property
    def retired(self) -> int:
        """How many generations still serve operations that began on them."""
        return self._retired

    @contextmanager
    def serving(self) -> Iterator[Gateway]:
        """Return the current generation, which lives on at least until the end of the block."""
        generation = self._current
        generation.running += 1
        self._running += 1
        self._idle.clear()
        try:
            yield generation.gateway
        finally:
            generation.running -= 1
            self._running -= 1
            if not self._running:
                self._idle.set()
            if generation is self._current:
                self._keep_to_budget(generation)
            elif generation.running == 0:
                self._retired -= 1
                self._leave(generation)

    def replace(self, gateway: Gateway) -> None:
        """Serve another generation from now on."""
        old, self._current = self._current, _Generation(gateway, self._budget)
        self.generation += 1
        if old.running:
            self._retired += 1
        else:
            self._leave(old)

    async def close(self) -> None:
        """End what runs in the background."""
        if self._freeing is not None:
            self._freeing.cancel()
            await asyncio.gather(self._freeing, return_exceptions=True)

    def _keep_to_budget(self, generation: _Generation) -> None:
        gateway = generation.gateway
        types = gateway.schema.made_types
        if types <= generation.budget:
            return
        started = time.perf_counter()
        try:
            fresh = self._renew(gateway)
        except Exception as error:
            # The one that serves goes on; asking again at every request would help nobody.
            generation.budget += self._budget
            self._observe(TypesNotRenewed(types=types, reason=f"{type(error).__name__}: {error}"))
            return
        self.replace(fresh)
        self._observe(TypesRenewed(types=types, seconds=time.perf_counter() - started))

    def _leave(self, generation: _Generation) -> None:
        self._leaving.append(generation.gateway)
        if self._freeing is None or self._freeing.done():
            self._freeing = asyncio.create_task(self._free())

    async def _free(self) -> None:
        """Free what nobody uses any more: what its tables hold in many turns, then what is left of all at once."""
        await asyncio.sleep(0)  # whoever retired a generation still holds it
        while self._leaving:
            has_new_metadata = False
            while self._leaving:
                gone = self._leaving.popleft()
                has_new_metadata |= gone.metadata != self.gateway.metadata
                await _clear(gone)
                del gone
            if has_new_metadata:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._idle.wait(), IDLE_WAIT)
                reclaim()
            else:
                collect()


async def _clear(gateway: Gateway) -> None:
    until = time.perf_counter() + TURN
    for _ in clear_in_steps(gateway.tables()):
        if time.perf_counter() > until:
            await asyncio.sleep(0)
            until = time.perf_counter() + TURN
