"""A cache that drops the least recently used values once their weights exceed a limit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, MutableMapping
from typing import Any, Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class LRUCache(Generic[_Key, _Value]):
    """The most recently used values, of a limited total weight."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._weight = 0
        self._entries: OrderedDict[_Key, tuple[_Value, int]] = OrderedDict()
        self.pinned: dict[_Key, _Value] = {}
        """Values that stay whatever else is used. Whoever pins them bounds them."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def table(self) -> MutableMapping[Any, Any]:
        """The entries, to be cleared from outside."""
        return self._entries

    def get(self, key: _Key) -> _Value | None:
        """Return a cached value, which then counts as the most recently used; None if absent."""
        entry = self._entries.get(key)
        if entry is None:
            return self.pinned.get(key)
        self._entries.move_to_end(key)
        return entry[0]

    def pin(self, key: _Key) -> None:
        """Make a cached value stay."""
        value = self.get(key)
        if value is not None:
            self.pinned[key] = value

    def put(self, key: _Key, value: _Value, weight: int = 1) -> None:
        """Add a value and drop old ones until it fits. A value above the limit is cached alone."""
        before = self._entries.pop(key, None)
        self._entries[key] = (value, weight)
        self._weight += weight - (0 if before is None else before[1])
        while self._weight > self._limit and len(self._entries) > 1:
            _, (_, dropped) = self._entries.popitem(last=False)
            self._weight -= dropped
