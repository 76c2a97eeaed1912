"""Prepares an import for its caller, and runs its mutations on the API that serves this caller."""

from __future__ import annotations

from msgspec import Struct

from gateway.engine import Engine
from gateway.idempotency.ledger import Ledger
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.generations import GenerationManager
from gateway.runtime.served_api import ServedApi

from .request import Import, ImportRequest, prepare


class ReadyImport(Struct, frozen=True):
    """An import, and what serves it."""

    plan: Import
    live: GenerationManager

    @property
    def engine(self) -> Engine:
        """The engine that binds rows."""
        return self.live.gateway.engine

    @property
    def ledger(self) -> Ledger | None:
        """The ledger of idempotency keys; None if keys have no effect."""
        return self.engine.once.ledger

    async def execute(self, request: GraphQLRequest) -> Answer:
        """Run a mutation."""
        with self.live.serving() as gateway:
            return await gateway.engine.execute_unlogged(request)


def prepare_for(api: ServedApi, name: str, request: ImportRequest) -> ReadyImport:
    """Return an import into the list with this name. Raises UnknownSet, Forbidden."""
    return ReadyImport(prepare(api.live.gateway, name, request), api.live)
