"""Generations of a gateway: the current one serves requests and is replaced under load.

    request ──▶ serving() ──▶ the current generation         replace(new): new requests get the new generation,
                                   │ over its budget of types                running ones finish on theirs
                                   └──▶ replaced by a fresh copy (3 ms)

A schema only grows: each entity that is used for the first time adds its types, its records, and the documents that
use them (some 0.15 MB per entity). A generation whose types exceed the budget is replaced by a fresh copy over the same
metadata, so that clients can walk through the whole catalogue in bounded memory.

Types and resolvers refer to each other in cycles, and collecting a generation would stop the process for half a second.
But all cycles go through tables. So when its last request has ended, the tables of a retired generation are cleared
between other requests, which frees nine tenths of its objects; the collector finds the rest, mostly row classes, in
some 30 ms. Frozen objects (see ``process.garbage_collection``) are only collected after new metadata has replaced them,
in a moment without requests if there is one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import httpx

from gateway.audit.log import AuditLog
from gateway.cache.answer_store import AnswerStore
from gateway.config.settings import Settings
from gateway.events import Observer, TypesNotRenewed, TypesRenewed, log_event
from gateway.metadata.model_builder import Progress
from gateway.metadata.model_process import BuildModel
from gateway.odata.client import ODataClient
from gateway.process.garbage_collection import clear_in_steps, collect_all, collect_new

from .assembly import Gateway, first_gateway, fresh_copy, open_client
from .background_build import gateway_beside
from .lasting import Lasting

if TYPE_CHECKING:  # it imports the client of Redis, which is optional
    from gateway.replicas.shared_builds import SharedBuilds

Join: TypeAlias = Callable[[ODataClient, Settings], AbstractContextManager[None]]
"""Shares limit and answers of an environment with other replicas while it is open."""


def _join_nobody(_client: ODataClient, _settings: Settings) -> AbstractContextManager[None]:
    return nullcontext()


def join_workers(number: int) -> Join:
    """Return what gives each of so many workers, which share nothing else, an equal part of the limits."""

    @contextmanager
    def join(client: ODataClient, _settings: Settings) -> Iterator[None]:
        for admission in client.admissions.values():
            admission.divide(number)
        yield

    return join


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessParts:
    """What all environments of a process share."""

    audit: AuditLog | None = None
    answers: AnswerStore | None = None
    """None: each caches answers in a store of its own."""
    join: Join = _join_nobody
    builds: SharedBuilds | None = None
    """Models that replicas make for each other; None: each makes its own."""
    lasting: Lasting = field(default_factory=Lasting)
    """What an earlier application of the process may have left."""


CopyGateway = Callable[[Gateway], Gateway]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeing:
    """How the memory of retired generations is freed."""

    turn: float = 0.005
    """Seconds for which tables are cleared before other tasks of the event loop run."""
    idle_wait: float = 2.0
    """Longest wait for a moment without requests, in seconds, before ``collect``."""
    collect: Callable[[], None] = collect_all
    """Collects frozen objects, too, which stops the process for up to half a second."""


@asynccontextmanager
async def open_generations(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    observe: Observer = log_event,
    progress: Progress | None = None,
    freeing: Freeing = Freeing(),
    parts: ProcessParts = ProcessParts(),
    beside: BuildModel | None = None,
) -> AsyncIterator[GenerationManager]:
    """Yield a manager with the first generation, and close it at the end. Raises as ``open_gateway`` does.

    ``beside`` makes its model while others are served; None: nobody waits.
    """
    opened = open_client(
        settings,
        transport=transport,
        observe=observe,
        audit=parts.audit,
        answers=parts.answers,
        lasting=parts.lasting,
    )
    async with opened as client, AsyncExitStack() as stack:
        stack.enter_context(parts.join(client, settings))
        # No local variable for the first generation: it would keep it alive.
        live = GenerationManager(
            await (
                first_gateway(settings, client, observe, progress, parts.builds)
                if beside is None
                else gateway_beside(settings, client, observe, beside)
            ),
            fresh_copy,
            budget=settings.max_types,
            observe=observe,
            freeing=freeing,
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


class _Serving:
    """What keeps a generation usable until the end of a block. Not a generator, which costs 2 µs a request."""

    __slots__ = ("_generation", "_manager")

    def __init__(self, manager: GenerationManager) -> None:
        self._manager = manager

    def __enter__(self) -> Gateway:
        self._generation = self._manager.begin()
        return self._generation.gateway

    def __exit__(self, *_: object) -> None:
        self._manager.end(self._generation)


class GenerationManager:
    """Holds the current generation; belongs to one event loop."""

    def __init__(
        self,
        gateway: Gateway,
        fresh_copy: CopyGateway,
        *,
        budget: int,
        observe: Observer,
        freeing: Freeing = Freeing(),
    ) -> None:
        self._fresh_copy = fresh_copy
        self._budget = budget
        self._observe = observe
        self._memory = freeing
        self._current = _Generation(gateway, budget)
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._retired = 0
        self._retired_queue: deque[Gateway] = deque()
        self._freeing: asyncio.Task[None] | None = None
        self.generation = 1
        """Number of the current generation."""
        self.listeners: list[Callable[[], None]] = []
        """Called when another generation serves."""

    @property
    def gateway(self) -> Gateway:
        """The current generation, for inspection. Operations use ``serving``, which keeps theirs from being cleared."""
        return self._current.gateway

    @property
    def retired(self) -> int:
        """Number of replaced generations that still serve operations."""
        return self._retired

    def serving(self) -> AbstractContextManager[Gateway]:
        """Enter the current generation, which stays usable until the end of the block."""
        return _Serving(self)

    def begin(self) -> _Generation:
        """Note that an operation begins, and return the generation that serves it."""
        generation = self._current
        generation.running += 1
        self._running += 1
        self._idle.clear()
        return generation

    def end(self, generation: _Generation) -> None:
        """Note that an operation of a generation has ended."""
        generation.running -= 1
        self._running -= 1
        if not self._running:
            self._idle.set()
        if generation is self._current:
            self._keep_to_budget(generation)
        elif generation.running == 0:
            self._retired -= 1
            self._retire(generation)

    def replace(self, gateway: Gateway) -> None:
        """Serve another generation from now on. Running operations finish on theirs."""
        old, self._current = self._current, _Generation(gateway, self._budget)
        self.generation += 1
        if old.running:
            self._retired += 1
        else:
            self._retire(old)
        for listener in tuple(self.listeners):
            listener()

    async def close(self) -> None:
        """Cancel background tasks."""
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
            fresh = self._fresh_copy(gateway)
        except Exception as error:
            # The old one keeps serving. With a larger budget, not every request tries again.
            generation.budget += self._budget
            self._observe(TypesNotRenewed(types=types, reason=f"{type(error).__name__}: {error}"))
            return
        self.replace(fresh)
        self._observe(TypesRenewed(types=types, seconds=time.perf_counter() - started))

    def _retire(self, generation: _Generation) -> None:
        self._retired_queue.append(generation.gateway)
        if self._freeing is None or self._freeing.done():
            self._freeing = asyncio.create_task(self._free())

    async def _free(self) -> None:
        """Free retired generations: clear the tables of each in many turns, then collect the rest of all at once."""
        await asyncio.sleep(0)  # the caller still refers to the generation that it retired
        while self._retired_queue:
            has_new_metadata = False
            while self._retired_queue:
                gateway = self._retired_queue.popleft()
                has_new_metadata |= gateway.metadata != self.gateway.metadata
                await _clear(gateway, self._memory.turn)
                del gateway  # else it would survive the collection
            if has_new_metadata:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._memory.idle_wait):
                        await self._idle.wait()
                self._memory.collect()
            else:
                collect_new()


async def _clear(gateway: Gateway, turn: float) -> None:
    until = time.perf_counter() + turn
    for _ in clear_in_steps(gateway.tables()):
        if time.perf_counter() > until:
            await asyncio.sleep(0)
            until = time.perf_counter() + turn
