"""Counts how often each trusted document was requested, and how many requests named none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from msgspec import Struct

from gateway.documents.trusted import TrustedDocument


class Use(Struct):
    """How often a document was requested."""

    count: int = 0
    last: float = 0.0
    """When it was requested last, in seconds since the epoch."""


class DocumentUsage:
    """The counts of one process, since its start. There are never more than a release has documents."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._uses: dict[str, Use] = {}
        self.others = 0
        """Requests with a document that is not trusted."""
        self.unknown = 0
        """Requests that named a document that does not exist."""

    def note(self, document: TrustedDocument) -> None:
        """Count a request for a document."""
        use = self._uses.get(document.id)
        if use is None:
            use = self._uses[document.id] = Use()
        use.count += 1
        use.last = self._now()

    def of(self, document: TrustedDocument) -> Use:
        """Return how often a document was requested."""
        return self._uses.get(document.id) or Use()

    def retain(self, documents: Iterable[TrustedDocument]) -> None:
        """Forget all documents but these."""
        uses = self._uses
        self._uses = {d.id: uses[d.id] for d in documents if d.id in uses}
