"""Unified models that several subgraphs of a supergraph share (setting ``federation.unified = "shared"``).

Each subgraph prints the types that it has rows of, and what leads to them: a type is served by one subgraph, and the
fields below the root field, which all have, are the sum of theirs. Types without rows of their own, such as addresses,
are the same everywhere. A field that would always be null, as its rows are those of another gateway, is left out: a
router would have to find there what no object of this gateway has.
"""

from __future__ import annotations

from functools import lru_cache

from schema.unified.api import UnifiedApi, UnifiedEntry, UnifiedKind

_OF_ROWS = frozenset(
    {
        UnifiedKind.OBJECT,
        UnifiedKind.CONNECTION,
        UnifiedKind.EDGE,
        UnifiedKind.WHERE,
        UnifiedKind.ORDER_BY,
    }
)


class SharedUnified:
    """What one subgraph shows of unified models."""

    def __init__(self, unified: UnifiedApi) -> None:
        self._unified = unified
        self._is_served = lru_cache(maxsize=None)(self._has_rows)

    def shows(self, name: str) -> bool:
        """Return False for a unified type whose rows this gateway does not have."""
        entry = self._unified.entry(name)
        if entry is None or entry.kind not in _OF_ROWS:
            return True
        return self._is_served(entry.short)

    def shows_field(self, owner: str, name: str) -> bool:
        """Return False for a field of a unified object that leads to such a type."""
        entry = self._unified.entry(owner)
        if entry is None or entry.kind is not UnifiedKind.OBJECT:
            return True
        field = self._unified.type(entry.short).fields.get(name)
        return field is None or self.shows(field.type_name)

    def is_shareable(self, name: str) -> bool:
        """Return whether a type is the same in all subgraphs: one without rows of its own, or ``UnifiedSource``."""
        entry = self._unified.entry(name)
        if entry is None:
            return False
        return entry.kind is UnifiedKind.SOURCE or self._is_value(entry)

    def is_shared_root(self, name: str) -> bool:
        """Return whether a field of ``Query`` is the root field of a model."""
        return name in self._unified.namespaces

    def _is_value(self, entry: UnifiedEntry) -> bool:
        return entry.kind is UnifiedKind.OBJECT and not self._unified.spec(entry.short).sets

    def _has_rows(self, short: str) -> bool:
        return not self._unified.spec(short).sets or bool(self._unified.type(short).csdl)
