"""REST metadata."""

from __future__ import annotations

from .exchange import Incoming, Outgoing
from .refusal import not_found
from .world import World


class RestMetadata:
    def __init__(self, world: World) -> None:
        self._world = world

    def answer(self, incoming: Incoming) -> Outgoing:
        raise not_found(incoming.path)
