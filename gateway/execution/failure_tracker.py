"""Turns the errors of single loads into failures that stand in the place of values."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Any

from gateway.errors import GatewayError
from gateway.operations.pages import Failure


@dataclass
class FailureTracker:
    """The failures of one operation's loads: the rest of the answer goes on without them."""

    failed: bool = False
    """Whether any value of the operation is a failure."""

    def failure(self, error: GatewayError) -> Failure:
        """Return the failure that stands in the place of a value."""
        self.failed = True
        return Failure(error)

    def inspect(self, values: Iterable[Any]) -> None:
        """Note whether one of these values is a failure."""
        self.failed |= Failure in map(type, values)

    async def catch(self, load: Awaitable[Any]) -> Any:
        """Return what is loaded, or its failure."""
        try:
            return await load
        except GatewayError as error:
            return self.failure(error)
