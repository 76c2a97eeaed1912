"""Explains an operation: its plan and exact upstream requests, without sending any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from msgspec import structs

from gateway.cost.write_price import batch_sizes
from gateway.documents.refusal import OperationRefused
from gateway.engine import Engine
from gateway.errors import BadArgument, GatewayError
from gateway.execution.trace import Trace, Traced, TracedRequest
from gateway.planning.unified_lookups import Lookup
from gateway.request import GraphQLRequest, PlannedQuery, ValidOperation
from gateway.runtime.assembly import Gateway
from gateway.subscriptions.following import NOW, follows
from gateway.subscriptions.start import start_following
from gateway.writes.references import is_atomic as atomic

from .reads import dry_run, explain_formats, explain_root, root_error
from .report import (
    Explanation,
    PlannedRequest,
    Step,
    error_json,
    failed_step,
    planned_request,
    unquote_placeholders,
)
from .subscriptions import explain_subscription
from .writes import AcceptingUpstream, describe_mutation

_UNKNOWN = "cannot be shown: it uses a value that is known only after an earlier mutation"


async def explain(gateway: Gateway, request: GraphQLRequest) -> Explanation:
    """Explain an operation; one that cannot run has its errors instead of steps. Raises GatewayError."""
    engine = gateway.engine
    try:
        operation = engine.read(request)
        if operation.is_mutation:
            return await _explain_writes(engine, operation)
        if operation.is_subscription and follows(operation):
            following, _, _ = start_following(gateway, operation)
            first = following.at(following.arguments.get("since") or NOW)
            feed = await _explain_query(engine, engine.plan(engine.read(first)))
            return replace(feed, repeats=True)
        if operation.is_subscription:
            return await explain_subscription(gateway, operation)
        return await _explain_query(engine, engine.plan(operation))
    except OperationRefused as refusal:
        return Explanation(steps=(), requests=(), errors=refusal.errors)
    except BadArgument as error:
        return Explanation(steps=(), requests=(), errors=[error_json(error)])


def _explain_lookup(lookup: Lookup) -> Step:
    values = ", ".join(map(str, lookup.values))
    how = f"looked up first: {lookup.key} of the rows whose {lookup.column} is {values}"
    return Step(field=lookup.list, how=how, notes=(f"{lookup.placeholder} stands for them",))


async def _explain_query(engine: Engine, query: PlannedQuery) -> Explanation:
    """Run a query's plan against an upstream without rows."""
    trace = Trace()
    loaded = await dry_run(engine, query.roots, trace)
    feeds: list[Step] = []
    if query.prepared.has_changes and engine.changes is not None:
        try:
            outlines = engine.changes.outline(query)
        except GatewayError as error:
            return Explanation(steps=(), requests=(), errors=[error_json(error)])
        for outline in outlines:
            await dry_run(engine, outline.roots, trace)
            feeds.append(Step(field=outline.key, how=outline.how, notes=outline.notes))
        own = (root for outline in outlines for root in outline.roots)
        query = structs.replace(query, roots=(*query.roots, *own))
    if query.prepared.needs_formats:
        feeds.append(await explain_formats(engine, trace))
    return Explanation(
        steps=(
            *map(_explain_lookup, query.lookups),
            *(explain_root(item, engine) for item in loaded),
            *feeds,
        ),
        requests=tuple(map(planned_request, trace.requests)),
        failed=any(root_error(item) is not None for item in loaded),
        cost=None if engine.gate is None else engine.gate.price(query),
    )


async def _explain_writes(engine: Engine, operation: ValidOperation) -> Explanation:
    """Run a mutation operation against an upstream that accepts everything: its writes are exact."""
    assert engine.mutations is not None
    trace, accepting = Trace(), AcceptingUpstream(engine.schema.catalog)
    upstream = Traced(accepting, trace)
    try:
        performed = await engine.perform(operation, upstream, upstream, trace, assumes_rows=True)
    except GatewayError as error:
        return Explanation(steps=(), requests=(), errors=[error_json(error)])
    requests = tuple(map(_written, trace.requests))
    is_atomic, sizes = atomic(operation.operation), batch_sizes(engine.mutations, operation.request)

    def step(key: str, payload: object) -> Step:
        if isinstance(payload, GatewayError):
            return failed_step(key, payload)
        mutation = performed.bound.get(key)
        if mutation is None:
            return Step(field=key, how=_UNKNOWN)
        how, notes = describe_mutation(mutation, is_atomic=is_atomic, sizes=sizes)
        return Step(field=key, how=how, notes=notes)

    return Explanation(
        steps=tuple(step(key, payload) for key, payload in performed.payloads.items()),
        requests=requests,
        failed=any(isinstance(p, GatewayError) for p in performed.payloads.values()),
        changes=True,
        cost=None if engine.gate is None else engine.gate.price(operation),
        placeholders=frozenset(n for n in accepting.placeholders if any(map(_names(n), requests))),
    )


def _names(column: str) -> Callable[[PlannedRequest], bool]:
    """Return the test whether a request has the placeholder of a column."""
    placeholder = f"{{{column}}}"
    return lambda request: any(placeholder in line for line in request.lines())


def _written(traced: TracedRequest) -> PlannedRequest:
    """Return a write, with the placeholders of values that the service generates unquoted."""
    request = planned_request(traced)
    return replace(request, text=unquote_placeholders(request.text))
