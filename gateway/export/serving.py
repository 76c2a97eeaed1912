"""Prepares an export for its caller: over the view of those of its roles that may export the list."""

from __future__ import annotations

from msgspec import Struct

from gateway.errors import UnknownSet
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.generations import GenerationManager
from gateway.runtime.served_api import ServedApi

from .request import Export, ExportRequest, exporting_view, prepare
from .sources import find_source


class ReadyExport(Struct, frozen=True):
    """An export, and what serves it."""

    export: Export
    live: GenerationManager

    async def read(self, request: GraphQLRequest) -> Answer:
        """Answer the operation of a page."""
        with self.live.serving() as gateway:
            return await gateway.engine.execute_unlogged(request)


async def prepare_for(api: ServedApi, name: str, request: ExportRequest) -> ReadyExport:
    """Return an export of the list with this name. Raises UnknownSet, BadArgument, Forbidden."""
    gateway = api.live.gateway
    source = find_source(gateway.schema, name)
    if source is None:
        raise UnknownSet(
            f"There is no list called {name}.",
            hint="Name a list of Query, such as customersV3, its entity set, or a list of a unified model:"
            " accounting.vendors.",
        )
    view = exporting_view(gateway, source)
    if view is not None:
        api = await api.of_view(view)
    return ReadyExport(prepare(api.live.gateway, source, request), api.live)
