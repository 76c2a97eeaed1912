"""The opened profiles: each is built at its first request, and replaced together with the whole catalogue.

    first request to /graphql/ap ──▶ subset of the whole model ──▶ gateway ──▶ a ``GenerationManager`` of its own
    new metadata                 ──▶ the same for each opened profile, then all are replaced at once

Each has its own generations (of ``max_types`` types), documents and introspection. They share client and metadata.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from gateway.events import Observer, ProfileOpened

from .assembly import Gateway, build_profile, fresh_copy
from .generations import GenerationManager


class ProfileRegistry:
    """The opened profiles of a running gateway. Belongs to one event loop."""

    def __init__(self, whole: GenerationManager, observe: Observer) -> None:
        self._whole = whole
        self._observe = observe
        self._managers: dict[str, GenerationManager] = {}
        self._opening: dict[str, asyncio.Task[GenerationManager]] = {}

    def opened(self, name: str) -> GenerationManager | None:
        """Return a profile that has been opened; None otherwise."""
        return self._managers.get(name)

    async def live(self, name: str) -> GenerationManager:
        """Return a profile, opened now if necessary. Raises KeyError if there is none of that name."""
        manager = self._managers.get(name)
        if manager is not None:
            return manager
        task = self._opening.get(name)
        if task is None:
            task = self._opening[name] = asyncio.create_task(self._open(name))
            task.add_done_callback(lambda _: self._opening.pop(name, None))
        # Shielded: other requests may wait for the same profile.
        return await asyncio.shield(task)

    async def build_opened(self, whole: Gateway) -> dict[str, Gateway]:
        """Return a gateway for each opened profile, over a gateway that is not yet served."""
        gateways: dict[str, Gateway] = {}
        # More profiles may be opened while these are built.
        while missing := self._managers.keys() - gateways.keys():
            for name in missing:
                gateways[name] = await self._build(whole, name)
        return gateways

    def replace(self, gateways: Mapping[str, Gateway]) -> None:
        """Serve these gateways, by profile, from now on."""
        for name, gateway in gateways.items():
            self._managers[name].replace(gateway)

    async def close(self) -> None:
        """Cancel background tasks."""
        for task in self._opening.values():
            task.cancel()
        await asyncio.gather(*self._opening.values(), return_exceptions=True)
        for manager in self._managers.values():
            await manager.close()

    async def _open(self, name: str) -> GenerationManager:
        gateway, whole = None, self._whole.gateway
        # Again if the metadata was replaced meanwhile.
        while gateway is None or whole.metadata != self._whole.gateway.metadata:
            whole = self._whole.gateway
            gateway = await self._build(whole, name)
        manager = GenerationManager(
            gateway, fresh_copy, budget=gateway.settings.max_types, observe=self._observe
        )
        self._managers[name] = manager
        return manager

    async def _build(self, whole: Gateway, name: str) -> Gateway:
        started = time.perf_counter()
        gateway = await asyncio.to_thread(build_profile, whole, name)
        self._observe(
            ProfileOpened(
                profile=name,
                seconds=time.perf_counter() - started,
                sets=len(gateway.catalog.model.entity_sets),
                root_fields=len(gateway.catalog.roots),
            )
        )
        return gateway
