"""Names of data entities, as events of the environment have them: `custcustomerv3entity` is `CustomersV3`.

F&O lists them in its metadata service (``categories``); the metadata document lacks them. They are read with the first
event that needs them, and again for new metadata.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gateway.errors import GatewayError

from .categories import data_entities

if TYPE_CHECKING:
    from gateway.odata.client import ODataClient
    from gateway.odata.dialect import Dialect

AGAIN = 300.0
"""Seconds after which the list is read again if that has failed."""


class EntityNames:
    """The names of one environment."""

    def __init__(self) -> None:
        self._metadata: str | None = None
        self._sets: Mapping[str, str] = {}
        self._failed_at = float("-inf")
        self._reading = asyncio.Lock()

    async def sets_of(
        self, names: Iterable[str], client: ODataClient, dialect: Dialect, metadata: str
    ) -> frozenset[str]:
        """Return the entity sets of data entities, as far as they are known. ``metadata``: digest of the document."""
        if not dialect.has_entity_categories:
            return frozenset()
        async with self._reading:
            is_late = time.monotonic() - self._failed_at > AGAIN
            if self._metadata != metadata and is_late:
                await self._read(client, dialect)
                self._metadata = metadata if self._sets else None
        return frozenset(self._sets[name] for name in names if name in self._sets)

    async def _read(self, client: ODataClient, dialect: Dialect) -> None:
        try:
            entities = await data_entities(client, dialect.environment_root(client.root))
        except GatewayError:  # the event wakes nothing by its name; ``set`` in its address does
            self._failed_at = time.monotonic()
            return
        self._sets = {e.aot.casefold(): e.name for e in entities if e.aot and e.name}
