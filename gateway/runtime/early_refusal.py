"""Refuses operations that could not be answered in time, before their first upstream request.

A gate before the gate that prices operations: one whose estimated wait is longer than it may take would use the
environment up for an answer that nobody gets.
"""

from __future__ import annotations

from gateway.admission.work import current_work
from gateway.cost.gate import OperationGate, Priceable, Ticket
from gateway.odata.client import ODataClient
from gateway.odata.retry import remaining_time


class EarlyRefusal:
    """An ``OperationGate`` that knows how long requests to an environment wait; all else is that of ``pricing``."""

    def __init__(self, client: ODataClient, pricing: OperationGate) -> None:
        self._client = client
        self._pricing = pricing
        self.has_limits = pricing.has_limits
        self.price = pricing.price
        self.charge = pricing.charge
        self.estimate = pricing.estimate

    async def admit(self, operation: Priceable) -> Ticket:
        """Return the ticket of an operation. Raises Overloaded, and what the gate behind it raises."""
        admission = self._client.admission
        identity = None if self._client.callers is None else operation.request.caller.log_id
        if admission.is_busy(identity):
            requests = self._pricing.price(operation).requests
            admission.check(current_work(), remaining_time(), requests, identity)
        return await self._pricing.admit(operation)
