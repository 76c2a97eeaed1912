"""Related rows that must be looked up before a unified list can be filtered: those behind joins of the mapping.

A plan needs their keys. The first one is made with a placeholder, and says what it needs; the engine looks that up as
the caller, and plans once more. What sends nothing, such as explain, is content with the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct


class Lookup(Struct, frozen=True):
    """The keys of the rows of a list in which a column has one of some values."""

    list: str
    where: str
    """Input type of the list's filter."""
    column: str
    key: str
    """The field that is read."""
    values: tuple[Any, ...]

    @property
    def placeholder(self) -> str:
        """What stands for the keys as long as they are not known."""
        return f"{{{self.list}.{self.key}}}"


class Lookups:
    """The look-ups of one operation."""

    def __init__(self, known: Mapping[Lookup, Sequence[Any]] | None = None) -> None:
        self._known = known or {}
        self.needed: dict[Lookup, None] = {}
        """Those whose keys are not known."""

    def keys(self, lookup: Lookup) -> Sequence[Any]:
        """Return the keys of related rows, or a placeholder."""
        keys = self._known.get(lookup)
        if keys is None:
            self.needed[lookup] = None
            return (lookup.placeholder,)
        return keys
