"""Opens fresh loaders for the reads of one mutation operation.

Each read of a mutation has loaders of its own, so nothing that was read before the write is seen after it.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from gateway.execution.fetcher import Fetcher
from gateway.execution.plan_runner import PlanRunner
from gateway.odata.query import Request


class ReadFactory(Protocol):
    """Makes the loaders of one operation."""

    def fetcher(self, sent: list[Request]) -> Fetcher:
        """Return a fetcher without any answers, which appends its requests to ``sent``."""
        ...

    def runner(self, fetcher: Fetcher) -> PlanRunner:
        """Return a runner of plans that reads by ``fetcher``."""
        ...


class Loaders(NamedTuple):
    """What one read of a mutation is done with."""

    fetcher: Fetcher
    runner: PlanRunner


class FreshReads:
    """Opens loaders for one operation, and closes them all at its end."""

    def __init__(self, factory: ReadFactory) -> None:
        self._factory = factory
        self._open: list[Fetcher] = []
        self.sent: list[Request] = []
        """The requests of the operation, reads and writes, in order."""

    def open(self) -> Loaders:
        """Return loaders that have read nothing yet."""
        fetcher = self._factory.fetcher(self.sent)
        self._open.append(fetcher)
        return Loaders(fetcher, self._factory.runner(fetcher))

    async def close(self) -> None:
        """Cancel the reads that are still under way."""
        for fetcher in self._open:
            await fetcher.close()
