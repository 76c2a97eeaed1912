"""Which parts of a connection an operation needs."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Literal

from msgspec import Struct

Part = Literal["rows", "total", "next", "previous", "cursors"]
"""A part of a connection: its rows, ``totalCount``, ``hasNextPage``, ``hasPreviousPage``, or cursors."""


class ConnectionRequirements(Struct, frozen=True):
    """Parts of a connection that are requested, merged over aliases."""

    parts: AbstractSet[Part] = frozenset()

    @property
    def rows(self) -> bool:
        """Whether any row is requested."""
        return "rows" in self.parts

    @property
    def total(self) -> bool:
        """Whether ``totalCount`` is requested."""
        return "total" in self.parts

    @property
    def next(self) -> bool:
        """Whether ``hasNextPage`` is requested."""
        return "next" in self.parts

    @property
    def previous(self) -> bool:
        """Whether ``hasPreviousPage`` is requested."""
        return "previous" in self.parts

    @property
    def cursors(self) -> bool:
        """Whether any cursor is requested."""
        return "cursors" in self.parts
