"""Explains subscriptions: how changes are found, the requests of each poll, and how changed rows are read.

A poll is run against an upstream without rows, as if the newest change had been seen just now. The ids of changed rows
are not known before: their request is shown for one row, with ``{Column}`` for its key.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from gateway.config.setting_models import SubscriptionOptions
from gateway.documents.refusal import OperationRefused
from gateway.engine import Engine
from gateway.errors import GatewayError
from gateway.execution.trace import Trace
from gateway.operations.global_ids import node_ids
from gateway.planning.plan import BoundRoot, KeysRoot
from gateway.request import Answer, GraphQLRequest, ValidOperation
from gateway.runtime.assembly import Gateway
from gateway.subscriptions.operation import BATCH
from gateway.subscriptions.polling import PollFailed
from gateway.subscriptions.start import ActiveSubscription, start_subscription
from schema.catalog.records import TypeKind

from .reads import dry_run, explain_by_key, planning_error, root_error
from .report import Explanation, Step, error_json, failed_step, planned_request


async def explain_subscription(gateway: Gateway, operation: ValidOperation) -> Explanation:
    """Explain a subscription; one that cannot begin has its errors instead of steps."""
    engine, options = gateway.engine, gateway.settings.subscriptions
    try:
        subscription = start_subscription(gateway, operation, options)
        trace = await _run_poll(engine, subscription, options)
        roots = (
            _roots(engine, _rows_request(gateway, subscription))
            if subscription.request.query
            else ()
        )
    except PollFailed as failed:
        return Explanation(steps=(), requests=(), errors=failed.errors)
    except GatewayError as error:
        return Explanation(steps=(), requests=(), errors=[error_json(error)])
    step = Step(
        field=subscription.request.key,
        how=f"{subscription.change_query.name}, polled every {options.interval:g} s (±10 %),"
        " once for all subscribers to the same",
        notes=(
            _describe_poll(subscription, options),
            *(() if roots else ("changed rows are not read",)),
        ),
        below=tuple(step for bound in roots for step in _read(bound, gateway)),
    )
    requests = (
        replace(planned_request(a), fields=(subscription.request.key,)) for a in trace.requests
    )
    return Explanation(
        steps=(step,),
        requests=tuple(requests),
        failed=any(planning_error(bound) is not None for bound in roots),
        repeats=True,
    )


def _describe_poll(subscription: ActiveSubscription, options: SubscriptionOptions) -> str:
    stamp = subscription.change_query.stamp
    if stamp is None:
        most = options.max_watched_rows
        return (
            f"a poll reads the etags of all rows, {subscription.page:,} a request, at most {most:,}"
        )
    return (
        f"a poll reads the rows whose {stamp} is at least that of the newest change minus {options.late:g} s, shown as"
        " if that were now; the first poll also reads the newest row"
    )


async def _run_poll(
    engine: Engine, subscription: ActiveSubscription, options: SubscriptionOptions
) -> Trace:
    """Run one poll. Raises PollFailed, GatewayError."""
    trace = Trace()

    async def ask(request: GraphQLRequest) -> Answer:
        (loaded,) = await dry_run(engine, _roots(engine, request), trace)
        if (error := root_error(loaded)) is not None:
            raise error
        return Answer({"rows": {"nodes": []}})

    poll = subscription.poll(options, ask, time.time, lambda _: None)
    # Else it would be the first poll, which differs from all others.
    poll.settle()
    try:
        await poll.changes()
    except PollFailed as failed:
        # The poll has wrapped an error of ours for the log.
        if isinstance(failed.__cause__, Exception):
            raise failed.__cause__ from None
        raise
    return trace


def _roots(engine: Engine, request: GraphQLRequest) -> tuple[BoundRoot, ...]:
    """Plan one of our own operations. Raises PollFailed, GatewayError."""
    try:
        return engine.plan(engine.read(request)).roots
    except OperationRefused as error:
        # Without the places of its errors: they are in our document, which nobody has seen.
        raise PollFailed(error.errors) from None


def _rows_request(gateway: Gateway, subscription: ActiveSubscription) -> GraphQLRequest:
    """Return the operation for a row of each type that may change."""
    catalog = gateway.catalog
    csdl = catalog.roots[subscription.change_query.name].csdl
    names = (catalog.generated_name(TypeKind.OBJECT, of) for of in catalog.model.family(csdl))
    # Ids without values: only the types that they name decide the plan.
    key = [None] * len(catalog.key_of(csdl))
    node_id = node_ids(catalog.tag)
    return subscription.rows([node_id(name, *key) for name in names if name is not None])


def _read(bound: BoundRoot, gateway: Gateway) -> Iterator[Step]:
    """Explain how changed rows are read, for each of their types."""
    # Objects are below the root field of their model.
    name = bound.shape.key.partition(".")[0]
    if (error := planning_error(bound)) is not None:
        yield failed_step(name, error)
        return
    assert isinstance(bound, KeysRoot)
    plans = {id(item[0]): item[0] for item in bound.items if item is not None}
    how = f"by key, up to {BATCH} changed rows at once (more requests if the URL is too long)"
    for plan in plans.values():
        at = name if len(plans) == 1 else f"{name} on {plan.level.info.name}"
        yield explain_by_key(at, f"{plan.entity_set} {how}", plan, gateway.engine)
