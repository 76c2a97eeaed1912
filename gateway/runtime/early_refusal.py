"""Refuses operations that could not be answered in time, before their first upstream request.

A gate before the gate that prices operations: one whose estimated wait is longer than it may take would use the
environment up for an answer that nobody gets.
"""

from __future__ import annotations

from gateway.admission.work import current_work
from gateway.cache.environment_answers import EnvironmentAnswers
from gateway.cost.gate import OperationGate, Priceable, Ticket
from gateway.odata.client import ODataClient
from gateway.odata.retry import remaining_time
from gateway.planning.plan import AggregateRoot, BoundRoot, CallRoot, FailedRoot, KeysRoot, ListRoot
from gateway.request import PlannedQuery


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
        """Return the ticket of an operation.

        Raises Overloaded, UpstreamUnavailable, and what the gate behind it raises.
        """
        admission = self._client.admission
        identity = None if self._client.callers is None else operation.request.caller.log_id
        if admission.breaker.is_open and not self._may_be_cached(operation):
            admission.breaker.check()
        if admission.is_busy(identity) and not self._may_be_cached(operation):
            requests = self._pricing.price(operation).requests
            admission.check(current_work(), remaining_time(), requests, identity)
        return await self._pricing.admit(operation)

    def _may_be_cached(self, operation: Priceable) -> bool:
        """Return whether an operation may need no request: then each request is refused for itself, if it is sent."""
        answers = self._client.answers
        if not isinstance(answers, EnvironmentAnswers) or not answers.cached:
            return False
        if not isinstance(operation, PlannedQuery) or operation.request.fresh:
            return False
        return all(_sets_of(root) <= answers.cached for root in operation.roots)


def _sets_of(root: BoundRoot) -> frozenset[str]:
    match root:
        case ListRoot() | AggregateRoot():
            return frozenset({root.plan.query.resource.name})
        case KeysRoot():
            plans = (item[0] for item in root.items if item is not None)
            return frozenset(plan.query.resource.name for plan in plans)
        case CallRoot():
            return frozenset({""})  # never cached
        case FailedRoot():
            return frozenset()
