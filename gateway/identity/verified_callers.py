"""Remembers verified callers by a digest of their credentials, so that most requests verify nothing."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from .caller import Caller


def digest_of(kind: str, credentials: str) -> bytes:
    """Return the key of credentials of a kind, from which they cannot be recovered."""
    return hashlib.sha256(f"{kind}:{credentials}".encode()).digest()


class VerifiedCallers:
    """The most recently used callers."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes, now: float) -> Caller | None:
        """Return the caller with these credentials, if they are still valid."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        caller, until = entry
        if now >= until:
            del self._entries[digest]
            return None
        self._entries.move_to_end(digest)
        return caller

    def put(self, digest: bytes, caller: Caller, until: float) -> None:
        """Remember a caller until a time, in seconds since the epoch; the least recently used one is dropped."""
        self._entries[digest] = (caller, until)
        self._entries.move_to_end(digest)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget all: a key that has verified some of them is gone."""
        self._entries.clear()
