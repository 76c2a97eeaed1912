"""The profiles that serve now: each is made of what the whole serves at its first request, and replaced along with it.

    first request to /graphql/ap ──▶ part of the whole's model ──▶ gateway ──▶ a ``GenerationManager`` of its own
    new metadata                 ──▶ the same for each that is open, then all are swapped at once

Each has generations of its own (each of ``max_types``), its documents and its introspection; they share the client
and the metadata.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from gateway.events import Observer, ProfileOpened

from .assembly import Gateway, build_profile, fresh_copy
from .generations import GenerationManager


class ProfileRegistry:
    """The profiles of a live gateway; belongs to one event loop."""

    def __init__(self, whole: GenerationManager, observe: Observer) -> None:
        self._whole = whole
        self._observe = observe
        self._lives: dict[str, GenerationManager] = {}
        self._opening: dict[str, asyncio.Task[GenerationManager]] = {}

    def opened(self, name: str) -> GenerationManager | None:
        """Return a profile that has been asked something already."""
        return self._lives.get(name)

    async def live(self, name: str) -> GenerationManager:
        """Return a profile, made now if need be. Raises KeyError where there is none of that name."""
        found = self._lives.get(name)
        if found is not None:
            return found
        task = self._opening.get(name)
        if task is None:
            task = self._opening[name] = asyncio.create_task(self._open(name))
            task.add_done_callback(lambda _: self._opening.pop(name, None))
        # Whoever stops waiting does not stop the making: others wait, too.
        return await asyncio.shield(task)

    async def over(self, whole: Gateway) -> dict[str, Gateway]:
        """Make each open profile over what the whole is about to serve; nothing is served yet."""
        made: dict[str, Gateway] = {}
        while missing := self._lives.keys() - made.keys():
            for name in missing:
                made[name] = await self._made(whole, name)
        return made

    def replace(self, parts: Mapping[str, Gateway]) -> None:
        """Serve these from now on."""
        for name, gateway in parts.items():
            self._lives[name].replace(gateway)

    async def close(self) -> None:
        """End what runs in the background."""
        for task in self._opening.values():
            task.cancel()
        await asyncio.gather(*self._opening.values(), return_exceptions=True)
        for live in self._lives.values():
            await live.close()

    async def _open(self, name: str) -> GenerationManager:
        made, whole = None, self._whole.gateway
        while made is None or whole.metadata != self._whole.gateway.metadata:
            whole = self._whole.gateway
            made = await self._made(whole, name)
        live = GenerationManager(
            made, fresh_copy, budget=made.settings.max_types, observe=self._observe
        )
        self._lives[name] = live
        return live

    async def _made(self, whole: Gateway, name: str) -> Gateway:
        started = time.perf_counter()
        made = await asyncio.to_thread(build_profile, whole, name)
        self._observe(
            ProfileOpened(
                profile=name,
                seconds=time.perf_counter() - started,
                sets=len(made.catalog.model.entity_sets),
                root_fields=len(made.catalog.roots),
            )
        )
        return made
