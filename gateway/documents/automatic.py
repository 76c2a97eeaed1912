"""Automatic persisted queries: documents that clients register by sending them once with their hash.

    {extensions: {persistedQuery: {sha256Hash}}}          unknown: PERSISTED_QUERY_NOT_FOUND
    {query, extensions: {persistedQuery: {sha256Hash}}}   the text is kept under its hash, and runs

They save bytes and trust nothing: whatever a caller may send can be registered.
https://www.apollographql.com/docs/apollo-server/performance/apq
"""

from __future__ import annotations

from collections.abc import Callable

from .lru_cache import LRUCache
from .trusted import sha256_of

LEAST_WEIGHT = 500
"""Characters as which a short text counts, so that one limit bounds number and size."""


class AutomaticDocuments:
    """The registered texts by hash: the most recently used, of a limited size."""

    def __init__(self, characters: int) -> None:
        self._texts: LRUCache[str, str] = LRUCache(characters)
        self._longest = characters // 10
        self.registered: Callable[[str], None] | None = None
        """Called with each text that is new: for other replicas."""

    def __len__(self) -> int:
        return len(self._texts)

    def get(self, digest: str) -> str | None:
        """Return the text with this SHA-256; None: it is not registered, or no longer."""
        return self._texts.get(digest)

    def register(self, digest: str, text: str) -> bool:
        """Keep a text, and return whether the hash is its own. One text may not push out all others."""
        if sha256_of(text) != digest:
            return False
        if len(text) <= self._longest and self._texts.get(digest) is None:
            self._put(digest, text)
            if self.registered is not None:
                self.registered(text)
        return True

    def register_elsewhere(self, text: str) -> None:
        """Register a text that another replica has been sent."""
        if len(text) <= self._longest:
            self._put(sha256_of(text), text)

    def _put(self, digest: str, text: str) -> None:
        self._texts.put(digest, text, max(len(text), LEAST_WEIGHT))
